package stores

import (
	"context"
	"log/slog"
	"time"
)

const (
	clocksEvery = time.Hour
	// skewed is how far two clocks may differ. A copy whose clock is off issues tokens that live too long or not long
	// enough for the others.
	skewed = 2 * time.Second
)

// A clock is that of a store.
type clock struct {
	store string // in the log
	// ask returns the time of a round trip to the store, and how far its clock is ahead of the clock here.
	ask func(context.Context) (latency, skew time.Duration, err error)
}

// watchClocks compares the clocks with the one here, at once and every hour until ctx is done, and logs a warning for
// each that differs. What the round trip leaves uncertain is no difference, and a store that does not answer is no
// matter of clocks.
func watchClocks(ctx context.Context, log *slog.Logger, clocks []clock) {
	again := time.NewTicker(clocksEvery)
	defer again.Stop()
	for {
		for _, c := range clocks {
			latency, skew, err := c.ask(ctx)
			if err != nil || skew.Abs() <= skewed+latency/2 {
				continue
			}
			here := "behind"
			if skew < 0 {
				here = "ahead"
			}
			log.WarnContext(ctx, "clock differs from the store's: run NTP on both",
				"store", c.store, "clock_here", here, "seconds", skew.Abs().Round(time.Second).Seconds())
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}
