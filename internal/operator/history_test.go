package operator

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A memory is a HistoryStore in memory.
type memory struct {
	mu     sync.Mutex
	values map[string]map[string][]byte // by period and copy
	puts   int
	err    error         // is returned by every call
	full   error         // is returned by Put
	while  func()        // is called once by the next Put
	slow   time.Duration // how long All takes
	asked  int           // calls of All
}

func newMemory() *memory { return &memory{values: make(map[string]map[string][]byte)} }

func (m *memory) set(err, full error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.full = err, full
}

func (m *memory) during(while func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.while = sync.OnceFunc(while)
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

func (m *memory) Put(_ context.Context, period, copyID string, value []byte, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(m.err, m.full); err != nil {
		return err
	}
	if m.while != nil {
		m.while()
	}
	if m.values[period] == nil {
		m.values[period] = make(map[string][]byte)
	}
	m.values[period][copyID] = value
	m.puts++
	return nil
}

func (m *memory) All(ctx context.Context, periods []string) (all []map[string][]byte, err error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(m.slow):
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	for _, period := range periods {
		all = append(all, maps.Clone(m.values[period]))
	}
	return all, m.err
}

// TestSlowStore checks that a slow store is read in a few round trips, and not again by those that waited for them.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemory()
		s.slow = 500 * time.Millisecond
		h, _ := started(t, s)
		for range 6 {
			if v := h.view(); !v.shared {
				t.Error("the view is not shared")
			}
		}
		want := (byHour.kept + byFiveMinutes.kept + periodsPerTrip - 1) / periodsPerTrip
		if s.asked != want {
			t.Errorf("the store is asked %d times; want %d", s.asked, want)
		}
	})
}

// started returns a history that is shared until the test ends or stop is called.
func started(t *testing.T, s HistoryStore) (h *History, stop func()) {
	h = NewHistory()
	ctx, cancel := context.WithCancel(t.Context())
	var sharing sync.WaitGroup
	sharing.Go(func() { h.Share(ctx, s) })
	synctest.Wait()
	stop = func() { cancel(); sharing.Wait() }
	t.Cleanup(stop)
	return h, stop
}

var (
	sentIR = counterKey{Name: "sent", Region: "IR", Provider: "twilio"}
	sentDE = counterKey{Name: "sent", Region: "DE", Provider: "vonage"}
)

// story runs a test on a clock that begins at a full hour.
func story(t *testing.T, test func(*testing.T)) { t.Helper(); synctest.Test(t, test) }

// expect checks the counts by the hour; the running hour is 0.
func expect(t *testing.T, h *History, shared bool, copies int, want map[int]map[counterKey]uint64) {
	t.Helper()
	v := h.view()
	got := countsBy(byHour, v)
	if v.shared != shared || v.copies != copies || !maps.EqualFunc(got, want, maps.Equal) {
		t.Errorf("view: shared %v, %d copies, %v; want %v, %d, %v", v.shared, v.copies, got, shared, copies, want)
	}
}

// countsBy returns the counts of each period of a resolution; the running one is 0.
func countsBy(r *resolution, v view) map[int]map[counterKey]uint64 {
	counts := make(map[int]map[counterKey]uint64)
	for p, sum := range v.tallies {
		if p.resolution == r {
			counts[int(p.n-r.at(time.Now()).n)] = sum.counts
		}
	}
	return counts
}

// TestHistoryByFiveMinutes checks that the last hour is counted by five minutes too, by all copies, and that a copy
// that starts later knows it.
func TestHistoryByFiveMinutes(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		b, stop := started(t, store)
		a.add(sentIR)
		time.Sleep(5*time.Minute - time.Nanosecond)
		b.add(sentIR)
		time.Sleep(time.Nanosecond)
		b.add(sentIR)
		stop()
		time.Sleep(55 * time.Minute)
		a.add(sentDE)
		time.Sleep(writeEvery + readEvery)
		c, _ := started(t, store)
		want := map[int]map[counterKey]uint64{-12: {sentIR: 2}, -11: {sentIR: 1}, 0: {sentDE: 1}}
		for name, h := range map[string]*History{"a": a, "c": c} {
			if got := countsBy(byFiveMinutes, h.view()); !maps.EqualFunc(got, want, maps.Equal) {
				t.Errorf("copy %s: %v; want %v", name, got, want)
			}
		}
		time.Sleep(5 * time.Minute)
		want = map[int]map[counterKey]uint64{-12: {sentIR: 1}, -1: {sentDE: 1}}
		if got := countsBy(byFiveMinutes, a.view()); !maps.EqualFunc(got, want, maps.Equal) {
			t.Errorf("five minutes later: %v; want %v", got, want)
		}
	})
}

