package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		c := new(Clock)
		check := func(when string, c *Clock, want time.Duration) {
			t.Helper()
			if got := time.Until(c.Now()); got != want {
				t.Errorf("%s: the clock is %v ahead; want %v", when, got, want)
			}
			id, err := c.NewID()
			if err != nil {
				t.Fatal(err)
			}
			at := time.Unix(id.Time().UnixTime())
			if got := time.Until(at); got.Round(time.Second) != want || id.Version() != 7 {
				t.Errorf("%s: the identifier %v is %v ahead; want %v, and version 7", when, id, got, want)
			}
		}
		check("nil", nil, 0)
		check("at first", c, 0)
		for _, ahead := range []time.Duration{400 * day, -3 * day, 5 * time.Second} {
			c.Follow(ahead)
			check("corrected", c, ahead)
			time.Sleep(time.Hour)
			check("an hour later", c, ahead)
		}
		c.Follow(0)
		check("no longer corrected", c, 0)
	})
}
