package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/trace"
)

const (
	couriers    = 1024                    // messages that a copy has in hand; each waits for its provider, or for one to be back
	waiting     = 1024                    // messages of this copy's requests that wait for a courier
	claimAtMost = 128                     // messages of others
	deliverFor  = 15 * time.Second        // to find a provider for a message
	holdEvery   = 1500 * time.Millisecond // Outbox.Hold; well below the time after which another courier claims
	freshFor    = 100 * time.Millisecond  // a message that has waited longer may have become pointless
	sweepEvery  = time.Second
	sweepAgain  = 50 * time.Millisecond // while there is more than a copy can hold
	settleTries = 3
	settleAgain = 500 * time.Millisecond
)

// DrainTimeout is how long Deliver goes on with the messages in hand when it is told to end.
const DrainTimeout = 5 * time.Second

var errOutOfTime = errors.New("otp: out of time")

// hand gives a message to the couriers of this copy. Where there are too many it stays in the store, until one of any
// copy claims it.
func (s *Service) hand(p Lease) {
	if p.Ref == nil {
		return
	}
	p.since = time.Now()
	select {
	case s.leases <- p:
	default:
	}
}

// Deliver hands queued messages to the router, those of this copy's requests and those that other copies left
// behind, until ctx is done; then it ends with those in hand.
func (s *Service) Deliver(ctx context.Context) {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(DrainTimeout, abandon) })()
	var running sync.WaitGroup
	places := make(chan struct{}, couriers)
	send := func(p Lease) {
		select {
		case places <- struct{}{}:
			running.Go(func() {
				s.deliver(working, p)
				<-places
			})
		case <-working.Done():
		}
	}
	running.Go(func() { s.sweep(ctx, func() int { return min(claimAtMost, couriers-len(places)-len(s.leases)) }) })
	for ctx.Err() == nil {
		select {
		case p := <-s.leases:
			send(p)
		case <-ctx.Done():
		}
	}
	for len(s.leases) > 0 {
		send(<-s.leases)
	}
	running.Wait()
}

// sweep claims as many messages as there is room for, again and again until ctx is done.
func (s *Service) sweep(ctx context.Context, room func() int) {
	next := time.NewTimer(sweepEvery)
	defer next.Stop()
	for down := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		n, again := room(), sweepEvery
		if n > 0 {
			claimed, err := s.store.Claim(ctx, n)
			for _, p := range claimed {
				s.log.Info("message taken over", "message", messageID(p.ID, p.Send))
				s.hand(p)
			}
			if err != nil && !down && ctx.Err() == nil {
				s.log.Warn("outbox not read", "error", err.Error())
			}
			if down = err != nil; len(claimed) == n {
				again = sweepAgain
			}
		}
		next.Reset(again)
	}
}