func TestHistoryOfCopies(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, stopA := started(t, store)
		b, stopB := started(t, store)
		var counting sync.WaitGroup
		for range 100 {
			counting.Go(func() { a.add(sentIR); b.add(sentIR); b.add(sentDE) })
		}
		counting.Wait()
		expect(t, a, true, 1, map[int]map[counterKey]uint64{0: {sentIR: 100}}) // a copy's own counts are shown at once
		time.Sleep(writeEvery + readEvery)
		both := map[int]map[counterKey]uint64{0: {sentIR: 200, sentDE: 100}}
		expect(t, a, true, 2, both)
		expect(t, b, true, 2, both)

		b.add(sentDE)
		stopB()
		time.Sleep(readEvery)
		both[0][sentDE]++
		expect(t, a, true, 1, both)
		stopA()
		c, _ := started(t, store)
		time.Sleep(readEvery)
		expect(t, c, true, 1, both)
	})
}

func TestHistoryForgetsAfterTwoDays(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, stop := started(t, store)
		b, _ := started(t, store)
		time.Sleep(time.Hour - time.Nanosecond)
		a.add(sentIR)
		time.Sleep(time.Nanosecond)
		a.add(sentDE)
		b.add(sentDE)
		time.Sleep(46*time.Hour + 59*time.Minute)
		expect(t, b, true, 2, map[int]map[counterKey]uint64{-47: {sentIR: 1}, -46: {sentDE: 2}})
		time.Sleep(time.Minute)
		expect(t, b, true, 2, map[int]map[counterKey]uint64{-47: {sentDE: 2}})
		expect(t, a, true, 2, map[int]map[counterKey]uint64{-47: {sentDE: 2}})
		time.Sleep(5 * time.Hour)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{})
		stop()
		if most := byHour.kept + byFiveMinutes.kept; len(a.own) > most || len(a.peers.tallies) > most {
			t.Errorf("%d own periods and %d of peers are kept; want %d", len(a.own), len(a.peers.tallies), most)
		}
	})
}

// TestHistoryWithoutStore checks that a store that is down costs nothing but the latest counts of the other copies.
func TestHistoryWithoutStore(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		b, _ := started(t, store)
		b.add(sentDE)
		time.Sleep(writeEvery + readEvery)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{0: {sentDE: 1}})
		store.set(errDown, nil)
		answered := time.Now()
		time.Sleep(writeEvery)
		a.add(sentIR)
		b.add(sentDE)
		time.Sleep(writeEvery)
		expect(t, a, false, 2, map[int]map[counterKey]uint64{0: {sentIR: 1, sentDE: 1}})
		expect(t, b, false, 1, map[int]map[counterKey]uint64{0: {sentDE: 2}}) // its view was never read before
		if at := a.view().sharedAt; !at.Equal(answered) {
			t.Errorf("the store answered at %v; want %v", at, answered)
		}
		time.Sleep(2 * time.Hour)
		store.set(nil, nil)
		time.Sleep(readAllEvery)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{-2: {sentIR: 1, sentDE: 2}})
	})
}

// TestHistoryOfFullStore checks that the page says so if the store does not take what this copy counts.
func TestHistoryOfFullStore(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		a.add(sentIR)
		store.set(nil, errDown)
		time.Sleep(writeEvery + readEvery)
		expect(t, a, false, 1, map[int]map[counterKey]uint64{0: {sentIR: 1}})
		store.set(nil, nil)
		time.Sleep(writeEvery)
		expect(t, a, true, 1, map[int]map[counterKey]uint64{0: {sentIR: 1}})
	})
}

