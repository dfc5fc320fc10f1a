package stores

import (
	"context"
	"log/slog"
	"time"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/redisstore"
)

// ClockTolerance is how far the clock of this machine may be off that of a store.
const ClockTolerance = 2 * time.Second

const (
	// clockEvery is how often the clocks are compared. They are also compared soon after the clock of this machine was
	// set.
	clockEvery = time.Hour
	// clockTick is how often clocks looks whether the clock of this machine was set.
	clockTick = 10 * time.Second
	// clockTimeout is how long a comparison may take in all.
	clockTimeout = 5 * time.Second
)

// A serverClock is the clock of a store.
type serverClock struct {
	store, setting string
	// ask returns the time of a round trip to the store, and how far its clock is ahead of the one of this machine.
	ask func(context.Context) (latency, skew time.Duration, err error)
}

// clocks compares the clock of this machine with those of the stores. It warns of a difference, and lets the common
// clock follow the stores if both of them say the same, because then it is this machine whose clock is wrong.
type clocks struct {
	servers []serverClock // none of an embedded store, which has no clock of its own
	common  *clock.Clock
	log     *slog.Logger
}

func newClocks(o Options, redis *redisstore.Client, accounts Accounts) *clocks {
	c := &clocks{common: o.Clock, log: o.Log}
	if !o.Config.EmbeddedRedis() {
		c.servers = append(c.servers, serverClock{"redis", redisSetting(""), redis.Clock})
	}
	if postgres, ok := accounts.(*pgstore.Accounts); ok {
		c.servers = append(c.servers, serverClock{"database", o.Config.DatabaseSetting(""), postgres.Clock})
	}
	return c
}

// watch compares the clocks every hour until ctx is done. The first comparison was made before.
func (c *clocks) watch(ctx context.Context) {
	if len(c.servers) == 0 {
		return
	}
	compared := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(clockTick):
		}
		now := time.Now()
		byMachine, elapsed := now.Round(0).Sub(compared.Round(0)), now.Sub(compared)
		if wasSet := (byMachine - elapsed).Abs() > ClockTolerance/2; elapsed >= clockEvery || wasSet {
			c.compare(ctx)
			compared = time.Now()
		}
	}
}

// compare asks each store, logs a warning for each whose clock differs, and corrects the common clock.
func (c *clocks) compare(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	var skews []time.Duration // of the clocks that differ
	answered := 0
	for _, s := range c.servers {
		latency, skew, err := s.ask(ctx)
		if err != nil {
			continue
		}
		answered++
		if skew.Abs()-latency/2 <= ClockTolerance {
			continue
		}
		skews = append(skews, skew)
		direction := "behind"
		if skew < 0 {
			direction = "ahead"
		}
		c.log.WarnContext(ctx, "the clock of this machine differs from that of the store; run NTP on both",
			"store", s.store, "setting", s.setting, "difference", skew.Abs().Round(10*time.Millisecond),
			"here", direction)
	}
	agree := len(skews) == 2 && (skews[0]-skews[1]).Abs() <= ClockTolerance
	switch {
	case agree:
		c.common.Follow(skews[0])
		c.log.WarnContext(ctx, "access tokens and identifiers have the time of the stores, which agree")
	case answered == len(c.servers): // otherwise a correction stays, because nothing speaks against it
		c.common.Follow(0)
	}
}
