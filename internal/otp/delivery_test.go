package otp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

func TestDelivery(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		a := w.request(otp.Request{Phone: iranian, Locale: "fa-IR", AcceptLanguage: "de"})
		w.want(a, otp.Sent)
		m := w.router.taken()[0]
		want := otp.Message{
			ID:      m.ID,
			Send:    1,
			To:      m.To,
			Region:  "IR",
			Channel: otp.SMS,
			Code:    m.Code,
			Text:    m.Code + " login in fa-IR|de|IR",
			Locale:  "fa-IR",
			TTL:     2 * time.Minute,
			From:    m.From,
		}
		if m != want {
			t.Errorf("message %#v; want %#v", m, want)
		}
		if m.To.E164() != iranian.E164() || len(m.Code) != 6 {
			t.Errorf("message %#v; want six digits to the phone", m)
		}
		if !strings.HasSuffix(m.ID, "-1") {
			t.Errorf("message %s; want an identifier that ends in -1", m.ID)
		}
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: m.ID, Delivered: true}); err != nil {
			t.Errorf("Report: %v", err)
		}
		w.want(a, otp.Delivered)
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: "unknown", Delivered: true}); err != nil {
			t.Errorf("Report of an unknown message: %v; want it ignored", err)
		}
		if err := w.verify(otp.Answer{Phone: iranian}, m.Code, true, nil); err != nil {
			t.Errorf("Verify: %v", err)
		}
		w.want(a, "")
		w.metrics.want(t, map[string]int{"sent pigeon IR": 1, "delivered pigeon IR": 1, "verified pigeon IR": 1})
		time.Sleep(time.Minute)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d messages; want one", n)
		}
	})
}

func TestFailedDelivery(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.ResendAfter = 30 * time.Second }, func(w *world) {
		w.router.set(func(context.Context, otp.Message) (otp.Handoff, error) { return otp.Handoff{}, errDown })
		for range 10 { // none counts against a limit
			if status := w.want(w.request(otp.Request{Phone: iranian}), otp.Failed); status.ResendIn != 0 {
				t.Errorf("resend in %v; want 0", status.ResendIn)
			}
		}
		w.metrics.want(t, map[string]int{"failed none IR": 10})
		if err := w.verify(otp.Answer{Phone: iranian}, w.router.code(), true, nil); err != nil {
			t.Errorf("the code of a message that may have arrived: %v", err)
		}

		w.router.set(func(context.Context, otp.Message) (otp.Handoff, error) {
			return otp.Handoff{}, fmt.Errorf("answered 400: %w", otp.ErrUndeliverable)
		})
		a := w.request(otp.Request{Phone: german})
		if status := w.want(a, otp.Failed); status.ResendIn < 29*time.Second {
			t.Errorf("after ErrUndeliverable resend in %v; want the send to count", status.ResendIn)
		}

		w.router.set(nil)
		a = w.request(otp.Request{Phone: iranian})
		w.want(a, otp.Sent)
		if err := w.Report(w.t.Context(), "pigeon", otp.Report{ID: w.router.taken()[11].ID}); err != nil {
			t.Fatal(err)
		}
		w.want(a, otp.Failed)
		w.metrics.want(t, map[string]int{
			"failed none IR":   10,
			"verified none IR": 1,
			"failed none DE":   1,
			"sent pigeon IR":   1,
			"failed pigeon IR": 1,
		})
	})
}

// TestNoProvider checks that a message that no provider accepts fails after 15 seconds, and not before.
func TestNoProvider(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.router.set(stuck)
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(14500 * time.Millisecond)
		w.want(a, otp.Queued)
		time.Sleep(time.Second)
		w.want(a, otp.Failed)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d calls of the router; want one", n)
		}
	})
}

// TestCutOff checks that a courier that cannot reach the store stops calling providers when its lease runs out.
func TestCutOff(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stop()
		store := &unsteady{Store: w.options.Store}
		w.options.Store = store
		w.Service, w.stop = w.copy()
		var mu sync.Mutex
		var calls []time.Duration
		began := time.Now()
		w.router.search = func(stillHeld func() error) error {
			for {
				if err := stillHeld(); err != nil {
					return err
				}
				mu.Lock()
				calls = append(calls, time.Since(began))
				mu.Unlock()
				time.Sleep(time.Second)
			}
		}
		store.set(100)
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(9500 * time.Millisecond)
		mu.Lock()
		if n := len(calls); n != 4 && n != 5 {
			t.Errorf("providers are called after %v; want the calls to end with the lease, after four seconds", calls)
		}
		mu.Unlock()
		w.router.search = nil
		store.set(0)
		time.Sleep(10 * time.Second)
		w.want(a, otp.Sent)
	})
}

// TestSlowDelivery checks that no other courier takes over a message whose delivery takes long.
func TestSlowDelivery(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		_, stop := w.copy()
		defer stop()
		w.router.set(takes(14 * time.Second))
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(14500 * time.Millisecond)
		w.want(a, otp.Sent)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("%d calls of the router; want one", n)
		}
	})
}

// TestPointless checks that the search for a provider ends when the code is used.
func TestPointless(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		ended := make(chan error, 1)
		w.router.set(func(ctx context.Context, m otp.Message) (otp.Handoff, error) {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return otp.Handoff{}, ctx.Err()
		})
		a := w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		select {
		case err := <-ended:
			if !errors.Is(err, otp.ErrNotLive) {
				t.Errorf("the search ended with %v; want ErrNotLive", err)
			}
		default:
			t.Error("the search goes on")
		}
		w.want(a, "")
		w.metrics.want(t, map[string]int{"verified none IR": 1})
	})
}

// TestSettlesAgain checks that an outcome is recorded although the store is unavailable at first.
func TestSettlesAgain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stop()
		w.options.Store = &unsteady{Store: w.options.Store, faults: 2}
		w.Service, w.stop = w.copy()
		a := w.request(otp.Request{Phone: iranian})
		time.Sleep(20 * time.Second)
		w.want(a, otp.Sent)
		if n := len(w.router.taken()); n != 1 {
			t.Errorf("the message was sent %d times; want once", n)
		}
	})
}

// An unsteady store is unavailable for the next calls about messages, as many as faults.
type unsteady struct {
	otp.Store
	mu     sync.Mutex
	faults int
}

func (u *unsteady) set(faults int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = faults
}

func (u *unsteady) fault() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.faults--; u.faults >= 0 {
		return otp.ErrUnavailable
	}
	return nil
}

func (u *unsteady) Settle(ctx context.Context, l otp.Lease, o otp.Outcome) error {
	if err := u.fault(); err != nil {
		return err
	}
	return u.Store.Settle(ctx, l, o)
}

func (u *unsteady) Claim(ctx context.Context, n int) ([]otp.Lease, error) {
	if err := u.fault(); err != nil {
		return nil, err
	}
	return u.Store.Claim(ctx, n)
}

func (u *unsteady) Renew(ctx context.Context, l otp.Lease) (time.Time, error) {
	if err := u.fault(); err != nil {
		return time.Time{}, err
	}
	return u.Store.Renew(ctx, l)
}
