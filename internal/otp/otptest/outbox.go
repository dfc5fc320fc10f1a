package otptest

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// abandoned is the time after which a message that nobody holds is claimed; half of it is too early.
const abandoned = 8 * time.Second

func (s *story) settle(p otp.Lease, o otp.Outcome) {
	s.t.Helper()
	if err := s.store.Settle(s.t.Context(), p, o); err != nil {
		s.t.Fatalf("Settle: %v", err)
	}
}

// claim gives this phone's own messages: stores may share a database.
func (s *story) claim() (own []otp.Lease) {
	s.t.Helper()
	all, err := s.store.Claim(s.t.Context(), 100)
	if err != nil {
		s.t.Fatalf("Claim: %v", err)
	}
	for _, p := range all {
		if string(p.Letter) == "letter to "+string(s.phone) {
			own = append(own, p)
		}
	}
	return own
}

func (s *story) hold(p otp.Lease, want error) {
	s.t.Helper()
	until, err := s.store.Renew(s.t.Context(), p)
	if !errors.Is(err, want) || err == nil && time.Until(until) < time.Second {
		s.t.Fatalf("Hold: until %v, %v; want %v", until, err, want)
	}
}

// status expects the state of a send, or that nothing is known where it is empty.
func (s *story) status(c otp.Challenge, want otp.State) otp.Status {
	s.t.Helper()
	got, err := s.store.Status(s.t.Context(), s.phone, s.purpose, c.ID, c.Send)
	if got.State != want || (want == "") != errors.Is(err, otp.ErrUnknown) || want != "" && err != nil {
		s.t.Fatalf("Status: %s, %v; want %q", got.State, err, want)
	}
	return got
}

func heldMessage(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	c := s.open()
	if p := c.Lease; string(p.Letter) != "letter to "+string(s.phone) || p.ID != c.ID || p.Send != 1 {
		t.Errorf("the parcel of an opening: %+v; want its own", p)
	}
	if left := time.Until(c.Lease.Until); left < time.Second || left > abandoned {
		t.Errorf("the parcel is held for %v; want some seconds", left)
	}
	for range 5 {
		if got := s.claim(); got != nil {
			t.Fatalf("claimed %+v, which is held", got)
		}
		s.age(abandoned / 2)
		s.hold(c.Lease, nil)
	}
	s.status(c, otp.Queued)
}

func abandonedMessage(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	first := s.open().Lease
	for range 3 {
		s.age(abandoned)
		claimed := s.claim()
		if len(claimed) != 1 {
			t.Fatalf("claimed %d messages; want the one that was abandoned", len(claimed))
		}
		second := claimed[0]
		if second.ID != first.ID || second.Send != first.Send || string(second.Letter) != string(first.Letter) || time.Until(second.Until) < time.Second {
			t.Errorf("claimed %+v; want %+v", second, first)
		}
		s.hold(first, otp.ErrLost)
		s.hold(second, nil)
		if got := s.claim(); got != nil {
			t.Errorf("claimed twice: %+v", got)
		}
		first = second
	}
	s.age(policy.ResendAfter)
	again := s.open()
	s.settle(first, otp.Outcome{State: otp.Sent})
	s.age(abandoned)
	if claimed := s.claim(); len(claimed) != 1 || claimed[0].Send != again.Send {
		t.Errorf("claimed %+v; want the second message alone", claimed)
	}
}

func deadMessage(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	for name, end := range map[string]func(s *story){
		"used":  func(s *story) { s.close(s.check(right, nil)) },
		"burnt": func(s *story) { burn(s) },
		"another's": func(s *story) {
			burn(s)
			s.settle(s.open().Lease, otp.Outcome{State: otp.Sent})
		},
	} {
		s := begin(noResendWait)
		held := s.open().Lease
		end(s)
		s.hold(held, otp.ErrNotLive)
		s.hold(held, otp.ErrLost) // it has been dropped

		s = begin(noResendWait)
		s.open()
		end(s)
		s.age(abandoned)
		if got := s.claim(); got != nil {
			t.Errorf("%s: claimed %+v; want nothing", name, got)
		}
	}
}

