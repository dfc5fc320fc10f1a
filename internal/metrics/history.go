package metrics

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	hoursKept     = 48
	cellsAtMost   = 4096             // of an hour; there are far fewer of all that can happen
	shareEvery    = 3 * time.Second  // at most, when there is something new
	greetEvery    = 30 * time.Second // when there is nothing new
	goneAfter     = 90 * time.Second // a copy that has not greeted
	readEvery     = time.Second      // the hours that still change
	readAllEvery  = 5 * time.Minute
	readWithin    = 5 * time.Second
	hoursAtOnce   = 8 // in a round trip, which Redis has little time for
	lastPutWithin = 2 * time.Second
)

// A Shelf keeps what each copy has counted in an hour, for the others and for after a restart.
type Shelf interface {
	// Put replaces what the copy has in that hour. It is kept for two days at least.
	Put(ctx context.Context, hour time.Time, copyID string, value []byte) error
	// All gives what the copies have in each of the hours, by their ids.
	All(ctx context.Context, hours []time.Time) ([]map[string][]byte, error)
}

// A history counts by the hour. Each copy has its own and puts all that it has counted in an hour on the shelf as one
// value, so that putting it twice is harmless and nobody has to add anything up before the page is looked at. A shelf that
// is down costs the page the news of the other copies; a copy that is killed loses what it counted in its last seconds.
type history struct {
	id string // of this copy, of chance: a restart is another copy

	mu     sync.Mutex
	own    map[int64]*ownHour // by hours since 1970
	shelf  Shelf
	putErr error

	reading sync.Mutex
	others  map[int64]*othersHour
	read    time.Time // when the shelf was last asked
	answers bool      // it did then
	readAll time.Time
	shared  time.Time // when it last answered
}

func newHistory() *history {
	return &history{id: uuid.NewString(), own: make(map[int64]*ownHour), others: make(map[int64]*othersHour)}
}

