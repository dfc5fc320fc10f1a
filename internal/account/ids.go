package account

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// firstAt returns an identifier that is not above any version 7 identifier made at t or later, and above all that were
// made before t. Times are in milliseconds.
func firstAt(t time.Time) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(0, t.UnixMilli()))<<16)
	return id
}

// issuedAt returns the time of a version 7 identifier (RFC 9562 §5.7).
func issuedAt(id uuid.UUID) time.Time { return time.Unix(id.Time().UnixTime()).UTC() }
