package otptest

import (
	"crypto/rand"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

func resendWait(_ *testing.T, begin stories) {
	s := begin()
	s.open()
	s.refusedFor(otp.ErrResendTooSoon, policy.ResendAfter)
}

func phoneWindowSlides(_ *testing.T, begin stories) {
	s := begin()
	for range policy.PerPhone.Max { // at 0, 4 and 8 minutes
		s.open()
		s.age(4 * time.Minute)
	}
	s.age(-3 * time.Minute)
	s.refusedFor(otp.ErrPhoneLimit, time.Minute)   // at 9 and 10 minutes
	s.refusedFor(otp.ErrPhoneLimit, 4*time.Minute) // until 14 minutes
}

func resendInIsExact(t *testing.T, begin stories) {
	s := begin()
	var c otp.Challenge
	for range policy.PerPhone.Max {
		s.age(policy.ResendAfter)
		c = s.open()
	}
	if want := policy.PerPhone.Window - 2*policy.ResendAfter; c.ResendIn > want || c.ResendIn < want-slack {
		t.Errorf("resend in %v; want %v", c.ResendIn, want)
	}
	s.age(c.ResendIn)
	s.open()
}

func addressLimit(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerAddress.Max = 2 })
	s.open()
	s.refused(otp.ErrResendTooSoon) // does not count against the address
	s.newPhone()
	s.age(time.Minute)
	s.open()
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
	s.check(right, otp.ErrNotLive) // a refused request opens no challenge
	s.refusedFor(otp.ErrAddressLimit, policy.PerAddress.Window-time.Minute)
}

func addressRefund(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerAddress.Max = 3 })
	s.open()
	s.age(policy.ResendAfter)
	s.open() // the address has requested two messages
	s.age(policy.ResendAfter)
	home := s.address
	s.address = otp.Pseudonym(rand.Text())
	s.open()
	first, m := s.phone, s.check(right, nil)

	s.address = home
	s.newPhone()
	s.open()
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
	s.phone = first
	s.close(m)
	for range 2 {
		s.newPhone()
		s.open()
	}
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
}

func dailyLimit(_ *testing.T, begin stories) {
	s := begin(noResendWait, noPhoneLimit)
	for range policy.DailyAttempts / policy.MaxAttempts {
		s.open()
		for range policy.MaxAttempts {
			s.check(wrong, otp.ErrWrong)
		}
		s.age(time.Minute)
	}
	s.refusedFor(otp.ErrDailyLimit, 24*time.Hour-6*time.Minute)

	s = begin(noResendWait, noPhoneLimit, func(p *otp.Policy) { p.DailyAttempts = 2 })
	s.open()
	s.check(wrong, otp.ErrWrong)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrPhoneClosed)
	s.check(wrong, otp.ErrPhoneClosed)
}

func refusalChangesNothing(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.ResendAfter = p.TTL })
	s.open()
	for range policy.MaxAttempts - 1 {
		s.check(wrong, otp.ErrWrong)
	}
	s.age(policy.TTL - slack)
	s.refused(otp.ErrResendTooSoon)
	s.check(right, nil)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrBurnt)
	s.age(slack)
	s.check(right, otp.ErrNotLive)
}

func longestWaitWins(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max = 1 })
	s.open()
	s.refusedFor(otp.ErrPhoneLimit, policy.PerPhone.Window) // longer than the wait for a resend
}

func limitsOff(t *testing.T, begin stories) {
	s := begin(noResendWait, noPhoneLimit, func(p *otp.Policy) { p.PerAddress = otp.Limit{} })
	for want := 1; want <= 40; want++ {
		if c := s.open(); c.Send != want || c.ResendIn != 0 {
			t.Fatalf("send %d, resend in %v; want %d, 0", c.Send, c.ResendIn, want)
		}
	}
	s.close(s.check(right, nil))
}

func testNumbers(t *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max, p.PerAddress.Max = 1, 1 })
	for range 5 {
		o := s.opening()
		o.Letter = nil
		if c, err := s.store.Open(t.Context(), o); err != nil || c.ResendIn != 0 {
			t.Fatalf("Open: resend in %v, %v; want 0 and no error", c.ResendIn, err)
		}
	}
	for range policy.MaxAttempts {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, otp.ErrBurnt)

	s = begin(func(p *otp.Policy) { p.DailyAttempts = 1 })
	for range 2 { // is never closed
		o := s.opening()
		o.Letter = nil
		if _, err := s.store.Open(t.Context(), o); err != nil {
			t.Fatalf("Open after wrong attempts: %v", err)
		}
		s.check(wrong, otp.ErrWrong)
		s.check(wrong, otp.ErrWrong)
		s.check(right, nil)
	}
}

func refund(_ *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max, p.PerAddress.Max = 1, 1 })
	for range 3 { // counts neither for the phone nor for the address, nor for the resend wait
		s.settle(s.open().Lease, otp.Outcome{State: otp.Failed, Refund: true})
		s.check(right, nil) // the message may have arrived nevertheless
	}
	s.open()
	first := s.phone
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
	s.phone, s.address = first, otp.Pseudonym(rand.Text())
	s.refused(otp.ErrPhoneLimit)
}
