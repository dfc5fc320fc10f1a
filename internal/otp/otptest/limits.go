package otptest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"

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

// networks checks that an IPv6 address counts with its /64 and, ten times as often, with its /48.
func networks(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.PerAddress.Max = 1; p.TriesPerAddress.Max = 1 })
	home := otp.Pseudonym(rand.Text())
	for range otp.WideFactor {
		s.newPhone()
		s.address, s.network = otp.Pseudonym(rand.Text()), home
		s.open()
		s.check(wrong, otp.ErrWrong)
		s.exhausted(right)
		s.newPhone()
		s.refused(otp.ErrAddressLimit) // of the /64
	}
	s.address = otp.Pseudonym(rand.Text())
	s.newPhone()
	s.refused(otp.ErrAddressLimit) // of the /48
	s.network = ""
	s.open()
	s.network = home
	s.exhausted(right)
	s.network = otp.Pseudonym(rand.Text())
	if m := s.check(right, nil); m.Tries != 0 {
		t.Errorf("an address without wrong attempts gets back %d", m.Tries)
	}
}

// addressTries checks that the wrong attempts of an address are limited over all phones, and that a login gives its
// address back those that it made at the code.
func addressTries(t *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.TriesPerAddress.Max = 4 })
	s.open()
	first := s.phone
	s.check(wrong, otp.ErrWrong)
	s.check(wrong, otp.ErrWrong)
	home := s.address
	s.address = otp.Pseudonym(rand.Text())
	s.check(wrong, otp.ErrWrong)
	s.address = home
	s.newPhone()
	s.check(right, otp.ErrNotLive) // costs no attempt
	s.open()
	s.check(wrong, otp.ErrWrong)
	s.check(wrong, otp.ErrWrong)
	s.exhausted(right)
	s.exhausted(wrong)
	s.phone = first
	s.exhausted(right)
	s.address = otp.Pseudonym(rand.Text())
	m := s.check(right, nil)
	s.close(m) // from an address without wrong attempts
	s.address = home
	s.exhausted(right)

	s = begin(func(p *otp.Policy) { p.TriesPerAddress.Max = 4 })
	s.network = otp.Pseudonym(rand.Text())
	for range 2 {
		s.newPhone()
		s.open()
		s.check(wrong, otp.ErrWrong)
		s.check(wrong, otp.ErrWrong)
	}
	s.exhausted(right)
	s.age(policy.TriesPerAddress.Window)
	s.newPhone()
	s.open()
	s.device = otp.DeviceID(rand.Text())
	s.check(wrong, otp.ErrWrong) // does not count against the address, and is not given back to it
	s.device = ""
	if m := s.check(right, nil); m.Tries != 0 {
		t.Errorf("the match gives back %d wrong attempts, which a known device made; want 0", m.Tries)
	}
	for range 5 { // each login gives its attempts back
		s.newPhone()
		s.open()
		for range 3 {
			s.check(wrong, otp.ErrWrong)
		}
		m := s.check(right, nil)
		if m.Tries != 3 {
			t.Errorf("the match gives back %d wrong attempts; want 3", m.Tries)
		}
		s.close(m)
		s.close(m) // gives nothing back
	}
}

// userLimits checks that changes of phone count against the user who asks, over all phones, and not against the phone's
// login.
func userLimits(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.DailyAttempts = 6 })
	change, phones := otp.ForPhoneChange(uuid.Must(uuid.NewV7())), []otp.Pseudonym{}
	s.purpose = change
	for range policy.PerPhone.Max {
		s.newPhone()
		s.open()
		phones = append(phones, s.phone)
	}
	s.newPhone()
	s.refused(otp.ErrUserLimit)
	s.purpose = otp.ForLogin
	s.open()
	s.purpose = otp.ForPhoneChange(uuid.Must(uuid.NewV7()))
	s.open()

	s.purpose = change
	for i := range 6 {
		s.phone = phones[i%2]
		s.check(wrong, otp.ErrWrong)
	}
	s.phone = phones[2]
	s.exhausted(right)
	s.age(policy.PerPhone.Window)
	s.refused(otp.ErrDailyLimit) // a code that cannot be tried is not sent
	s.phone, s.purpose = phones[0], otp.ForLogin
	if c := s.open(); c.Length != policy.Length {
		t.Errorf("a code for a login has %d digits after wrong attempts at a change of phone; want %d",
			c.Length, policy.Length)
	}
	s.check(right, nil)
	s.purpose = otp.ForPhoneChange(uuid.Must(uuid.NewV7()))
	s.open()
	for range 3 { // after three of the other user
		s.check(wrong, otp.ErrWrong)
	}
	if c := s.open(); c.Length != policy.LongLength() {
		t.Errorf("a code for a change to this phone has %d digits after six wrong attempts; want %d",
			c.Length, policy.LongLength())
	}
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

// dailyLimit checks that a hundred wrong attempts within a day close a phone, however long its codes are.
func dailyLimit(_ *testing.T, begin stories) {
	s := begin(noResendWait, noPhoneLimit)
	for n := 0; n < otp.MaxDailyAttempts; n += policy.MaxAttempts {
		c := s.open()
		for range policy.MaxAttempts {
			s.check(wrongOf(c), otp.ErrWrong)
		}
	}
	s.age(20 * time.Minute)
	s.check(right, otp.ErrPhoneClosed)
	s.refusedFor(otp.ErrDailyLimit, 24*time.Hour-20*time.Minute)
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

	s = begin(func(p *otp.Policy) { p.DailyAttempts, p.MaxAttempts = 1, 200 })
	for range 2 { // is never closed, and its code never gets longer
		o := s.opening()
		o.Letter = nil
		if c, err := s.store.Open(t.Context(), o); err != nil || c.Length != policy.Length {
			t.Fatalf("Open after wrong attempts: %+v, %v; want a code of the usual length", c, err)
		}
		for range otp.MaxDailyAttempts - 10 {
			s.check(wrong, otp.ErrWrong)
		}
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
