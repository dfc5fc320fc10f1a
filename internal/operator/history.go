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

const (
	hoursKept   = 48
	maxCounters = 4096 // of an hour; there are far fewer different events
)

// A History counts what happens by the hour, for the last two days. Each copy keeps its own counts and writes all
// counts of an hour to the HistoryStore as one value: writing a value twice is harmless, and values are added up only
// when the page is read. While the store is down, the page lacks the latest counts of the other copies. A copy that is
// killed loses what it counted since its last write, a few seconds. A History is safe for concurrent use.
type History struct {
	id string // of this copy; random, so that a restarted copy is another one

	mu       sync.Mutex
	own      map[hourNumber]*ownHour
	store    HistoryStore // nil until Share is called
	writeErr error        // of the last write

	peers peers // what the other copies have counted
}

// NewHistory returns a History without counts.
func NewHistory() *History {
	return &History{
		id:    uuid.NewString(),
		own:   make(map[hourNumber]*ownHour),
		peers: peers{hours: make(map[hourNumber]*peerHour)},
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
	now := h.currentHour()
	now.delays[bucket]++
	now.changes++
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

// An hourNumber counts hours since 1970.
type hourNumber int64

func hourOf(t time.Time) hourNumber  { return hourNumber(t.Unix() / 3600) }
func startOf(n hourNumber) time.Time { return time.Unix(int64(n)*3600, 0).UTC() }

// An hour is what was counted in it.
type hour struct {
	counts map[counterKey]uint64
	delays delays
}

func newHour() hour { return hour{counts: make(map[counterKey]uint64)} }

func (h *hour) add(o hour) {
	for e, n := range o.counts {
		h.counts[e] += n
	}
	for i, n := range o.delays {
		h.delays[i] += n
	}
}

// An ownHour is what this copy has counted in an hour.
type ownHour struct {
	hour
	changes   uint64
	written   uint64 // how many of the changes the store has
	writtenAt time.Time
}

// add counts once. If the hour has maxCounters already, a key that is new to it is counted by its name alone.
func (h *History) add(e counterKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.currentHour()
	if _, known := now.counts[e]; !known && len(now.counts) >= maxCounters {
		e = counterKey{Name: e.Name}
	}
	now.counts[e]++
	now.changes++
}

// currentHour returns the hour of now, and drops those that are too old. The caller holds h.mu.
func (h *History) currentHour() *ownHour {
	n := hourOf(time.Now())
	current := h.own[n]
	if current == nil {
		maps.DeleteFunc(h.own, func(m hourNumber, _ *ownHour) bool { return m <= n-hoursKept })
		current = &ownHour{hour: newHour()}
		h.own[n] = current
	}
	return current
}

// A view is what all copies have counted, as far as this copy knows.
type view struct {
	hours    map[hourNumber]*hour // without those in which nothing happened
	copies   int
	shared   bool      // the store answers
	sharedAt time.Time // when it last did; zero: never
}

// view adds up the last hours of all copies.
func (h *History) view() view {
	h.mu.Lock()
	store := h.store
	h.mu.Unlock()

	h.peers.reading.Lock()
	defer h.peers.reading.Unlock()
	now := time.Now()
	shared := h.peers.read(store, h.id, now)
	v := view{hours: make(map[hourNumber]*hour), copies: 1 + h.peers.alive(now), sharedAt: h.peers.answeredAt}
	for n := hourOf(now) - hoursKept + 1; n <= hourOf(now); n++ {
		sum := newHour()
		if o := h.peers.hours[n]; o != nil {
			sum.add(o.hour)
		}
		h.addOwn(n, &sum)
		if len(sum.counts) > 0 || sum.delays != (delays{}) {
			v.hours[n] = &sum
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v.shared = shared && h.writeErr == nil
	return v
}

// addOwn adds what this copy has counted in an hour. It holds h.mu for one hour only, because every request needs it.
func (h *History) addOwn(n hourNumber, sum *hour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o := h.own[n]; o != nil {
		sum.add(o.hour)
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
