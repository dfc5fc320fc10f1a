package otp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/requestid"
)

// TestTakenOver checks that the messages of a copy that died are sent once each, after their leases have run out.
func TestTakenOver(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		dead, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		var tickets []otp.Accepted
		for i := range 5 {
			phone := parse(fmt.Sprintf("+98912123456%d", i))
			a, err := dead.Request(w.t.Context(), otp.Request{Phone: phone, Address: address})
			if err != nil {
				t.Fatal(err)
			}
			tickets = append(tickets, a)
		}
		time.Sleep(3500 * time.Millisecond)
		if n := len(w.router.taken()); n != 0 {
			t.Fatalf("%d messages were taken over while their leases lasted", n)
		}
		time.Sleep(6500 * time.Millisecond)
		for _, a := range tickets {
			w.want(a, otp.Sent)
		}
		if n := len(w.router.taken()); n != 5 {
			t.Errorf("%d messages; want 5", n)
		}
	})
}

// TestRequestIDOfTakenOver checks that a copy that takes over a message logs the identifier of the HTTP request that
// another copy accepted, and that a copy that delivers a message of its own logs it too.
func TestRequestIDOfTakenOver(t *testing.T) {
	var log logged
	inWorld(t, func(o *otp.Options) { o.Log = slog.New(&log) }, func(w *world) {
		dead, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range map[string]*otp.Service{"of-another": dead, "of-its-own": w.Service} {
			ctx := requestid.With(w.t.Context(), id)
			if _, err := s.Request(ctx, otp.Request{Phone: iranian, Address: address}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		w.router.taken() // waits for the couriers
		want := map[string]int{
			"message sent of-its-own":       1,
			"message taken over of-another": 1,
			"message sent of-another":       1,
		}
		if !maps.Equal(log.lines, want) {
			t.Errorf("logged %v; want %v", log.lines, want)
		}
	})
}

// A logged counts the lines of the log, each with the identifier of the request that its context carries.
type logged struct {
	slog.Handler
	mu    sync.Mutex
	lines map[string]int
}

func (*logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = make(map[string]int)
	}
	l.lines[strings.TrimSpace(r.Message+" "+requestid.From(ctx))]++
	return nil
}

// TestLeftBehind checks that a message whose code has expired is not sent, but reported as failed and refunded.
func TestLeftBehind(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.PerPhone.Max = 1 }, func(w *world) {
		dead, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		w.stop()
		if _, err := dead.Request(w.t.Context(), otp.Request{Phone: iranian, Address: address}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Minute + time.Second)
		_, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		if n := len(w.router.taken()); n != 0 {
			t.Errorf("%d messages with an expired code were sent", n)
		}
		w.metrics.want(t, map[string]int{"failed none IR": 1})
		w.request(otp.Request{Phone: iranian}) // the send was refunded
	})
}

// TestWaited checks that a message that waited for a courier is not sent if its code was used meanwhile.
func TestWaited(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.request(otp.Request{Phone: iranian})
		code := w.router.code()
		w.stop()
		for used := range 2 {
			waits := w.request(otp.Request{Phone: iranian})
			time.Sleep(time.Second)
			if used == 1 {
				if err := w.verify(otp.Answer{Phone: iranian}, code, true, nil); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(w.t.Context())
			var running sync.WaitGroup
			running.Go(func() { w.Deliver(ctx) })
			if n := len(w.router.taken()); n != 2 {
				t.Errorf("%d messages, the code used: %t; want two", n, used == 1)
			}
			if used == 0 {
				w.want(waits, otp.Sent)
			}
			cancel()
			running.Wait()
		}
	})
}

// TestBurst checks that messages for which there is no courier wait, and that each is sent once.
func TestBurst(t *testing.T) {
	inWorld(t, func(o *otp.Options) { o.Policy.PerAddress = otp.Limit{} }, func(w *world) {
		const messages = 700
		w.router.set(takes(4 * time.Second))
		for i := range messages {
			w.request(otp.Request{Phone: parse(fmt.Sprintf("+989121234%03d", i))})
		}
		time.Sleep(50 * time.Second)
		sent := make(map[string]int)
		for _, m := range w.router.taken() {
			sent[m.To.E164()]++
		}
		if len(sent) != messages {
			t.Errorf("%d of %d messages were sent", len(sent), messages)
		}
		for phone, n := range sent {
			if n != 1 {
				t.Errorf("%d messages to %s; want one", n, phone)
			}
		}
	})
}

// TestDeliverEnds checks that Deliver finishes the messages in hand, for DrainTimeout at most, and leaves the rest.
func TestDeliverEnds(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.router.set(takes(3 * time.Second))
		a := w.request(otp.Request{Phone: iranian})
		synctest.Wait()
		began := time.Now()
		w.stop()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Deliver ended after %v; want it to finish the message in hand", took)
		}
		w.want(a, otp.Sent)

		_, w.stop = w.copy()
		w.router.set(stuck)
		dead := w.request(otp.Request{Phone: german}) // of a service whose couriers have ended
		time.Sleep(8 * time.Second)
		if n := len(w.router.taken()); n != 2 {
			t.Fatalf("%d messages; want two", n)
		}
		began = time.Now()
		w.stop()
		if took := time.Since(began); took != otp.DrainTimeout {
			t.Errorf("Deliver ended after %v; want %v", took, otp.DrainTimeout)
		}
		w.want(dead, otp.Queued) // for another copy
		w.router.set(nil)
		_, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		w.want(dead, otp.Sent)
	})
}

// TestChangedSecret checks that a copy with another secret leaves a message to a copy that can read it.
func TestChangedSecret(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		old, err := otp.New(w.options)
		if err != nil {
			t.Fatal(err)
		}
		w.stop()
		w.options.Secret = []byte(strings.Repeat("t", 32))
		w.Service, w.stop = w.copy()
		a, err := old.Request(w.t.Context(), otp.Request{Phone: iranian, Address: address})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if status, err := old.Status(w.t.Context(), a.Ticket); status.State != otp.Queued || err != nil {
			t.Errorf("Status: %v, %v; want queued", status.State, err)
		}
		if n := len(w.router.taken()); n != 0 {
			t.Errorf("%d messages; want none", n)
		}
		if _, err := w.Status(w.t.Context(), a.Ticket); !errors.Is(err, otp.ErrUnknown) {
			t.Errorf("Status of a ticket under another secret: %v; want ErrUnknown", err)
		}
		w.stop()
		w.options.Secret = []byte(strings.Repeat("s", 32))
		w.Service, w.stop = w.copy()
		time.Sleep(10 * time.Second)
		w.want(a, otp.Sent)
	})
}
