package stores

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestClocks checks that a clock that differs is logged at the start and every hour, and no other.
func TestClocks(t *testing.T) {
	for _, tc := range []struct {
		latency, skew time.Duration
		err           error
		want          string // what the line has; empty for none
	}{
		{time.Millisecond, 2 * time.Second, nil, ""},
		{time.Millisecond, 3 * time.Second, nil, "store=redis clock_here=behind seconds=3"},
		{time.Millisecond, -26 * time.Hour, nil, "store=redis clock_here=ahead seconds=93600"},
		{3 * time.Second, 3 * time.Second, nil, ""},
		{3 * time.Second, -4 * time.Second, nil, "store=redis clock_here=ahead seconds=4"},
		{0, time.Hour, errors.New("down"), ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			ask := func(context.Context) (latency, skew time.Duration, err error) { return tc.latency, tc.skew, tc.err }
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour-time.Minute)
			defer cancel()
			watchClocks(ctx, slog.New(slog.NewTextHandler(&log, nil)), []clock{{"redis", ask}})
			lines, want := strings.Count(log.String(), "\n"), 0
			if tc.want != "" {
				want = 3
			}
			if lines != want || strings.Count(log.String(), tc.want) < want {
				t.Errorf("%v off: want %d lines with %s:\n%s", tc.skew, want, tc.want, log.String())
			}
		})
	}
}
