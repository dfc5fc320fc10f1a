package otptest

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// abandoned is how long after its last renewal a lease has certainly run out. After half of it, it has not.
const abandoned = 8 * time.Second

func renewedLease(t *testing.T, begin stories) {
	s := begin()
	renewed := time.Now()
	c := s.open()
	if l := c.Lease; l.ID != c.ID || l.Send != 1 {
		t.Errorf("the lease of an opening: %+v; want one on its message", l)
	}
	if got := string(c.Lease.Letter); got != "letter to "+string(s.phone) {
		t.Errorf("the letter of an opening: %s; want its own", got)
	}
	if until := c.Lease.Until; until.Sub(renewed) < time.Second || time.Until(until) > abandoned {
		t.Errorf("the lease lasts until %v, from %v; want some seconds", until, renewed)
	}
	for range 5 {
		if got := s.claim(); got != nil && time.Since(renewed) < time.Second {
			t.Fatalf("claimed %+v, whose lease has not run out", got)
		} else if got != nil {
			t.Skip("this machine is too slow to renew a lease in time")
		}
		s.age(abandoned / 2)
		renewed = time.Now()
		s.renew(c.Lease, nil)
	}
	s.status(c, otp.Queued)
}

func lostLease(t *testing.T, begin stories) {
	s := begin()
	first := s.open().Lease
	for range 3 {
		s.age(abandoned)
		began := time.Now()
		claimed := s.claim()
		if len(claimed) != 1 {
			t.Fatalf("claimed %d messages; want the one whose lease has run out", len(claimed))
		}
		second := claimed[0]
		if second.ID != first.ID || second.Send != first.Send {
			t.Errorf("claimed %+v; want %+v", second, first)
		}
		if string(second.Letter) != string(first.Letter) || second.Until.Sub(began) < time.Second {
			t.Errorf("claimed %+v; want the same letter, for some seconds", second)
		}
		s.renew(first, otp.ErrLost)
		began = time.Now()
		s.renew(second, nil)
		if got := s.claim(); got != nil && time.Since(began) < abandoned/2 {
			t.Errorf("claimed twice: %+v", got)
		} else if got != nil { // this machine is too slow to hold a lease
			second = got[0]
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

func deadCode(t *testing.T, begin stories) {
	for name, end := range map[string]func(s *story){
		"used":  func(s *story) { s.close(s.check(right, nil)) },
		"burnt": burnAll,
		"replaced": func(s *story) {
			burnAll(s)
			s.settle(s.open().Lease, otp.Outcome{State: otp.Sent})
		},
	} {
		s := begin(noResendWait)
		s.asked = s.open()
		held := s.asked.Lease
		end(s)
		s.renew(held, otp.ErrNotLive)
		s.renew(held, otp.ErrLost) // the message has been dropped

		s = begin(noResendWait)
		s.asked = s.open()
		end(s)
		s.age(abandoned)
		if got := s.claim(); got != nil {
			t.Errorf("%s: claimed %+v; want nothing", name, got)
		}
	}
}

// burnAll uses up the attempts of the request, and those without one.
func burnAll(s *story) {
	burn(s)
	s.asked = otp.Challenge{}
	burn(s)
}

// usableCode checks that a message is sent as long as its code can be used by anyone.
func usableCode(_ *testing.T, begin stories) {
	s := begin(noResendWait)
	first := s.open()
	burn(s) // all attempts without a request
	s.renew(first.Lease, nil)
	second := s.open()
	s.asked = second
	burn(s) // all attempts of the second request
	s.renew(first.Lease, nil)
	s.renew(second.Lease, nil)
	s.asked = first
	burn(s)
	s.renew(first.Lease, otp.ErrNotLive)
	s.renew(second.Lease, nil) // there are attempts without a request
	s.asked = otp.Challenge{}
	burn(s)
	s.renew(second.Lease, otp.ErrNotLive)
}

// expiredCode checks that a message whose code expired before it was delivered can be claimed once more, to be reported
// as failed. The time at which a message was queued cannot be moved, so the test waits for it.
func expiredCode(t *testing.T, begin stories) {
	const life = 50 * time.Millisecond
	s := begin(noResendWait, func(p *otp.Policy) { p.TTL, p.PerPhone.Max = life, 1 })
	c := s.open()
	opened := time.Now()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.store.Check(t.Context(), s.attempt(right)); errors.Is(err, otp.ErrNotLive) {
			break
		}
		if time.Since(began) > 5*time.Minute {
			t.Fatal("a code of 50 ms never expires")
		}
	}
	time.Sleep(time.Until(opened.Add(life))) // the embedded store lets a code expire up to 100 ms too early
	s.renew(c.Lease, otp.ErrExpired)
	s.age(abandoned)
	claimed := s.claim()
	if len(claimed) != 1 || claimed[0].ID != c.ID {
		t.Fatalf("claimed %+v; want the message", claimed)
	}
	if !claimed[0].Expired {
		t.Fatalf("claimed %+v; want it as expired", claimed)
	}
	s.renew(claimed[0], otp.ErrExpired)
	s.settle(claimed[0], otp.Outcome{State: otp.Failed, Refund: true})
	s.renew(claimed[0], otp.ErrLost)
	s.status(c, "")
}

func settledMessage(t *testing.T, begin stories) {
	s := begin()
	c := s.open()
	if m := s.check(right, nil); m.Provider != "" {
		t.Errorf("before the message is sent the provider is %q; want none", m.Provider)
	}
	s.settle(c.Lease, otp.Outcome{State: otp.Sent, Handoff: otp.Handoff{Provider: "pigeon"}})
	s.check(wrong, otp.ErrWrong)
	if got := s.status(c, otp.Sent); got.Provider != "pigeon" || got.Wrong != 1 || got.ExpiresIn < policy.TTL/2 {
		t.Errorf("status: %+v; want the provider pigeon, a wrong attempt, and the life of the code", got)
	}
	s.renew(c.Lease, otp.ErrLost)
	s.age(abandoned)
	if got := s.claim(); got != nil {
		t.Errorf("claimed %+v, which is settled", got)
	}
	if m := s.check(right, nil); m.Provider != "pigeon" {
		t.Errorf("the provider is %q; want pigeon", m.Provider)
	}
	s.age(policy.ResendAfter)
	again := s.open()
	if got := s.status(c, otp.Sent); got.Provider != "" { // each message has a state of its own
		t.Errorf("the provider of the first message is %q after the second; want none", got.Provider)
	}
	if got := s.status(again, otp.Queued); got.Provider != "" {
		t.Errorf("the provider of a queued message is %q; want none", got.Provider)
	}
}

func settledTwice(_ *testing.T, begin stories) {
	sent, failed := otp.Outcome{State: otp.Sent}, otp.Outcome{State: otp.Failed, Refund: true}
	s := begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c := s.open()
	s.settle(c.Lease, sent)
	s.lost(c.Lease, failed) // reported by a courier that continues after a pause
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
	s.refused(otp.ErrPhoneLimit) // one send was refunded, not two

	s = begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c = s.open()
	s.age(abandoned)
	second := s.claim()[0]
	s.lost(c.Lease, failed) // while another courier has the message
	s.status(c, otp.Queued)
	s.refused(otp.ErrPhoneLimit)
	s.renew(second, nil)
	s.settle(second, sent)
	s.status(c, otp.Sent)
}

func failureThatCounts(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max = 1 })
	c := s.open()
	s.settle(c.Lease, otp.Outcome{State: otp.Failed})
	s.status(c, otp.Failed)
	s.refused(otp.ErrPhoneLimit)
}

