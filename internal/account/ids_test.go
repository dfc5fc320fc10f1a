package account

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestTimesOfIdentifiers checks the bounds of a page of events against an identifier that was made now.
func TestTimesOfIdentifiers(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	id := uuid.Must(uuid.NewV7())
	if at := issuedAt(id); at.Before(before) || time.Since(at) > time.Minute || at.Location() != time.UTC {
		t.Errorf("issuedAt: %v; want %v, in UTC", at, before)
	}
	at := issuedAt(id)
	for _, tc := range []struct {
		p  EventPage
		in bool
	}{
		{EventPage{}, true},
		{EventPage{From: at, To: at.Add(time.Millisecond)}, true},
		{EventPage{From: at.Add(time.Millisecond)}, false},
		{EventPage{To: at}, false},
		{EventPage{Before: id}, false},
		{EventPage{Before: uuid.Max}, true},
		{EventPage{Before: uuid.Max, To: at}, false},
		{EventPage{From: time.Unix(-1, 0), To: time.Unix(0, 0)}, false},
		{EventPage{To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, true},
	} {
		low, high := tc.p.Bounds()
		if in := low.String() <= id.String() && id.String() < high.String(); in != tc.in {
			t.Errorf("%+v: from %s to %s has %s: %t; want %t", tc.p, low, high, id, in, tc.in)
		}
	}
}
