package otp

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/requestid"
	"dekamond-otp/internal/trace"
)

const (
	deliverFor    = 15 * time.Second        // time to find a provider for a message
	renewInterval = 1500 * time.Millisecond // between two calls of Outbox.Renew; well below the length of a lease
	freshFor      = 100 * time.Millisecond  // a message that waited longer is checked by Renew before it is sent
	settleTries   = 3
	settlePause   = 500 * time.Millisecond // before the second try; doubled before the third
)

var errOutOfTime = errors.New("otp: out of time")

// A delivery is a message in the hands of a courier, which must not send it once its lease has run out.
type delivery struct {
	service *Service
	lease   Lease
	message Message
	began   time.Time
	cancel  context.CancelCauseFunc // ends the search for a provider

	mu    sync.Mutex // guards until
	until time.Time  // end of the lease
}

// deliver brings a message to its end, unless another courier takes it over or its code is dead.
func (s *Service) deliver(working context.Context, j job) {
	began := time.Now()
	if began.After(j.lease.Until) {
		return
	}
	l := j.letter
	if l == nil {
		var err error
		if l, err = s.keys.unseal(j.lease.Letter); err != nil { // a copy that has the right secret claims it
			s.log.WarnContext(working, "message not readable: do all copies have the same OTP_SECRET?",
				"message", messageID(j.lease.ID, j.lease.Send))
			return
		}
	}
	ctx := requestid.With(trace.With(working, l.Parent, l.State), l.RequestID)
	if j.letter == nil {
		s.log.InfoContext(ctx, "message taken over", "message", messageID(j.lease.ID, j.lease.Send))
	}
	ctx, span := s.tracer.Start(ctx, trace.Consumer, "deliver message")
	defer span.End()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &delivery{
		service: s,
		lease:   j.lease,
		message: s.message(j.lease, l),
		began:   began,
		cancel:  cancel,
		until:   j.lease.Until,
	}
	// Most messages are settled before their lease has to be renewed.
	defer time.AfterFunc(renewInterval, func() { d.keep(ctx) }).Stop()

	handoff, err := d.send(ctx, began.Sub(j.queued) > freshFor)
	switch {
	case err == nil:
		d.sent(ctx, handoff)
	case working.Err() != nil || errors.Is(err, ErrUnavailable):
		s.log.InfoContext(ctx, "message left to another copy", "phone", d.message.To, "message", d.message.ID)
	default:
		d.failed(ctx, span, err)
	}
}

func (s *Service) message(lease Lease, l *letter) Message {
	to := phone.Stored(l.To)
	code := s.keys.code(lease.ID, to, cmp.Or(lease.Length, s.policy.Length))
	return Message{
		ID:      messageID(lease.ID, lease.Send),
		Send:    lease.Send,
		To:      to,
		Region:  l.Region,
		Channel: l.Channel,
		Purpose: l.Purpose,
		Code:    code,
		Text:    s.texts.Compose(l.Locale, l.Purpose.Name(), code, lease.Life),
		Locale:  cmp.Or(l.Asked, l.Locale),
		TTL:     lease.Life,
		From:    l.From,
	}
}

// send hands the message to the router, unless its code has died while it waited.
func (d *delivery) send(ctx context.Context, waited bool) (Handoff, error) {
	if d.lease.Expired {
		return Handoff{}, ErrExpired
	}
	if waited {
		_ = d.renew(ctx) // cancels ctx if the message must not be sent
	}
	if err := context.Cause(ctx); err != nil {
		return Handoff{}, err
	}
	return d.service.router.Send(ctx, d.message, func() error { return d.stillHeld(ctx) })
}

func (d *delivery) sent(ctx context.Context, h Handoff) {
	s, m, took := d.service, d.message, time.Since(d.began)
	_ = s.settle(ctx, d.lease, Outcome{State: Sent, Handoff: h, Region: m.Region}) // settle logs its error
	s.metrics.CountMessage(string(Sent), h.Provider, m.Region)
	s.log.InfoContext(ctx, "message sent", "phone", m.To, "message", m.ID, "channel", m.Channel,
		"provider", h.Provider, "duration_ms", took.Milliseconds())
}

// failed settles a message that no provider accepted, unless another courier has taken it over or its code is dead.
func (d *delivery) failed(ctx context.Context, span trace.Span, err error) {
	s, m, took := d.service, d.message, time.Since(d.began)
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrExpired) {
		err = cause
	}
	if !pointless(cause) {
		refund := !errors.Is(err, ErrUndeliverable)
		cause = s.settle(ctx, d.lease, Outcome{State: Failed, Refund: refund, Region: m.Region})
	}
	if pointless(cause) {
		s.log.InfoContext(ctx, "message dropped", "phone", m.To, "message", m.ID, "reason", cause.Error())
		return
	}
	span.Fail("failed")
	s.metrics.CountMessage(string(Failed), "none", m.Region)
	s.log.WarnContext(ctx, "message failed", "phone", m.To, "message", m.ID, "channel", m.Channel,
		"duration_ms", took.Milliseconds(), "error", err.Error())
}

// pointless reports whether a delivery ended because another courier has the message or its code was used or burnt.
func pointless(cause error) bool { return errors.Is(cause, ErrLost) || errors.Is(cause, ErrNotLive) }

// renew extends the lease. Unless the error is ErrUnavailable, it also ends the search for a provider.
func (d *delivery) renew(ctx context.Context) error {
	until, err := d.service.store.Renew(ctx, d.lease)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			d.cancel(err)
		}
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = until
	return nil
}

// stillHeld returns an error if the message must not be sent now.
func (d *delivery) stillHeld(ctx context.Context) error {
	d.mu.Lock()
	held := time.Now().Before(d.until)
	d.mu.Unlock()
	if held {
		return context.Cause(ctx)
	}
	return d.renew(ctx)
}

// keep renews the lease until ctx is done, and ends the search for a provider after deliverFor.
func (d *delivery) keep(ctx context.Context) {
	again := time.NewTicker(renewInterval)
	defer again.Stop()
	end := time.NewTimer(time.Until(d.began.Add(deliverFor)))
	defer end.Stop()
	for {
		_ = d.renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			d.cancel(errOutOfTime)
			return
		case <-again.C:
		}
	}
}

// settle records the outcome, even if ctx is done, and tries again if the store is unavailable. A message that is
// never settled will be sent a second time.
func (s *Service) settle(ctx context.Context, l Lease, o Outcome) (err error) {
	ctx = context.WithoutCancel(ctx)
	for try := range settleTries {
		time.Sleep(time.Duration(try) * settlePause)
		if err = s.store.Settle(ctx, l, o); err == nil || errors.Is(err, ErrLost) {
			return err
		}
	}
	s.log.WarnContext(ctx, "message not settled",
		"message", messageID(l.ID, l.Send), "state", o.State, "error", err.Error())
	return err
}