// lateMessage holds that a message whose code has expired before it was delivered is given out once more, to be
// reported. The time at which it was queued cannot be moved.
func lateMessage(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(noResendWait, func(p *otp.Policy) { p.TTL, p.PerPhone.Max = 50*time.Millisecond, 1 })
	c := s.open()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.store.Check(t.Context(), s.phone, s.purpose, right); errors.Is(err, otp.ErrNotLive) {
			break
		}
		if time.Since(began) > 5*time.Minute {
			t.Fatal("a code of 50 ms lives for ever")
		}
	}
	s.hold(c.Lease, otp.ErrExpired)
	s.age(abandoned)
	claimed := s.claim()
	if len(claimed) != 1 || !claimed[0].Expired || claimed[0].ID != c.ID {
		t.Fatalf("claimed %+v; want the message, late", claimed)
	}
	s.hold(claimed[0], otp.ErrExpired)
	s.settle(claimed[0], otp.Outcome{State: otp.Failed, Refund: true})
	s.hold(claimed[0], otp.ErrLost)
	s.status(c, "")
}

func burn(s *story) {
	for range policy.MaxAttempts {
		s.check(wrong, otp.ErrWrong)
	}
}

func settledMessage(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	c := s.open()
	if m := s.check(right, nil); m.Provider != "" {
		t.Errorf("before it was sent it went through %q", m.Provider)
	}
	s.settle(c.Lease, otp.Outcome{State: otp.Sent, Handoff: otp.Handoff{Provider: "pigeon"}})
	s.status(c, otp.Sent)
	s.hold(c.Lease, otp.ErrLost)
	s.age(abandoned)
	if got := s.claim(); got != nil {
		t.Errorf("claimed %+v, which is settled", got)
	}
	if m := s.check(right, nil); m.Provider != "pigeon" {
		t.Errorf("it went through %q; want pigeon", m.Provider)
	}
	s.age(policy.ResendAfter)
	again := s.open()
	s.status(c, otp.Sent) // each message has a state of its own
	s.status(again, otp.Queued)
}

func settledTwice(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	sent, failed := otp.Outcome{State: otp.Sent}, otp.Outcome{State: otp.Failed, Refund: true}
	s := begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c := s.open()
	s.settle(c.Lease, sent)
	s.lost(c.Lease, failed) // by a courier that woke up late
	s.status(c, otp.Sent)
	s.refused(otp.ErrPhoneLimit)

	s = begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c = s.open()
	s.settle(c.Lease, failed)
	s.status(c, otp.Failed)
	s.settle(c.Lease, sent)
	s.status(c, otp.Sent)

	s = begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 2 })
	c = s.open()
	s.open()
	s.settle(c.Lease, failed)
	s.settle(c.Lease, failed) // as after a lost reply
	s.open()
	s.refused(otp.ErrPhoneLimit) // one was given back, and not two

	s = begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c = s.open()
	s.age(abandoned)
	second := s.claim()[0]
	s.lost(c.Lease, failed) // while another has it
	s.status(c, otp.Queued)
	s.refused(otp.ErrPhoneLimit)
	s.hold(second, nil)
	s.settle(second, sent)
	s.status(c, otp.Sent)
}

func (s *story) lost(p otp.Lease, o otp.Outcome) {
	s.t.Helper()
	if err := s.store.Settle(s.t.Context(), p, o); !errors.Is(err, otp.ErrLost) {
		s.t.Fatalf("Settle: %v; want ErrLost", err)
	}
}

func rejectedMessage(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c := s.open()
	s.settle(c.Lease, otp.Outcome{State: otp.Failed})
	s.status(c, otp.Failed)
	s.refused(otp.ErrPhoneLimit)
}

