package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dekamond-otp/internal/phone"
)

const (
	couriers    = 128                     // messages that a copy delivers at the same time
	inHand      = 1024                    // messages of this copy's requests that wait for a courier
	deliverFor  = 15 * time.Second        // to find a provider for a message
	holdEvery   = 1500 * time.Millisecond // Outbox.Hold; well below the time after which another courier claims
	sweepEvery  = time.Second
	sweepAgain  = 50 * time.Millisecond // while there is more than a copy can hold
	settleTries = 3
	settleAgain = 500 * time.Millisecond
)

// DrainTimeout is how long Deliver goes on with the messages in hand when it is told to end.
const DrainTimeout = 5 * time.Second

var errNoProvider = errors.New("otp: out of time")

// hand gives a message that was queued a moment ago to the couriers of this copy. Where all are busy it stays in
// the store, until one of any copy claims it.
func (s *Service) hand(p Parcel) {
	if p.Slip == nil {
		return
	}
	select {
	case s.parcels <- p:
	default:
	}
}

// Deliver hands queued messages to the carrier, those of this copy's requests and those that other copies left
// behind, until ctx is done; then it ends with those in hand.
func (s *Service) Deliver(ctx context.Context) {
	working, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var running sync.WaitGroup
	for range couriers {
		running.Go(func() { s.courier(ctx, working) })
	}
	sweep := time.NewTimer(sweepEvery)
	defer sweep.Stop()
	for down := false; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-sweep.C:
			more, err := s.sweep(ctx)
			if err != nil && !down && ctx.Err() == nil {
				s.log.Warn("outbox not read", "error", err.Error())
			}
			down = err != nil
			if more {
				sweep.Reset(sweepAgain)
			} else {
				sweep.Reset(sweepEvery)
			}
		}
	}
	defer time.AfterFunc(DrainTimeout, abandon).Stop()
	running.Wait()
}

func (s *Service) courier(ctx, working context.Context) {
	for {
		select {
		case p := <-s.parcels:
			s.deliver(working, p)
		case <-ctx.Done():
			select {
			case p := <-s.parcels:
				s.deliver(working, p)
			default:
				return
			}
		}
	}
}

// sweep claims as many messages as the couriers can begin with soon, and tells whether there may be more.
func (s *Service) sweep(ctx context.Context) (more bool, err error) {
	room := couriers - len(s.parcels)
	if room <= 0 {
		return true, nil
	}
	claimed, err := s.store.Claim(ctx, room)
	for _, p := range claimed {
		s.log.Info("message taken over", "message", messageID(p.ID, p.Send))
		s.hand(p)
	}
	return len(claimed) == room, err
}

// deliver brings a message to its end, unless it is lost to another courier or has become pointless.
func (s *Service) deliver(working context.Context, p Parcel) {
	if time.Now().After(p.Until) {
		return
	}
	began := time.Now()
	letter, request := p.opened, p.request
	if letter == nil {
		request = working
		var err error
		if letter, err = s.keys.unseal(p.Letter); err != nil { // under another OTP_SECRET: a copy that has that one claims it
			s.log.Warn("message not readable", "message", messageID(p.ID, p.Send))
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
	ctx, drop := context.WithCancelCause(working)
	defer drop(nil)
	// Most messages are out before they have to be held.
	defer time.AfterFunc(holdEvery, func() { s.hold(ctx, drop, p, began.Add(deliverFor)) }).Stop()

	carried, err := s.carrier.Carry(ctx, m)
	took := time.Since(began).Milliseconds()
	if err == nil {
		_ = s.settle(p, Outcome{State: Sent, Carried: carried, Region: m.Region}) // which logs its error
		s.tally.Count(string(Sent), carried.Provider, m.Region)
		s.log.InfoContext(request, "message sent", "phone", to, "message", m.ID, "channel", m.Channel, "provider", carried.Provider, "duration_ms", took)
		return
	}
	cause := context.Cause(ctx)
	if !errors.Is(cause, ErrLost) && !errors.Is(cause, ErrNotLive) && working.Err() == nil {
		cause = s.settle(p, Outcome{State: Failed, GiveBack: !errors.Is(err, ErrRejected), Region: m.Region})
		if !errors.Is(cause, ErrLost) {
			s.tally.Count(string(Failed), "none", m.Region)
			s.log.WarnContext(request, "message failed", "phone", to, "message", m.ID, "channel", m.Channel, "duration_ms", took, "error", err.Error())
			return
		}
	}
	s.log.InfoContext(request, "message dropped", "phone", to, "message", m.ID, "reason", cause.Error()) // others have it, or nobody needs it
}

// hold keeps the parcel until ctx is done, and ends ctx when it cannot, or when the time is up. While the store cannot
// be asked, nobody else can take the parcel either.
func (s *Service) hold(ctx context.Context, drop context.CancelCauseFunc, p Parcel, until time.Time) {
	again := time.NewTicker(holdEvery)
	defer again.Stop()
	for {
		if err := s.store.Hold(ctx, p); errors.Is(err, ErrLost) || errors.Is(err, ErrNotLive) {
			drop(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(until)):
			drop(errNoProvider)
			return
		case <-again.C:
		}
	}
}

// settle bears with a store that is away for a moment: what is not settled is sent once more.
func (s *Service) settle(p Parcel, o Outcome) (err error) {
	for try := range settleTries {
		time.Sleep(time.Duration(try) * settleAgain)
		if err = s.store.Settle(context.Background(), p, o); err == nil || errors.Is(err, ErrLost) {
			return err
		}
	}
	s.log.Warn("message not settled", "message", messageID(p.ID, p.Send), "state", o.State, "error", err.Error())
	return err
}

func messageID(id ChallengeID, send int) string { return fmt.Sprintf("%s-%d", id, send) }
