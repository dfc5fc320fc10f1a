package operator

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	writeEvery     = 3 * time.Second  // while there are new counts
	heartbeatEvery = 30 * time.Second // while there are none
	aliveFor       = 90 * time.Second // after its last heartbeat
	readEvery      = time.Second      // the last two periods of each resolution, which still change
	readAllEvery   = 5 * time.Minute
	readAllWithin  = 5 * time.Second
	periodsPerTrip = 8 // so that no round trip keeps Redis busy for long
	lastWrite      = 2 * time.Second
)

// A HistoryStore keeps what each copy has counted in each period, for the other copies and for the time after a
// restart.
type HistoryStore interface {
	// Put replaces the value of a copy for a period, and keeps the period for as long as life says.
	Put(ctx context.Context, period, copyID string, value []byte, life time.Duration) error
	// All returns the values of all copies for each of the periods, by the identifiers of the copies.
	All(ctx context.Context, periods []string) ([]map[string][]byte, error)
}

// A record is the value of a copy for a period.
type record struct {
	At     int64   `json:"at,omitempty"` // the heartbeat in Unix seconds; none once the copy has ended
	Counts []count `json:"counts,omitempty"`
	Delays delays  `json:"delays"`
}

// Share writes the counts of this copy to the store until ctx is done, and then once more. From its call on, the page
// also shows the counts of the other copies, which view reads from the store. Share is called once.
func (h *History) Share(ctx context.Context, s HistoryStore) {
	h.mu.Lock()
	h.store = s
	h.mu.Unlock()
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.write(ctx, s, false)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			h.write(ctx, s, true)
			return
		}
	}
}

// write brings the store up to date. What fails is written the next time.
func (h *History) write(ctx context.Context, s HistoryStore, ending bool) {
	for _, d := range h.drafts(ending) {
		value, err := json.Marshal(d.record)
		if err == nil {
			err = s.Put(ctx, d.period.name(), h.id, value, d.period.life)
		}
		h.mu.Lock()
		if h.writeErr = err; err == nil {
			d.own.written, d.own.writtenAt = d.changes, time.Now()
		}
		h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// A draft is a record that is to be written. It includes the first changes of its period, as many as changes says.
type draft struct {
	period  period
	own     *ownTally
	changes uint64
	record
}

// drafts returns the records that the store lacks, oldest first. The record of the running hour is also the heartbeat
// of this copy.
func (h *History) drafts(ending bool) (drafts []draft) {
	h.mu.Lock()
	defer h.mu.Unlock()
	current := h.current(byHour, time.Now())
	for _, p := range slices.SortedFunc(maps.Keys(h.own), period.compare) {
		o := h.own[p]
		heartbeat := o == current && (ending || time.Since(o.writtenAt) >= heartbeatEvery)
		if o.changes == o.written && !heartbeat {
			continue
		}
		d := draft{period: p, own: o, changes: o.changes, record: record{Counts: sorted(o.counts), Delays: o.delays}}
		if !ending {
			d.At = time.Now().Unix()
		}
		drafts = append(drafts, d)
	}
	return drafts
}

// peers are the other copies, as they were last read from the store.
type peers struct {
	reading    sync.Mutex // guards what follows
	tallies    map[period]*peerTally
	readAt     time.Time // when the store was last asked
	answers    bool      // it answered then
	readAllAt  time.Time
	answeredAt time.Time
}

// A peerTally is what the other copies have counted together in a period, and the last heartbeat of each.
type peerTally struct {
	tally
	heartbeats map[string]int64 // Unix seconds, by copy
}

// read asks the store for the counts of all copies but own, and reports whether it answers. The last two periods of
// each resolution may still change; those before are read rarely. The caller holds p.reading.
func (p *peers) read(s HistoryStore, own string, now time.Time) bool {
	if s == nil {
		return false
	}
	if now.Sub(p.readAt) < readEvery { // the caller may have waited for a read that has just ended
		return p.answers
	}
	defer func() { p.readAt = time.Now() }()
	p.answers = false
	var periods []period
	all := now.Sub(p.readAllAt) >= readAllEvery
	for _, r := range resolutions {
		n := 2
		if all {
			n = r.kept
		}
		periods = append(periods, r.last(now, n)...)
	}
	// The request that caused the read may end early, but others wait for its result.
	ctx, cancel := context.WithTimeout(context.Background(), readAllWithin)
	defer cancel()
	for some := range slices.Chunk(periods, periodsPerTrip) {
		names := make([]string, len(some))
		for i, period := range some {
			names[i] = period.name()
		}
		values, err := s.All(ctx, names)
		if err != nil {
			return false
		}
		for i, period := range some {
			delete(values[i], own)
			p.tallies[period] = addUp(values[i])
		}
	}
	maps.DeleteFunc(p.tallies, func(period period, _ *peerTally) bool { return period.isOld(now) })
	if p.answers, p.answeredAt = true, now; all {
		p.readAllAt = now
	}
	return true
}

// addUp adds up the values of a period. It leaves out values that another version of the service wrote in another form.
func addUp(values map[string][]byte) *peerTally {
	sum := &peerTally{tally: newTally(), heartbeats: make(map[string]int64)}
	for id, value := range values {
		var r record
		if json.Unmarshal(value, &r) != nil {
			continue
		}
		sum.heartbeats[id] = r.At
		for _, c := range r.Counts {
			sum.counts[c.counterKey] += c.N
		}
		sum.add(tally{delays: r.Delays})
	}
	return sum
}

// alive returns how many of the other copies have had a heartbeat lately. The caller holds p.reading.
func (p *peers) alive(now time.Time) (copies int) {
	last := make(map[string]int64)
	for _, hour := range slices.Backward(byHour.last(now, byHour.kept)) {
		if o := p.tallies[hour]; o != nil {
			maps.Copy(last, o.heartbeats)
		}
	}
	for _, at := range last {
		if now.Sub(time.Unix(at, 0)) < aliveFor {
			copies++
		}
	}
	return copies
}
