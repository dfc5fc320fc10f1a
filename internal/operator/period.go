package operator

import (
	"cmp"
	"time"
)

// A resolution is a length of time by which events are counted.
type resolution struct {
	length time.Duration
	kept   int           // how many periods the page shows, the running one included
	layout string        // of the name of a period in the store
	life   time.Duration // of a period in the store, from its last write; longer than the page shows it
}

// Events are counted by the hour for two days, and by five minutes for one hour. The page keeps twelve full periods of
// five minutes beside the running one, so that its last hour is never shorter than an hour.
var (
	byHour        = &resolution{time.Hour, 48, "2006-01-02T15", 49 * time.Hour}
	byFiveMinutes = &resolution{5 * time.Minute, 13, "2006-01-02T15:04", 2 * time.Hour}
	resolutions   = [...]*resolution{byHour, byFiveMinutes}
)

// A period is one of the lengths of time into which a resolution divides time.
type period struct {
	*resolution
	n int64 // how many periods after the first one of 1970
}

// at returns the period in which t is.
func (r *resolution) at(t time.Time) period { return period{r, t.Unix() / int64(r.length/time.Second)} }

// last returns the last n periods, the newest and running one first.
func (r *resolution) last(now time.Time, n int) []period {
	periods := make([]period, n)
	for i := range periods {
		periods[i] = period{r, r.at(now).n - int64(i)}
	}
	return periods
}

// start returns when the period begins.
func (p period) start() time.Time { return time.Unix(p.n*int64(p.length/time.Second), 0).UTC() }

// name returns the name of the period in the store.
func (p period) name() string { return p.start().Format(p.layout) }

// isOld reports whether the page no longer shows the period.
func (p period) isOld(now time.Time) bool { return p.n <= p.at(now).n-int64(p.kept) }

// compare orders periods by their beginning.
func (p period) compare(q period) int {
	return cmp.Or(p.start().Compare(q.start()), cmp.Compare(p.length, q.length))
}
