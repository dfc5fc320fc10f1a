package otp

import (
	"context"
	"sync"
	"time"
)

const (
	couriers      = 1024                  // messages that a copy delivers at the same time
	maxJobs       = 1024                  // messages that wait for a courier of this copy
	maxClaim      = 128                   // messages that one call of Outbox.Claim takes over
	claimInterval = time.Second           // between two calls of Outbox.Claim
	claimAgain    = 50 * time.Millisecond // the same, while a call returns as many messages as it asked for
)

// DrainTimeout is how long Deliver continues with the messages in hand after its context is done.
const DrainTimeout = 5 * time.Second

// A job is a message that waits for a courier of this copy.
type job struct {
	lease  Lease
	letter *letter // nil if another copy wrote it: then lease.Letter has to be unsealed
	queued time.Time
}

// enqueue queues the message for the couriers of this copy. If too many messages wait already, it is left in the store,
// where a courier of any copy claims it.
func (s *Service) enqueue(l Lease, letter *letter) {
	if l.Ref == nil { // the store granted no lease
		return
	}
	select {
	case s.jobs <- job{l, letter, time.Now()}:
	default:
	}
}

// Deliver hands queued messages to the router until ctx is done: those that this copy accepted, and those that other
// copies left behind. It then finishes the messages in hand, for DrainTimeout at most.
func (s *Service) Deliver(ctx context.Context) {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(DrainTimeout, abandon) })()
	var running sync.WaitGroup
	places := make(chan struct{}, couriers)
	start := func(j job) {
		select {
		case places <- struct{}{}:
			running.Go(func() {
				s.deliver(working, j)
				<-places
			})
		case <-working.Done():
		}
	}
	running.Go(func() {
		s.claim(ctx, func() int { return min(maxClaim, couriers-len(places)-len(s.jobs)) })
	})
	for ctx.Err() == nil {
		select {
		case j := <-s.jobs:
			start(j)
		case <-ctx.Done():
		}
	}
	for len(s.jobs) > 0 {
		start(<-s.jobs)
	}
	running.Wait()
}

// claim takes over as many abandoned messages as room returns, again and again until ctx is done.
func (s *Service) claim(ctx context.Context, room func() int) {
	next := time.NewTimer(claimInterval)
	defer next.Stop()
	for down := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		n, again := room(), claimInterval
		if n > 0 {
			claimed, err := s.store.Claim(ctx, n)
			for _, l := range claimed {
				s.enqueue(l, nil)
			}
			isNew := err != nil && !down
			if isNew && ctx.Err() == nil {
				s.log.WarnContext(ctx, "outbox not read", "error", err.Error())
			}
			if down = err != nil; len(claimed) == n {
				again = claimAgain
			}
		}
		next.Reset(again)
	}
}
