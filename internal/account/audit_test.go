package account

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A swept store answers Sweep as the test says and keeps what it was asked. It is a log, too.
type swept struct {
	Store
	mu      sync.Mutex
	answers []Swept
	fail    bool
	asked   []Retention
	log     string
}

func (s *swept) Sweep(_ context.Context, b Retention) (answer Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, b)
	if s.fail {
		return Swept{}, errors.New("down")
	}
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	return answer, nil
}

func (s *swept) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log += string(line)
	return len(line), nil
}

// after waits and gives what was asked and logged.
func (s *swept) after(d time.Duration) ([]Retention, string) {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.log
}

func TestHousekeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &swept{answers: []Swept{{sweepBatch, 1}, {2, sweepBatch}, {3, 4}, {5, 0}}}
		const dormantAfter, auditTTL = 100 * 24 * time.Hour, 90 * 24 * time.Hour
		s := New(Options{Store: store, Log: slog.New(slog.NewTextHandler(store, nil)), DormantAfter: dormantAfter, AuditTTL: auditTTL})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		go func() { s.Housekeep(ctx); close(done) }()
		asked, log := store.after(time.Minute)
		if len(asked) != 3 || !strings.Contains(log, "sessions_deleted=505 audit_deleted=505") {
			t.Errorf("%d batches at the start, log %s; want three, and their sum", len(asked), log)
		}
		if first := asked[0]; first.SessionsDead != dormantAfter || first.Limit != sweepBatch || first.EventsBefore != firstAt(began.Add(-auditTTL)) {
			t.Errorf("asked for %+v; want sessions to stay while they tell who is dormant, and events for AUDIT_TTL", first)
		}
		asked, log = store.after(sweepEvery)
		if len(asked) != 4 || !strings.Contains(log, "sessions_deleted=5 audit_deleted=0") {
			t.Errorf("%d batches after a while, log %s; want one more", len(asked), log)
		}
		asked, again := store.after(sweepEvery)
		if len(asked) != 5 || again != log {
			t.Errorf("%d batches later, log %s; want one more, and no line of nothing", len(asked), again)
		}
		store.mu.Lock()
		store.fail = true
		store.mu.Unlock()
		if _, log := store.after(2 * sweepEvery); strings.Count(log, "housekeeping failed") != 2 {
			t.Errorf("log %s; want two failures, and that it goes on", log)
		}
		cancel()
		<-done
	})
}

// TestActions holds that the list of them is whole and in no disorder.
func TestActions(t *testing.T) {
	if names := slices.Compact(slices.Sorted(slices.Values(Actions))); len(names) != len(Actions) || len(names) != 10 {
		t.Errorf("actions %v; want ten", Actions)
	}
}
