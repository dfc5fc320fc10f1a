package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const minute = int64(time.Minute / time.Microsecond)

// TestCallsShareARoundTrip checks that each of many simultaneous calls gets its own reply, in far fewer round trips.
func TestCallsShareARoundTrip(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		const calls = 500
		s, own := newScript(c, otp.Policy{}, "take", decodeTake), rand.Text()
		var mu sync.Mutex
		times := make(map[string]int)
		refusals := 0
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				// Each key has room for one call; half of the calls come second.
				key := fmt.Sprintf("share:{0}:%s:%d", own, i/2)
				taken, err := s.run(t.Context(), []string{key}, "address", 1, minute)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Errorf("run: %v", err)
				case taken.name == "address":
					refusals++
				default:
					times[taken.time]++
				}
			})
		}
		wg.Wait()
		if refusals != calls/2 {
			t.Errorf("%d of %d calls were refused; want half", refusals, calls)
		}
		trips, last := 0, int64(0) // the times of the calls of a round trip differ by a microsecond each
		for _, at := range slices.Sorted(maps.Keys(times)) {
			if us, _ := strconv.ParseInt(at, 10, 64); us-last > maxBatch {
				trips, last = trips+1, us
			}
		}
		if trips > calls/5 {
			t.Errorf("%d calls took %d round trips", calls, trips)
		}
		if len(times) != calls/2 {
			t.Errorf("%d counted calls have %d times; want a different time for each", calls/2, len(times))
		}
		if len(s.calls.queues) != 0 {
			t.Errorf("%d queues are left", len(s.calls.queues))
		}
	})
}

// TestCallsFailAlone checks that a call that Redis refuses does not make the others of its batch fail.
func TestCallsFailAlone(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		bad := "share:{0}:" + rand.Text()
		if err := c.redis.Set(t.Context(), bad, "no list", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		s := newScript(c, otp.Policy{}, "take", decodeTake)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				key := fmt.Sprintf("%s:%d", bad, i)
				if i%5 == 0 {
					key = bad
				}
				_, err := s.run(t.Context(), []string{key}, "address", 1, minute)
				if want := i%5 == 0; errors.Is(err, otp.ErrUnavailable) != want || (err != nil) != want {
					t.Errorf("call %d: %v; want ErrUnavailable: %t", i, err, want)
				}
			})
		}
		wg.Wait()
	})
}

// TestCallsGiveUp checks that a call that waits for a round trip ends with its context and leaves the queue.
func TestCallsGiveUp(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		s := newScript(c, otp.Policy{}, "take", decodeTake)
		slot := ""
		if c.cluster {
			slot = "0"
		}
		s.calls.queues[slot] = &queue{trips: maxTrips} // as if all round trips were under way
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		key := []string{"share:{0}:" + rand.Text()}
		if _, err := s.run(ctx, key, 1, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run: %v; want DeadlineExceeded", err)
		}
		if n := len(s.calls.queues[slot].waiting); n != 0 {
			t.Errorf("%d calls wait; want none", n)
		}
	})
}

// TestLostReplies checks that every call of a round trip that fails returns ErrUnavailable.
func TestLostReplies(t *testing.T) {
	c, err := Open(Options{URL: "redis://127.0.0.1:1", Mode: Single})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	codes := NewCodes(c, CodesOptions{Policy: otp.Policy{TTL: time.Minute, MaxAttempts: 5}, Partitions: 1})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := codes.Check(t.Context(), anAttempt("phone"))
			if !errors.Is(err, otp.ErrUnavailable) {
				t.Errorf("Check: %v; want ErrUnavailable", err)
			}
		})
	}
	wg.Wait()
}
