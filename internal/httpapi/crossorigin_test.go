package httpapi

import (
	"strconv"
	"testing"
	"time"
)

// TestRefusedOrigins checks that an origin is logged once an hour, and that invented origins fill neither memory nor
// log.
func TestRefusedOrigins(t *testing.T) {
	var r refusedOrigins
	now := time.Now()
	for _, tc := range []struct {
		after time.Duration
		first bool
	}{
		{0, true},
		{0, false},
		{refusedAgain - 1, false},
		{refusedAgain, true},
		{refusedAgain + time.Minute, false},
		{2 * refusedAgain, true},
	} {
		if got := r.first("https://a.example", now.Add(tc.after)); got != tc.first {
			t.Errorf("after %v: %t; want %t", tc.after, got, tc.first)
		}
	}
	now = now.Add(10 * refusedAgain)
	logged := 0
	for i := range 10 * maxRefused {
		if r.first("https://"+strconv.Itoa(i)+".example", now) {
			logged++
		}
	}
	if logged != maxRefused || len(r.logged) != maxRefused {
		t.Errorf("%d origins are logged and %d remembered; want %d", logged, len(r.logged), maxRefused)
	}
	if !r.first("https://a.example", now.Add(refusedAgain)) {
		t.Error("an hour later no origin is logged any more")
	}
}
