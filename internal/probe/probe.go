// Package probe owns what all packages have in common that ask a server about itself: errors in words that may be
// shown to anyone, the measuring of a server's clock, and what can be told about a folder. The package that knows the
// server decides what to ask, and package doctor what the answers mean for a deployment.
package probe

import (
	"slices"
	"time"
)

// An Error is the rest of a sentence about a server, such as "asks for a password". It is written in this program and
// never by a server, so that it may be shown and logged.
type Error string

func (e Error) Error() string { return string(e) }

// A Refusal is an Error that lasts until someone changes a setting or the server, so that nothing is gained by waiting.
type Refusal struct {
	Words   Error
	Setting string // The environment variable that it is about, if the server has several; may be empty.
}

func (r Refusal) Error() string { return r.Words.Error() }

const samples = 5 // Round trips of which Clock returns the median.

// Clock asks a server for its time, several times. It returns the median latency of that, and how far the server's
// clock is ahead of the clock of this machine, by the shortest round trip, half of which the answer is taken to be old.
// Its error is the first one of ask.
func Clock(ask func() (time.Time, error)) (latency, skew time.Duration, err error) {
	var trips []time.Duration
	for range samples {
		began := time.Now()
		now, err := ask()
		if err != nil {
			return 0, 0, err
		}
		trip := time.Since(began)
		if len(trips) == 0 || trip < slices.Min(trips) {
			skew = now.Sub(began.Add(trip / 2))
		}
		trips = append(trips, trip)
	}
	slices.Sort(trips)
	return trips[samples/2], skew, nil
}
