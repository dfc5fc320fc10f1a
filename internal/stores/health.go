package stores

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dekamond-otp/internal/account"
)

const (
	touchTimeout = time.Second
	touchEvery   = time.Second      // while writes fail, and at most
	watchEvery   = 5 * time.Second  // while the store takes them
	stallAfter   = 10 * time.Second // without a write
)

// A Health knows whether a store takes writes, because it writes to it. Watch does that every five seconds, and every
// second while the store takes no write. A Health is safe for concurrent use.
type Health struct {
	store   string                      // in the log
	setting string                      // that names the store
	ping    func(context.Context) error // returns nil if the store answers
	touch   func(context.Context) error // writes to the store
	log     *slog.Logger

	mu      sync.Mutex // guards the fields below
	last    *write     // the one that began last; nil before the first
	taken   time.Time  // when the store last took a write
	failing bool       // the last write that ended was not taken
	stalled bool       // the log says that the store has stalled
}

// A write is one call of touch, which all have in common that ask for it.
type write struct {
	began time.Time
	done  chan struct{} // closed when it has ended
	err   error         // set before done is closed
}

func (w *write) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// newHealth returns the health of a store that takes writes now.
func newHealth(store, setting string, ping, touch func(context.Context) error, log *slog.Logger) *Health {
	return &Health{store: store, setting: setting, ping: ping, touch: touch, log: log, taken: time.Now()}
}

// Ping returns nil if the store answers and takes writes. All calls within a second share one write. Since that write
// may be older than a loss of the store, Ping also asks whether the store answers now.
func (h *Health) Ping(ctx context.Context) error {
	if err := h.ping(ctx); err != nil {
		return err
	}
	_, err := h.ask(ctx)
	return err
}

// Stalled reports whether the store has taken no write for 10 s. It waits for nothing.
func (h *Health) Stalled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing && time.Since(h.taken) >= stallAfter
}

// fails reports whether the store did not take the last write.
func (h *Health) fails() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failing
}

// watch writes until ctx is done, so that Stalled and the log know about a store that nothing else writes to.
func (h *Health) watch(ctx context.Context) {
	for {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*touchTimeout)
		began, err := h.ask(wait)
		if err != nil && wait.Err() != nil { // the store ignores the timeout of the write
			h.note(err)
		}
		cancel()
		every := watchEvery
		if err != nil {
			every = touchEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(began.Add(every))):
		}
	}
}

// ask waits for the write that current returns, and returns when it began and its error.
func (h *Health) ask(ctx context.Context) (began time.Time, err error) {
	w := h.current()
	select {
	case <-w.done:
		return w.began, w.err
	case <-ctx.Done():
		return w.began, fmt.Errorf("%s does not answer: %w", h.store, ctx.Err())
	}
}

// current returns the last write, or begins another one if the last one has ended and is a second old.
func (h *Health) current() *write {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil && (!h.last.ended() || time.Since(h.last.began) < touchEvery) {
		return h.last
	}
	w := &write{began: time.Now(), done: make(chan struct{})}
	h.last = w
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
		defer cancel()
		w.err = h.touch(ctx)
		h.note(w.err)
		close(w.done)
	}()
	return w
}

// note records the outcome of a write, and logs what it changes.
func (h *Health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	log := h.log.With("store", h.store, "setting", h.setting)
	if err == nil {
		if h.failing {
			log.Info("store takes writes again", "after", now.Sub(h.taken).Round(time.Second))
		}
		h.taken, h.failing, h.stalled = now, false, false
		return
	}
	if !h.failing {
		h.failing = true
		log.Warn("store takes no writes", "error", err.Error())
	}
	if !h.stalled && now.Sub(h.taken) >= stallAfter {
		h.stalled = true
		log.Error("store has taken no write for 10s", "error", err.Error())
	}
}

// wrote records that the store took a write of someone else. Whether the store fails is left to the writes of Health.
func (h *Health) wrote() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = time.Now()
}

// doubt makes the next Ping write, because someone else could not.
func (h *Health) doubt() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil && h.last.ended() && !h.failing {
		h.last = nil
	}
}

// countedAccounts counts a login as a write, so that a store that is merely too busy for the writes of its Health does
// not count as stalled, and one that refuses logins does not count as ready for another second.
type countedAccounts struct {
	Accounts
	health *Health
}

// Login implements account.Store.
func (a countedAccounts) Login(ctx context.Context, s account.NewSession) (account.User, error) {
	u, err := a.Accounts.Login(ctx, s)
	switch {
	case err == nil:
		a.health.wrote()
	case errors.Is(err, account.ErrUnavailable):
		a.health.doubt()
	}
	return u, err
}
