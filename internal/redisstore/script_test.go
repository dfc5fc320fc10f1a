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

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

// each runs the test over the kinds of Redis.
func each(t *testing.T, test func(t *testing.T, c *Client)) {
	for name, open := range map[string]func(*testing.T) (*Client, error){
		"embedded": func(*testing.T) (*Client, error) { return StartEmbedded(), nil },
		"redis": func(t *testing.T) (*Client, error) {
			return Open(Options{URL: service(t, "TEST_REDIS_URL"), Mode: Single})
		},
		"cluster": func(t *testing.T) (*Client, error) {
			return Open(Options{URL: service(t, "TEST_REDIS_CLUSTER_URL"), Mode: Cluster})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			c.timeout = time.Hour
			t.Cleanup(func() { c.Close() })
			test(t, c)
		})
	}
}

// TestCallsShareARoundTrip holds that each of many calls at once gets its own reply, in far fewer round trips.
func TestCallsShareARoundTrip(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		const calls = 500
		s, own := newScript(c, "take"), rand.Text()
		var mu sync.Mutex
		times := make(map[string]int)
		refusals := 0
		var wg sync.WaitGroup
		for i := range calls {
			wg.Go(func() {
				// Each key has room for one; half of the calls come second.
				reply, err := s.run(t.Context(), []string{fmt.Sprintf("share:{0}:%s:%d", own, i/2)}, 1, int64(time.Minute/time.Microsecond))
				if err != nil {
					t.Errorf("run: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if values := reply.([]any); refused(values) {
					refusals++
				} else {
					times[values[1].(string)]++
				}
			})
		}
		wg.Wait()
		if refusals != calls/2 {
			t.Errorf("%d of %d calls were refused; want half", refusals, calls)
		}
		trips, last := 0, int64(0) // the times of the calls of one round trip follow one another by a microsecond
		for _, at := range slices.Sorted(maps.Keys(times)) {
			if us, _ := strconv.ParseInt(at, 10, 64); us-last > maxBatch {
				trips, last = trips+1, us
			}
		}
		if trips > calls/5 {
			t.Errorf("%d calls took %d round trips", calls, trips)
		}
		if len(times) != calls/2 {
			t.Errorf("%d calls that were counted have %d times; want each its own", calls/2, len(times))
		}
		if len(s.lines) != 0 {
			t.Errorf("%d lines are left", len(s.lines))
		}
	})
}

// TestCallsFailByThemselves holds that a call that Redis refuses takes no other with it.
func TestCallsFailByThemselves(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		bad := "share:{0}:" + rand.Text()
		if err := c.redis.Set(t.Context(), bad, "no list", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		s := newScript(c, "take")
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				key := fmt.Sprintf("%s:%d", bad, i)
				if i%5 == 0 {
					key = bad
				}
				if _, err := s.run(t.Context(), []string{key}, 1, int64(time.Minute/time.Microsecond)); (err != nil) != (i%5 == 0) {
					t.Errorf("call %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}

// TestCallsGiveUp holds that a call that waits for its turn ends with its context, and that its place goes to the next.
func TestCallsGiveUp(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		s := newScript(c, "take")
		name := ""
		if c.cluster {
			name = "0"
		}
		s.lines[name] = &line{trips: maxTrips} // as if they were on their way
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		key := []string{"share:{0}:" + rand.Text()}
		if _, err := s.run(ctx, key, 1, 1000); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run: %v; want DeadlineExceeded", err)
		}
		if n := len(s.lines[name].waiting); n != 0 {
			t.Errorf("%d calls wait; want none", n)
		}
	})
}

// TestLostReplies holds that calls that share a round trip that fails all say that Redis is away.
func TestLostReplies(t *testing.T) {
	c, err := Open(Options{URL: "redis://127.0.0.1:1", Mode: Single})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	codes := NewCodes(c, otp.Policy{TTL: time.Minute, MaxAttempts: 5}, 1)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := codes.Check(t.Context(), "phone", otp.ForLogin, "digest"); !errors.Is(err, otp.ErrUnavailable) {
				t.Errorf("Check: %v; want ErrUnavailable", err)
			}
		})
	}
	wg.Wait()
}

// TestFullOutbox holds that a request is refused, and nothing is changed, where its message could not wait.
func TestFullOutbox(t *testing.T) {
	each(t, func(t *testing.T, c *Client) {
		codes := NewCodes(c, otp.Policy{TTL: time.Minute, MaxAttempts: 5, PerPhone: otp.Limit{Max: 1, Window: time.Minute}}, 1)
		codes.outboxMax = 2
		own := rand.Text()
		c.redis.Del(t.Context(), partition(0).outbox())
		open := func(phone string) (otp.Challenge, error) {
			return codes.Open(t.Context(), otp.Opening{Phone: otp.Pseudonym(own + phone), ID: uuid.New(), Digest: "digest", Letter: []byte("letter")})
		}
		var first otp.Challenge
		for _, phone := range []string{"a", "b"} {
			c, err := open(phone)
			if err != nil {
				t.Fatal(err)
			}
			first = c
		}
		for range 2 {
			if _, err := open("c"); !errors.Is(err, otp.ErrUnavailable) || !errors.Is(err, errFull) {
				t.Errorf("Open: %v; want it refused as full", err)
			}
		}
		if err := codes.Settle(t.Context(), first.Lease, otp.Outcome{State: otp.Sent}); err != nil {
			t.Fatal(err)
		}
		if _, err := open("c"); err != nil {
			t.Errorf("Open: %v; want it accepted, and not counted before", err)
		}
		c.redis.Del(t.Context(), partition(0).outbox())
	})
}
