package failover

import (
	"context"
	"sync"
	"time"
)

// plainTimeout is how long the plain clients wait for a store, which is about as long as the service waits for Redis.
const plainTimeout = 500 * time.Millisecond

// A probe writes to a store without the service in between. It returns nil if the store took the write.
type probe func(ctx context.Context) error

// A span is a time in which something was so.
type span struct{ from, to time.Time }

// A watcher knows when a store did not serve, and when the machine was too slow to tell.
type watcher struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	outages []span     // from the last success before a failure to the first one after it, or a slow one
	open    map[int]time.Time
	stalls  []span // in which the machine was too slow, because the tests themselves were held up
}

const (
	probeEvery = 20 * time.Millisecond
	nap        = 10 * time.Millisecond
	stallAfter = 100 * time.Millisecond
)

// watch starts a watcher, which asks each probe by itself.
func watch(probes ...probe) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{stop: cancel, open: make(map[int]time.Time)}
	for i, p := range probes {
		w.done.Go(func() { w.ask(ctx, i, p) })
	}
	w.done.Go(func() { w.nap(ctx) })
	return w
}

// ask calls a probe again and again, and notes when it failed.
func (w *watcher) ask(ctx context.Context, i int, p probe) {
	last := time.Now()
	for ctx.Err() == nil {
		began := time.Now()
		call, cancel := context.WithTimeout(ctx, plainTimeout)
		err := p(call)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		failed, failing := w.open[i]
		switch {
		case err != nil && !failing:
			w.open[i] = last
		case err == nil && failing:
			delete(w.open, i)
			w.outages = append(w.outages, span{failed, time.Now()})
		case err == nil && time.Since(began) > stallAfter: // the store was away while the probe waited
			w.outages = append(w.outages, span{began, time.Now()})
		}
		w.mu.Unlock()
		if err == nil {
			last = began
		}
		time.Sleep(probeEvery)
	}
}

// nap sleeps for a short time again and again, and notes when it woke up much too late.
func (w *watcher) nap(ctx context.Context) {
	for began := time.Now(); ctx.Err() == nil; {
		time.Sleep(nap)
		now := time.Now()
		if now.Sub(began) > nap+stallAfter {
			w.tooSlow(span{began, now})
		}
		began = now
	}
}

// away notes an outage that a story knows of.
func (w *watcher) away(s span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outages = append(w.outages, s)
}

// tooSlow notes when the machine was too slow to tell.
func (w *watcher) tooSlow(s span) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalls = append(w.stalls, s)
}

// fails reports whether a store does not serve now.
func (w *watcher) fails() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open) > 0
}

// end stops the watcher.
func (w *watcher) end() { w.stop(); w.done.Wait() }

// since returns how long before a time the last outage that began before it had ended: 0 if it was not over yet. ok is
// false if there was none.
func (w *watcher) since(at time.Time) (d time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, from := range w.open {
		if from.Before(at) {
			return 0, true
		}
	}
	for _, o := range w.outages {
		if o.from.After(at) {
			continue
		}
		if gone := max(0, at.Sub(o.to)); !ok || gone < d {
			d, ok = gone, true
		}
	}
	return d, ok
}

// outage returns for how long the store did not serve in all, from the first failure to the last.
func (w *watcher) outage() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.outages) == 0 {
		return 0
	}
	from, to := w.outages[0].from, w.outages[0].to
	for _, o := range w.outages[1:] {
		if o.from.Before(from) {
			from = o.from
		}
		if o.to.After(to) {
			to = o.to
		}
	}
	return to.Sub(from)
}

// stalled reports whether the machine was too slow to tell in a span of time.
func (w *watcher) stalled(s span) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, stall := range w.stalls {
		if stall.from.Before(s.to) && stall.to.After(s.from) {
			return true
		}
	}
	return false
}
