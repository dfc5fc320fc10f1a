package redisstore

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// TestClock checks that the difference of the clocks is that of Redis' TIME.
func TestClock(t *testing.T) {
	const few = 30 * time.Second // for a slow machine
	for _, ahead := range []time.Duration{0, 72 * time.Hour, -72 * time.Hour} {
		server := miniredis.RunT(t)
		server.SetTime(time.Now().Add(ahead))
		c, err := Open(Options{URL: "redis://" + server.Addr(), Mode: Single, Timeout: few})
		if err != nil {
			t.Fatal(err)
		}
		latency, skew, err := c.Clock(t.Context())
		if err != nil || (skew-ahead).Abs() > few || latency <= 0 {
			t.Errorf("a Redis that is %v ahead: %v, %v, %v", ahead, skew, latency, err)
		}
		server.Close()
		if _, _, err := c.Clock(t.Context()); err == nil {
			t.Error("a Redis that is down has a clock")
		}
		_ = c.Close()
	}
}