func report(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(noResendWait)
	var last otp.ChallengeID
	send := func() (otp.Challenge, otp.Handoff) {
		c, carried := s.open(), otp.Handoff{Provider: "pigeon", ID: rand.Text()}
		last = c.ID
		s.settle(c.Lease, otp.Outcome{State: otp.Sent, Handoff: carried, Region: "IR"})
		return c, carried
	}
	tell := func(c otp.Handoff, delivered bool, want error) {
		t.Helper()
		message, region, err := s.store.Report(t.Context(), c, delivered)
		if !errors.Is(err, want) || err == nil && (region != "IR" || !strings.HasPrefix(message, last.String()+"-")) {
			t.Fatalf("Report: %q, %q, %v; want a message of %s, IR, %v", message, region, err, last, want)
		}
	}
	c, carried := send()
	tell(otp.Handoff{Provider: "pigeon", ID: rand.Text()}, true, otp.ErrUnknown)
	tell(otp.Handoff{Provider: "owl", ID: carried.ID}, true, otp.ErrUnknown)
	s.status(c, otp.Sent)
	tell(carried, true, nil)
	s.status(c, otp.Delivered)
	tell(carried, false, otp.ErrUnknown) // it has said its last word
	s.status(c, otp.Delivered)
	s.settle(c.Lease, otp.Outcome{State: otp.Sent})
	s.status(c, otp.Delivered)

	c, carried = send()
	tell(carried, false, nil)
	s.status(c, otp.Failed)

	_, carried = send()
	s.close(s.check(right, nil))
	tell(carried, true, nil) // of a code that is used: still worth counting
	s.check(right, otp.ErrNotLive)
}

func status(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	c := s.open()
	if got := s.status(c, otp.Queued).ResendIn; got > policy.ResendAfter || got < policy.ResendAfter-slack {
		t.Errorf("resend in %v; want %v", got, policy.ResendAfter)
	}
	s.age(policy.ResendAfter)
	if got := s.status(c, otp.Queued).ResendIn; got != 0 {
		t.Errorf("resend in %v; want 0", got)
	}
	s.status(otp.Challenge{ID: c.ID, Send: 2}, "")
	s.status(otp.Challenge{ID: s.opening().ID, Send: 1}, "")
	c = s.open()
	s.settle(c.Lease, otp.Outcome{State: otp.Failed, Refund: true})
	if got := s.status(c, otp.Failed).ResendIn; got != 0 {
		t.Errorf("after a failure resend in %v; want 0", got)
	}
	s.newPhone()
	for range policy.PerPhone.Max {
		c = s.open()
		s.age(policy.ResendAfter)
	}
	want := policy.PerPhone.Window - time.Duration(policy.PerPhone.Max)*policy.ResendAfter
	if got := s.status(c, otp.Queued).ResendIn; got > want || got < want-slack {
		t.Errorf("at the phone's limit resend in %v; want %v", got, want)
	}
	burn(s)
	s.status(c, "")

	s = begin()
	o := s.opening()
	o.Letter = nil
	c, err := s.store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.status(c, otp.Delivered).ResendIn; got != 0 {
		t.Errorf("for a test number resend in %v; want 0", got)
	}
	s.age(abandoned)
	if got := s.claim(); got != nil {
		t.Errorf("claimed %+v; want nothing for a test number", got)
	}
	s.close(s.check(right, nil))
	s.status(c, "")
}

// claims holds that of many couriers each message has one.
func claims(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	const messages = 60
	var phones []otp.Pseudonym
	for range messages {
		s.newPhone()
		s.address = otp.Pseudonym(rand.Text())
		s.open()
		phones = append(phones, s.phone)
	}
	s.age(abandoned)
	got := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 40 {
				claimed, err := s.store.Claim(t.Context(), 3)
				if err != nil || len(claimed) > 3 {
					t.Errorf("Claim: %d messages, %v; want 3 at most", len(claimed), err)
				}
				mu.Lock()
				for _, p := range claimed {
					got[string(p.Letter)]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, p := range phones {
		if n := got["letter to "+string(p)]; n != 1 {
			t.Errorf("a message was claimed %d times; want once", n)
		}
	}
}