// deliver brings a message to its end, unless it is lost to another courier or has become pointless.
func (s *Service) deliver(working context.Context, p Lease) {
	began := time.Now()
	if began.After(p.Until) {
		return
	}
	letter := p.opened
	if letter == nil {
		var err error
		if letter, err = s.keys.unseal(p.Letter); err != nil { // under another OTP_SECRET: a copy that has that one claims it
			s.log.Warn("message not readable: do all copies have the same OTP_SECRET?", "message", messageID(p.ID, p.Send))
			return
		}
	}
	to := phone.Stored(letter.To)
	code := s.keys.code(p.ID, to, s.policy.Length)
	m := Message{
		ID: messageID(p.ID, p.Send), Send: p.Send, To: to, Region: letter.Region, Channel: letter.Channel, Purpose: letter.Purpose,
		Code: code, Text: s.texts.Compose(letter.Locale, letter.Purpose.Name(), code),
		Locale: cmp.Or(letter.Asked, letter.Locale), TTL: s.policy.TTL,
	}
	ctx, span := s.tracer.Start(trace.With(logged{working, p.request}, letter.Parent, letter.State), trace.Consumer, "deliver message")
	defer span.End()
	ctx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	h := &holding{s: s, p: p, until: p.Until, drop: drop}
	if p.Expired {
		drop(ErrExpired)
	} else if began.Sub(p.since) > freshFor {
		_ = h.renew(ctx)
	}
	// Most messages are out before they have to be held.
	defer time.AfterFunc(holdEvery, func() { h.keep(ctx, began.Add(deliverFor)) }).Stop()

	carried, err := Handoff{}, context.Cause(ctx)
	if err == nil {
		carried, err = s.router.Send(ctx, m, func() error { return h.may(ctx) })
	}
	took := time.Since(began).Milliseconds()
	if err == nil {
		_ = s.settle(ctx, p, Outcome{State: Sent, Handoff: carried, Region: m.Region}) // which logs its error
		s.metrics.CountMessage(string(Sent), carried.Provider, m.Region)
		s.log.InfoContext(ctx, "message sent", "phone", to, "message", m.ID, "channel", m.Channel, "provider", carried.Provider, "duration_ms", took)
		return
	}
	if working.Err() != nil || errors.Is(err, ErrUnavailable) {
		s.log.InfoContext(ctx, "message left to another copy", "phone", to, "message", m.ID)
		return
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrExpired) {
		err = cause
	}
	if !dropped(cause) {
		cause = s.settle(ctx, p, Outcome{State: Failed, Refund: !errors.Is(err, ErrUndeliverable), Region: m.Region})
	}
	if dropped(cause) {
		s.log.InfoContext(ctx, "message dropped", "phone", to, "message", m.ID, "reason", cause.Error())
		return
	}
	span.Fail("failed")
	s.metrics.CountMessage(string(Failed), "none", m.Region)
	s.log.WarnContext(ctx, "message failed", "phone", to, "message", m.ID, "channel", m.Channel, "duration_ms", took, "error", err.Error())
}

// dropped tells whether others have the message by now, or nobody needs it.
func dropped(cause error) bool { return errors.Is(cause, ErrLost) || errors.Is(cause, ErrNotLive) }

// A holding is a parcel in the hands of a courier, who must not send it when others may have it by now.
type holding struct {
	s     *Service
	p     Lease
	drop  context.CancelCauseFunc
	mu    sync.Mutex
	until time.Time
}

// renew asks the store. Its error is ErrUnavailable, or why the search is over.
func (h *holding) renew(ctx context.Context) error {
	until, err := h.s.store.Renew(ctx, h.p)
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			h.drop(err)
		}
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = until
	return nil
}

// may tells whether the message may be sent now.
func (h *holding) may(ctx context.Context) error {
	h.mu.Lock()
	held := time.Now().Before(h.until)
	h.mu.Unlock()
	if held {
		return context.Cause(ctx)
	}
	return h.renew(ctx)
}

// keep renews until ctx is done, and ends the search when the time is up.
func (h *holding) keep(ctx context.Context, until time.Time) {
	again := time.NewTicker(holdEvery)
	defer again.Stop()
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	for {
		_ = h.renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-late.C:
			h.drop(errOutOfTime)
			return
		case <-again.C:
		}
	}
}

// logged is a context that a log line takes for that of the request, where there is one.
type logged struct {
	context.Context
	request context.Context
}

func (l logged) Value(key any) any {
	if value := l.Context.Value(key); value != nil || l.request == nil {
		return value
	}
	return l.request.Value(key)
}

// settle bears with a store that is away for a moment, and with a ctx that is done: what is not settled is sent once more.
func (s *Service) settle(ctx context.Context, p Lease, o Outcome) (err error) {
	ctx = context.WithoutCancel(ctx)
	for try := range settleTries {
		time.Sleep(time.Duration(try) * settleAgain)
		if err = s.store.Settle(ctx, p, o); err == nil || errors.Is(err, ErrLost) {
			return err
		}
	}
	s.log.WarnContext(ctx, "message not settled", "message", messageID(p.ID, p.Send), "state", o.State, "error", err.Error())
	return err
}

func messageID(id ChallengeID, send int) string { return fmt.Sprintf("%s-%d", id, send) }