// TestHistoryAtTheEdge counts in the last moment of an hour, and while the hour is written.
func TestHistoryAtTheEdge(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		b, _ := started(t, store)
		time.Sleep(time.Hour - time.Second)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{})
		b.add(sentIR)
		store.during(func() { b.add(sentIR) })
		time.Sleep(3 * writeEvery)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{-1: {sentIR: 1}, 0: {sentIR: 1}})
		time.Sleep(time.Minute)
		store.during(func() { b.add(sentDE) })
		b.add(sentIR)
		time.Sleep(3 * writeEvery)
		expect(t, a, true, 2, map[int]map[counterKey]uint64{-1: {sentIR: 1}, 0: {sentIR: 2, sentDE: 1}})
	})
}

// TestHistoryOfAnotherVersion checks that values that cannot be read are left out.
func TestHistoryOfAnotherVersion(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		a.add(sentIR)
		for id, value := range map[string]string{
			"x": "{",
			"y": `{"counts":7}`,
			"z": `{"counts":[{"event":"new","n":3,"of":1}],"delays":[1]}`,
		} {
			_ = store.Put(t.Context(), byHour.at(time.Now()).name(), id, []byte(value), byHour.life)
		}
		expect(t, a, true, 1, map[int]map[counterKey]uint64{0: {sentIR: 1, {Name: "new"}: 3}})
	})
}

// TestHistoryWritesWhatIsNew checks how often a copy writes, with and without new counts.
func TestHistoryWritesWhatIsNew(t *testing.T) {
	story(t, func(t *testing.T) {
		store := newMemory()
		a, _ := started(t, store)
		writes := func(within time.Duration) int {
			before := store.count()
			time.Sleep(within)
			synctest.Wait()
			return store.count() - before
		}
		if n := writes(writeEvery); n != 1 {
			t.Errorf("%d writes at the start; want 1", n)
		}
		if n := writes(heartbeatEvery - writeEvery); n != 0 {
			t.Errorf("%d writes without new counts; want none", n)
		}
		if n := writes(10 * time.Minute); n != 20 {
			t.Errorf("%d writes in ten minutes without new counts; want 20", n)
		}
		for range 1000 {
			a.add(sentIR)
		}
		if n := writes(writeEvery); n != len(resolutions) {
			t.Errorf("%d writes of the new counts; want one for each resolution", n)
		}
		if n := writes(heartbeatEvery - writeEvery); n != 0 {
			t.Errorf("%d writes after that; want none", n)
		}
	})
}

func TestHistoryDelays(t *testing.T) {
	h := NewHistory()
	for _, d := range []time.Duration{
		0,
		2 * time.Second,
		2*time.Second + 1,
		119 * time.Second,
		5 * time.Minute,
		time.Hour,
	} {
		h.ObserveDelay("", d)
	}
	for _, sum := range h.view().tallies {
		if want := (delays{2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}); sum.delays != want {
			t.Errorf("delays = %v; want %v", sum.delays, want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	story(t, func(t *testing.T) {
		h := NewHistory()
		for i := range 2 * maxCounters {
			h.add(counterKey{Name: "sent", Region: strconv.Itoa(i)})
		}
		h.add(counterKey{Name: "sent", Region: "0"}) // has a counter already
		counts := h.own[byHour.at(time.Now())].counts
		if n := len(counts); n > maxCounters+1 {
			t.Errorf("%d counters; want at most %d", n, maxCounters+1)
		}
		if n := counts[counterKey{Name: "sent"}]; n != maxCounters {
			t.Errorf("%d events are counted without their region; want %d", n, maxCounters)
		}
		if n := counts[counterKey{Name: "sent", Region: "0"}]; n != 2 {
			t.Errorf("%d events are counted with the first region; want 2", n)
		}
	})
}

func BenchmarkHistoryAdd(b *testing.B) {
	h := NewHistory()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			h.add(sentIR)
		}
	})
}
