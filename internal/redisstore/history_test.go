package redisstore

import (
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		ctx, s := t.Context(), NewHistory(c)
		periods := []string{"2026-11-24T10", "2026-11-24T11", "2026-11-24T10:05"}
		for _, period := range periods {
			if err := c.redis.Del(ctx, s.key(period)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		put := func(period, copy, value string) {
			t.Helper()
			if err := s.Put(ctx, period, copy, []byte(value), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		put(periods[0], "a", "1")
		put(periods[0], "b", "2")
		put(periods[2], "a", "3")
		put(periods[0], "a", "4") // replaces
		all, err := s.All(ctx, periods)
		if err != nil || len(all) != len(periods) {
			t.Fatalf("All = %v, %v; want %d periods", all, err, len(periods))
		}
		for i, want := range []map[string]string{{"a": "4", "b": "2"}, {}, {"a": "3"}} {
			if len(all[i]) != len(want) {
				t.Errorf("%v: %d copies; want %d", periods[i], len(all[i]), len(want))
			}
			for id, value := range want {
				if got := string(all[i][id]); got != value {
					t.Errorf("%v: copy %s has %q; want %q", periods[i], id, got, value)
				}
			}
		}
		if life := c.redis.TTL(ctx, s.key(periods[0])).Val(); life < 50*time.Minute || life > time.Hour {
			t.Errorf("the period lives %v; want an hour", life)
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
	if err := s.Put(t.Context(), "2026-11-24T10", "a", nil, time.Hour); err == nil {
		t.Error("Put without a Redis; want an error")
	}
	if all, err := s.All(t.Context(), []string{"2026-11-24T10"}); err == nil {
		t.Errorf("All without a Redis = %v; want an error", all)
	}
}
