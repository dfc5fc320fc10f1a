package redisstore

import (
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		ctx, s := t.Context(), NewHistory(c)
		ten := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
		hours := []time.Time{ten, ten.Add(time.Hour), ten.Add(24 * time.Hour)}
		for _, h := range hours {
			if err := c.redis.Del(ctx, s.key(h)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		put := func(h time.Time, copy, value string) {
			t.Helper()
			if err := s.Put(ctx, h, copy, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		put(hours[0], "a", "1")
		put(hours[0], "b", "2")
		put(hours[2], "a", "3")
		put(hours[0].In(time.FixedZone("", 12600)), "a", "4") // replaces
		all, err := s.All(ctx, hours)
		if err != nil || len(all) != len(hours) {
			t.Fatalf("All = %v, %v; want %d hours", all, err, len(hours))
		}
		for i, want := range []map[string]string{{"a": "4", "b": "2"}, {}, {"a": "3"}} {
			if len(all[i]) != len(want) {
				t.Errorf("%v: %d copies; want %d", hours[i], len(all[i]), len(want))
			}
			for id, value := range want {
				if got := string(all[i][id]); got != value {
					t.Errorf("%v: copy %s has %q; want %q", hours[i], id, got, value)
				}
			}
		}
		if life := c.redis.TTL(ctx, s.key(ten)).Val(); life < 48*time.Hour || life > historyLife {
			t.Errorf("the hour lives %v; want %v", life, historyLife)
		}
	})
}

func TestHistoryOfMuteRedis(t *testing.T) {
	c, err := Open(Options{URL: "redis://127.0.0.1:1", Mode: Single})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := NewHistory(c)
	if err := s.Put(t.Context(), time.Now(), "a", nil); err == nil {
		t.Error("Put without a Redis; want an error")
	}
	if all, err := s.All(t.Context(), []time.Time{time.Now()}); err == nil {
		t.Errorf("All without a Redis = %v; want an error", all)
	}
}
