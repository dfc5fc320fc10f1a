package account

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A sweptStore returns the results that a test sets and records the calls of Sweep. It is the log of the service, too.
type sweptStore struct {
	Store
	mu      sync.Mutex // guards all fields below
	results []Swept    // of the next calls; zero when they are used up
	fail    bool
	asked   []Retention
	log     string
}

func (s *sweptStore) Sweep(_ context.Context, r Retention) (result Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if s.fail {
		return Swept{}, errors.New("down")
	}
	if len(s.results) > 0 {
		result, s.results = s.results[0], s.results[1:]
	}
	return result, nil
}

func (s *sweptStore) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log += string(line)
	return len(line), nil
}

// after waits for d and returns the calls and the log so far.
func (s *sweptStore) after(d time.Duration) ([]Retention, string) {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.log
}

// TestHousekeep checks that housekeeping deletes batches until one is not full, again every ten minutes, goes on after
// a failure, and logs what it has deleted.
func TestHousekeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &sweptStore{results: []Swept{{sweepBatch, 1}, {2, sweepBatch}, {3, 4}, {5, 0}}}
		const dormantAfter, auditTTL = 100 * 24 * time.Hour, 90 * 24 * time.Hour
		s := New(Options{
			Store:        store,
			Log:          slog.New(slog.NewTextHandler(store, nil)),
			DormantAfter: dormantAfter,
			AuditTTL:     auditTTL,
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		go func() { s.Housekeep(ctx); close(done) }()
		asked, log := store.after(time.Minute)
		if len(asked) != 3 || !strings.Contains(log, "sessions_deleted=505 audit_deleted=505") {
			t.Errorf("%d batches at the start, log %s; want three, and the sum of what they deleted", len(asked), log)
		}
		want := Retention{KeepEnded: dormantAfter, EventsBefore: firstAt(began.Add(-auditTTL)), Limit: sweepBatch}
		if asked[0] != want {
			t.Errorf("Sweep(%+v); want %+v: sessions are kept for DormantAfter, events for AuditTTL", asked[0], want)
		}
		asked, log = store.after(sweepEvery)
		if len(asked) != 4 || !strings.Contains(log, "sessions_deleted=5 audit_deleted=0") {
			t.Errorf("%d batches after a while, log %s; want one more", len(asked), log)
		}
		asked, again := store.after(sweepEvery)
		if len(asked) != 5 || again != log {
			t.Errorf("%d batches later, log %s; want one more, and no line for an empty batch", len(asked), again)
		}
		store.mu.Lock()
		store.fail = true
		store.mu.Unlock()
		if _, log := store.after(2 * sweepEvery); strings.Count(log, "housekeeping failed") != 2 {
			t.Errorf("log %s; want two failures, the second after another ten minutes", log)
		}
		cancel()
		<-done
	})
}
