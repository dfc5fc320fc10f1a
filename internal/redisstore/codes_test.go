package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/otp/otptest"
)

func TestCodesEmbedded(t *testing.T)  { suite(t, "embedded") }
func TestCodesOnRedis(t *testing.T)   { suite(t, "single") }
func TestCodesOnCluster(t *testing.T) { suite(t, "cluster") }

func suite(t *testing.T, kind string) {
	otptest.TestStore(t, func(t *testing.T, p otp.Policy) otptest.Store { return newTested(t, kind, p).Store })
}

// A tested is a store under test, and the same store without what the suite needs of it.
type tested struct {
	otptest.Store
	codes *Codes
}

// newTested returns a store with empty outboxes: messages that an earlier test left would be claimed first.
func newTested(t *testing.T, kind string, p otp.Policy) tested {
	t.Helper()
	c, calls := connect(t, kind), new(observertest.Calls)
	s := newCodes(t, c, p, 4)
	s.observer = calls
	return tested{otptest.Store{
		Store: s,
		Calls: calls,
		Age:   func(t *testing.T, d time.Duration) { age(t, c, d) },
	}, s}
}

// observed keeps the names of calls, and whether each found the store unavailable.
type observed struct {
	mu    sync.Mutex
	calls []string
}

func (o *observed) ObserveCall(_ context.Context, call string, _ time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, fmt.Sprintf("%s %t", call, errors.Is(err, otp.ErrUnavailable)))
}

// TestObserver checks that the observer learns of each call once, by its name, with its error, however many scripts and
// commands the call takes.
func TestObserver(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		var o observed
		s := newCodes(t, c, otp.Policy{
			TTL:           time.Minute,
			MaxAttempts:   5,
			DailyAttempts: 30,
			PerAddress:    otp.Limit{Max: 5, Window: time.Minute},
		}, 3)
		s.observer = &o
		phone := otp.Pseudonym(uuid.NewString())
		all := func(ctx context.Context) {
			opened, _ := s.Open(ctx, otp.Opening{
				Place:   otp.Place{Phone: phone},
				Address: otp.Address{Narrow: phone},
				ID:      uuid.New(),
				Digest:  "digest",
				Letter:  []byte("letter"),
			})
			_, _ = s.Renew(ctx, opened.Lease)
			_, _ = s.Claim(ctx, 1)
			_, _ = s.Status(ctx, otp.Place{Phone: phone}, opened.ID, opened.Send)
			handoff := otp.Handoff{Provider: "pigeon", ID: string(phone)}
			_ = s.Settle(ctx, opened.Lease, otp.Outcome{State: otp.Sent, Refund: true, Handoff: handoff, Region: "IR"})
			_, _, _ = s.Report(ctx, handoff, true)
			match, _ := s.Check(ctx, anAttempt(phone))
			_ = s.Close(ctx, anAttempt(phone), match)
			_ = s.Forget(ctx, phone)
		}
		all(t.Context())
		want := []string{
			"open false", "renew false", "claim false", "status false", "settle false", "report false", "check false",
			"close false", "forget false",
		}
		if !slices.Equal(o.calls, want) {
			t.Errorf("observed %q; want %q", o.calls, want)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		o.calls = nil
		all(ended)
		for _, call := range []string{"open true", "claim true", "status true", "check true", "forget true"} {
			if !slices.Contains(o.calls, call) {
				t.Errorf("observed %q; want %q", o.calls, call)
			}
		}
		if len(o.calls) != len(want) {
			t.Errorf("observed %q; want each call once", o.calls)
		}
	})
}
