// Package clock owns the time that the copies of the service have in common. Redis and the database decide about
// limits, codes and sessions by their own clocks. What is left to a copy, such as the times in access tokens and
// identifiers, is decided by a Clock, which follows the stores if the clock of the machine is wrong.
package clock

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// A Clock is the clock of this machine until Follow corrects it. It is safe for use by many goroutines. A nil Clock is
// never corrected.
type Clock struct{ base atomic.Pointer[base] }

// A base is one moment by both clocks. From there on, time is measured without the clock of the machine, so that a
// correction does no harm to a machine whose clock is set right afterwards.
type base struct{ machine, right time.Time }

// Follow makes Now return the time of a clock that is so far ahead of the one of this machine. A negative duration
// stands for a clock that is behind, and 0 ends the correction.
func (c *Clock) Follow(ahead time.Duration) {
	if ahead == 0 {
		c.base.Store(nil)
		return
	}
	now := time.Now()
	c.base.Store(&base{machine: now, right: now.Add(ahead)})
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	if c != nil {
		if b := c.base.Load(); b != nil {
			return b.right.Round(0).Add(time.Since(b.machine))
		}
	}
	return time.Now()
}

// NewID returns a new version 7 identifier (RFC 9562 §5.7), which begins with the time.
func (c *Clock) NewID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err == nil && c != nil && c.base.Load() != nil {
		const low = 1<<16 - 1 // what follows the 48 bits of the time
		rest := binary.BigEndian.Uint64(id[:8]) & low
		binary.BigEndian.PutUint64(id[:8], uint64(c.Now().UnixMilli())<<16|rest)
	}
	return id, err
}