func report(t *testing.T, begin stories) {
	s := begin(noResendWait)
	var last otp.ChallengeID
	send := func() (otp.Challenge, otp.Handoff) {
		c, handoff := s.open(), otp.Handoff{Provider: "pigeon", ID: rand.Text()}
		last = c.ID
		s.settle(c.Lease, otp.Outcome{State: otp.Sent, Handoff: handoff, Region: "IR"})
		return c, handoff
	}
	reported := func(h otp.Handoff, delivered bool, want error) {
		t.Helper()
		message, region, err := s.store.Report(t.Context(), h, delivered)
		if !errors.Is(err, want) {
			t.Fatalf("Report: %v; want %v", err, want)
		}
		if err != nil {
			return
		}
		if region != "IR" || !strings.HasPrefix(message, last.String()+"-") {
			t.Fatalf("Report: %q, %q; want a message of %s, IR", message, region, last)
		}
	}
	c, handoff := send()
	reported(otp.Handoff{Provider: "pigeon", ID: rand.Text()}, true, otp.ErrUnknown)
	reported(otp.Handoff{Provider: "owl", ID: handoff.ID}, true, otp.ErrUnknown)
	s.status(c, otp.Sent)
	reported(handoff, true, nil)
	s.status(c, otp.Delivered)
	reported(handoff, false, otp.ErrUnknown) // the first report was final
	s.status(c, otp.Delivered)
	s.settle(c.Lease, otp.Outcome{State: otp.Sent})
	s.status(c, otp.Delivered)

	c, handoff = send()
	reported(handoff, false, nil)
	s.status(c, otp.Failed)

	_, handoff = send()
	s.close(s.check(right, nil))
	reported(handoff, true, nil) // the code is used; the report still counts
	s.check(right, otp.ErrNotLive)
}

func status(t *testing.T, begin stories) {
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
	s.status(c, otp.Queued) // for this request there are attempts left
	s.asked = c
	burn(s)
	s.status(c, "")
}

func statusOfTestNumber(t *testing.T, begin stories) {
	s := begin()
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
