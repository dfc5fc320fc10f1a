package operator

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/metrics"
)

const maxCounters = 4096 // of a period; there are far fewer different events

// A History counts what happens: by the hour for the last two days, and by five minutes for the last hour. Each copy
// keeps its own counts and writes all counts of a period to the HistoryStore as one value: writing a value twice is
// harmless, and values are added up only when the page is read. While the store is down, the page lacks the latest
// counts of the other copies. A copy that is killed loses what it counted since its last write, a few seconds. A
// History is safe for concurrent use.
type History struct {
	id string // of this copy; random, so that a restarted copy is another one

	mu       sync.Mutex
	own      map[period]*ownTally
	store    HistoryStore // nil until Share is called
	writeErr error        // of the last write

	peers peers // what the other copies have counted
}

// NewHistory returns a History without counts.
func NewHistory() *History {
	return &History{
		id:    uuid.NewString(),
		own:   make(map[period]*ownTally),
		peers: peers{tallies: make(map[period]*peerTally)},
	}
}

// CountRequest implements otp.Metrics.
func (h *History) CountRequest(outcome, region string) {
	switch outcome {
	case "accepted":
		h.add(counterKey{Name: "requested", Region: region})
	case "test_number": // no message is sent for it
	default:
		h.add(counterKey{Name: "refused", Region: region, Reason: outcome})
	}
}

// CountMessage implements otp.Metrics.
func (h *History) CountMessage(name, provider, region string) {
	h.add(counterKey{Name: name, Region: region, Provider: provider})
}

// CountAttempt implements otp.Metrics.
func (h *History) CountAttempt(outcome, region string) {
	switch outcome {
	case "verified": // is counted by CountMessage; a test number has no message
	case "refused", "unavailable":
		h.add(counterKey{Name: "not_redeemed", Region: region, Reason: outcome})
	default:
		h.add(counterKey{Name: outcome, Region: region})
	}
}

// ObserveDelay implements otp.Metrics.
func (h *History) ObserveDelay(_ string, d time.Duration) {
	bucket, _ := slices.BinarySearch(metrics.DelayBounds[:], d.Seconds())
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, r := range resolutions {
		current := h.current(r, now)
		current.delays[bucket]++
		current.changes++
	}
}

// A counterKey names what a counter counts. Fields that do not apply are empty.
type counterKey struct {
	Name     string `json:"event"`
	Region   string `json:"region,omitempty"`
	Provider string `json:"provider,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func (e counterKey) compare(f counterKey) int {
	return cmp.Or(
		cmp.Compare(e.Name, f.Name),
		cmp.Compare(e.Region, f.Region),
		cmp.Compare(e.Provider, f.Provider),
		cmp.Compare(e.Reason, f.Reason),
	)
}

// delays counts codes by the time from the request to the right answer: one bucket for each of metrics.DelayBounds, and
// one more for what took longer.
type delays [len(metrics.DelayBounds) + 1]uint64

// A tally is what was counted in a period.
type tally struct {
	counts map[counterKey]uint64
	delays delays
}

func newTally() tally { return tally{counts: make(map[counterKey]uint64)} }

func (t *tally) add(o tally) {
	for e, n := range o.counts {
		t.counts[e] += n
	}
	for i, n := range o.delays {
		t.delays[i] += n
	}
}

// An ownTally is what this copy has counted in a period.
type ownTally struct {
	tally
	changes   uint64
	written   uint64 // how many of the changes the store has
	writtenAt time.Time
}

// add counts once. If a period has maxCounters already, a key that is new to it is counted by its name alone.
func (h *History) add(e counterKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, r := range resolutions {
		current, key := h.current(r, now), e
		if _, known := current.counts[key]; !known && len(current.counts) >= maxCounters {
			key = counterKey{Name: key.Name}
		}
		current.counts[key]++
		current.changes++
	}
}

// current returns the counts of the running period, and drops those that are too old. The caller holds h.mu.
func (h *History) current(r *resolution, now time.Time) *ownTally {
	running := r.at(now)
	current := h.own[running]
	if current == nil {
		maps.DeleteFunc(h.own, func(p period, _ *ownTally) bool { return p.isOld(now) })
		current = &ownTally{tally: newTally()}
		h.own[running] = current
	}
	return current
}

// A view is what all copies have counted, as far as this copy knows.
type view struct {
	tallies  map[period]*tally // without the periods in which nothing happened
	copies   int
	shared   bool      // the store answers
	sharedAt time.Time // when it last did; zero: never
}

// view adds up the counts of all copies.
func (h *History) view() view {
	h.mu.Lock()
	store := h.store
	h.mu.Unlock()

	h.peers.reading.Lock()
	defer h.peers.reading.Unlock()
	now := time.Now()
	shared := h.peers.read(store, h.id, now)
	v := view{tallies: make(map[period]*tally), copies: 1 + h.peers.alive(now), sharedAt: h.peers.answeredAt}
	for _, r := range resolutions {
		for _, p := range r.last(now, r.kept) {
			sum := newTally()
			if o := h.peers.tallies[p]; o != nil {
				sum.add(o.tally)
			}
			h.addOwn(p, &sum)
			if len(sum.counts) > 0 || sum.delays != (delays{}) {
				v.tallies[p] = &sum
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v.shared = shared && h.writeErr == nil
	return v
}

// addOwn adds what this copy has counted in a period. It holds h.mu for one period only, because every request needs
// it.
func (h *History) addOwn(p period, sum *tally) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.own[p]; o != nil {
		sum.add(o.tally)
	}
}

// A count is how often what its key names happened.
type count struct {
	counterKey
	N uint64 `json:"n"`
}

func sorted(counts map[counterKey]uint64) []count {
	list := make([]count, 0, len(counts))
	for e, n := range counts {
		list = append(list, count{e, n})
	}
	slices.SortFunc(list, func(a, b count) int { return a.compare(b.counterKey) })
	return list
}
