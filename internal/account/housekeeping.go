package account

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// A Retention selects what a Sweep deletes: at most Limit sessions and at most Limit events.
type Retention struct {
	KeepEnded    time.Duration // Sessions that ended longer ago are deleted.
	EventsBefore uuid.UUID     // Events older than this one are deleted.
	Limit        int
}

// Swept counts what a Sweep has deleted.
type Swept struct{ Sessions, Events int }

const (
	sweepEvery = 10 * time.Minute
	sweepPause = 50 * time.Millisecond // between two batches, in which the database serves its other clients
	sweepBatch = 500

	// keepEnded is how long a session is kept after its end. It is longer than a challenge lives, because the session
	// is what makes a second login with the same challenge fail.
	keepEnded = time.Hour
)

// Housekeep deletes sessions that have ended and events that are older than Options.AuditTTL, in small batches, at the
// start and then every ten minutes until ctx is done.
func (s *Service) Housekeep(ctx context.Context) {
	for wait := time.Duration(0); ; wait = sweepEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if total, err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "housekeeping failed", "error", err.Error())
		} else if total != (Swept{}) {
			s.log.InfoContext(ctx, "housekeeping",
				"sessions_deleted", total.Sessions, "audit_deleted", total.Events)
		}
	}
}

// sweep deletes batches until one is not full.
func (s *Service) sweep(ctx context.Context) (total Swept, err error) {
	retention := Retention{
		KeepEnded:    max(keepEnded, s.dormantAfter), // sessions also show when a user was last seen
		EventsBefore: firstAt(s.clock.Now().Add(-s.auditTTL)),
		Limit:        sweepBatch,
	}
	for {
		swept, err := s.store.Sweep(ctx, retention)
		total.Sessions += swept.Sessions
		total.Events += swept.Events
		if err != nil || max(swept.Sessions, swept.Events) < sweepBatch {
			return total, err
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(sweepPause):
		}
	}
}