// A cell is what happens, where, by which provider and for which reason; what does not apply is empty.
type cell struct {
	Event    string `json:"event"`
	Region   string `json:"region,omitempty"`
	Provider string `json:"provider,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

func (c cell) compare(d cell) int {
	return cmp.Or(cmp.Compare(c.Event, d.Event), cmp.Compare(c.Region, d.Region), cmp.Compare(c.Provider, d.Provider), cmp.Compare(c.Reason, d.Reason))
}

// delays are codes by the time from the request to the right answer, in personBuckets and one more for what took longer.
type delays [len(personBuckets) + 1]uint64

// An hour is what was counted in it.
type hour struct {
	counts map[cell]uint64
	delays delays
}

func newHour() hour { return hour{counts: make(map[cell]uint64)} }

func (h *hour) add(o hour) {
	for c, n := range o.counts {
		h.counts[c] += n
	}
	for i, n := range o.delays {
		h.delays[i] += n
	}
}

// An othersHour is what the other copies have counted together, and when each greeted.
type othersHour struct {
	hour
	greeted map[string]int64 // Unix seconds
}

type ownHour struct {
	hour
	changes uint64
	kept    uint64 // of the changes: those that are on the shelf
	put     time.Time
}

// add counts one.
func (h *history) add(c cell) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.current()
	if _, known := now.counts[c]; !known && len(now.counts) >= cellsAtMost {
		c = cell{Event: c.Event}
	}
	now.counts[c]++
	now.changes++
}

// delay counts the time that a person took from asking for a code to sending it back.
func (h *history) delay(d time.Duration) {
	bucket, _ := slices.BinarySearch(personBuckets[:], d.Seconds())
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.current()
	now.delays[bucket]++
	now.changes++
}

// current gives the hour that it is, under mu.
func (h *history) current() *ownHour {
	n := hourOf(time.Now())
	o := h.own[n]
	if o == nil {
		maps.DeleteFunc(h.own, func(m int64, _ *ownHour) bool { return m <= n-hoursKept })
		o = &ownHour{hour: newHour()}
		h.own[n] = o
	}
	return o
}

func hourOf(t time.Time) int64      { return t.Unix() / 3600 }
func timeOf(hourNo int64) time.Time { return time.Unix(hourNo*3600, 0).UTC() }

// A record is what a copy has on the shelf for an hour.
type record struct {
	At     int64   `json:"at,omitempty"` // Unix seconds; none when the copy has ended
	Counts []count `json:"counts,omitempty"`
	Delays delays  `json:"delays"`
}

type count struct {
	cell
	N uint64 `json:"n"`
}

// share puts what is counted on the shelf until ctx is done, and then once more.
func (h *history) share(ctx context.Context, s Shelf) {
	h.mu.Lock()
	h.shelf = s
	h.mu.Unlock()
	again := time.NewTicker(shareEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			h.put(ctx, s, false)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPutWithin)
			defer cancel()
			h.put(ctx, s, true)
			return
		}
	}
}

// put brings the shelf up to date. What it does not take is put the next time.
func (h *history) put(ctx context.Context, s Shelf, ending bool) {
	for _, d := range h.drafts(ending) {
		value, err := json.Marshal(d.record)
		if err == nil {
			err = s.Put(ctx, timeOf(d.hour), h.id, value)
		}
		h.mu.Lock()
		if h.putErr = err; err == nil {
			d.own.kept, d.own.put = d.changes, time.Now()
		}
		h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// A draft is a record to put, and what of its hour is in it.
type draft struct {
	hour    int64
	own     *ownHour
	changes uint64
	record
}

// drafts are the records that the shelf does not have, oldest first.
func (h *history) drafts(ending bool) (drafts []draft) {
	h.mu.Lock()
	defer h.mu.Unlock()
	current := h.current()
	for _, n := range slices.Sorted(maps.Keys(h.own)) {
		o := h.own[n]
		if o.changes == o.kept && (o != current || !ending && time.Since(o.put) < greetEvery) {
			continue
		}
		d := draft{hour: n, own: o, changes: o.changes, record: record{Counts: sorted(o.counts), Delays: o.delays}}
		if !ending {
			d.At = time.Now().Unix()
		}
		drafts = append(drafts, d)
	}
	return drafts
}

func sorted(counts map[cell]uint64) []count {
	list := make([]count, 0, len(counts))
	for c, n := range counts {
		list = append(list, count{c, n})
	}
	slices.SortFunc(list, func(a, b count) int { return a.compare(b.cell) })
	return list
}

// A view is what all copies have counted, as far as it is known here.
type view struct {
	hours  map[int64]*hour // without those in which nothing happened
	copies int
	shared bool      // the shelf answers
	at     time.Time // when it last did; zero: never
}

// view adds up the last hours of all copies.
func (h *history) view() view {
	h.reading.Lock()
	defer h.reading.Unlock()
	now := time.Now()
	shared := h.readShelf(now)
	v := view{hours: make(map[int64]*hour), copies: 1, at: h.shared}
	greeted := make(map[string]int64)
	for n := hourOf(now) - hoursKept + 1; n <= hourOf(now); n++ {
		sum := newHour()
		if o := h.others[n]; o != nil {
			sum.add(o.hour)
			maps.Copy(greeted, o.greeted)
		}
		h.mu.Lock() // for no longer than this: every request counts
		if o := h.own[n]; o != nil {
			sum.add(o.hour)
		}
		h.mu.Unlock()
		if len(sum.counts) > 0 || sum.delays != (delays{}) {
			v.hours[n] = &sum
		}
	}
	for _, at := range greeted {
		if now.Sub(time.Unix(at, 0)) < goneAfter {
			v.copies++
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v.shared = shared && h.putErr == nil
	return v
}

// readShelf learns what the other copies have counted, and tells whether the shelf answers. The last two hours may still
// change; those before are asked for rarely.
func (h *history) readShelf(now time.Time) bool {
	h.mu.Lock()
	s := h.shelf
	h.mu.Unlock()
	if s == nil {
		return false
	}
	if now.Sub(h.read) < readEvery { // also for those who have waited for somebody else to read
		return h.answers
	}
	defer func() { h.read = time.Now() }()
	h.answers = false
	current := hourOf(now)
	hours, all := []time.Time{timeOf(current), timeOf(current - 1)}, now.Sub(h.readAll) >= readAllEvery
	for n := current - 2; all && n > current-hoursKept; n-- {
		hours = append(hours, timeOf(n))
	}
	ctx, cancel := context.WithTimeout(context.Background(), readWithin) // whoever has asked may go, and others have to be told
	defer cancel()
	for some := range slices.Chunk(hours, hoursAtOnce) {
		copies, err := s.All(ctx, some)
		if err != nil {
			return false
		}
		for i, hour := range some {
			delete(copies[i], h.id)
			h.others[hourOf(hour)] = addUp(copies[i])
		}
	}
	maps.DeleteFunc(h.others, func(n int64, _ *othersHour) bool { return n <= current-hoursKept })
	if h.answers, h.shared = true, now; all {
		h.readAll = now
	}
	return true
}

func addUp(copies map[string][]byte) *othersHour {
	sum := &othersHour{hour: newHour(), greeted: make(map[string]int64)}
	for id, value := range copies {
		var r record
		if json.Unmarshal(value, &r) != nil {
			continue // it is of another version
		}
		sum.greeted[id] = r.At
		for _, c := range r.Counts {
			sum.counts[c.cell] += c.N
		}
		sum.add(hour{delays: r.Delays})
	}
	return sum
}
