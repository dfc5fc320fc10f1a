package otptest

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// ownAttempts checks that wrong attempts count against the request that makes them, or else against all that name none.
func ownAttempts(t *testing.T, begin stories) {
	s := begin(noResendWait)
	first, second := s.open(), s.open()
	if first.ID != second.ID {
		t.Errorf("two requests have the challenges %v and %v; want one", first.ID, second.ID)
	}
	burn(s)
	s.check(right, otp.ErrBurnt)
	s.asked = first
	s.check(right, nil)
	burn(s)
	s.check(right, otp.ErrBurnt)
	s.asked = second
	s.check(right, nil)

	s = begin(noResendWait)
	foreign := s.open()
	s.newPhone()
	s.open()
	s.asked = foreign // counts as none
	burn(s)
	s.asked = otp.Challenge{}
	s.check(right, otp.ErrBurnt)

	s = begin()
	s.asked = s.open()
	burn(s)
	again := s.open() // at once, because the attempts of the last message are used up
	if again.ID != s.asked.ID || again.Send != 2 {
		t.Errorf("after a burnt request: %+v; want the same code again", again)
	}
	s.asked = again
	s.check(right, nil)
	s.refused(otp.ErrResendTooSoon)
}

// replacedChallenge checks that a challenge whose attempts without a request are used up is replaced for those, and
// stays live for the requests that it has answered.
func replacedChallenge(t *testing.T, begin stories) {
	s := begin()
	first := s.open()
	burn(s)
	second := s.open()
	if second.ID == first.ID || second.Send != 1 {
		t.Errorf("after a burnt challenge: %+v; want a new one", second)
	}
	s.status(first, otp.Queued)
	s.settle(first.Lease, otp.Outcome{State: otp.Sent, Handoff: otp.Handoff{Provider: "pigeon"}})
	if got := s.status(first, otp.Sent); got.Provider != "pigeon" || got.Wrong != policy.MaxAttempts {
		t.Errorf("status of a replaced challenge: %+v; want what was stored of it", got)
	}
	if m := s.check(right, nil); m.ID != second.ID {
		t.Errorf("match %v; want the new challenge %v", m.ID, second.ID)
	}
	s.asked = first
	s.check(wrong, otp.ErrWrong)
	m := s.check(right, nil)
	if m.ID != first.ID {
		t.Errorf("match %v; want the replaced challenge %v", m.ID, first.ID)
	}
	s.close(m)
	s.status(first, "")
	if m := s.check(right, nil); m.ID != second.ID { // the request counts as none now
		t.Errorf("match %v; want the new challenge %v", m.ID, second.ID)
	}
	s.asked = second
	s.age(policy.TTL)
	s.check(right, otp.ErrNotLive)

	s = begin() // a replaced challenge expires as if it had stayed
	s.asked = s.open()
	asked := s.asked
	s.asked = otp.Challenge{}
	burn(s)
	s.age(policy.TTL / 2)
	s.open()
	s.asked = asked
	s.age(policy.TTL/2 - slack)
	s.check(wrong, otp.ErrWrong)
	s.age(2 * slack)
	if m := s.check(right, nil); m.ID == asked.ID {
		t.Error("a replaced challenge outlives its time")
	}
}

// longerCodes checks that many wrong attempts in a row make the next codes longer, until a login, and that they close a
// shorter code to attempts without a request.
func longerCodes(t *testing.T, begin stories) {
	s := begin(noResendWait, noPhoneLimit)
	length := func(want int) otp.Challenge {
		t.Helper()
		c := s.open()
		if c.Length != want || c.Lease.Length != want {
			t.Fatalf("the code has %d digits, its message %d; want %d", c.Length, c.Lease.Length, want)
		}
		return c
	}
	for range policy.DailyAttempts/policy.MaxAttempts - 1 {
		length(policy.Length)
		burn(s)
	}
	short := length(policy.Length)
	for range policy.MaxAttempts - 1 {
		s.check(wrong, otp.ErrWrong)
	}
	length(policy.Length) // after 29
	s.check(wrong, otp.ErrWrong)
	long := length(policy.LongLength())
	s.check(right, otp.ErrTooShort)
	s.check(rightLong, nil)
	s.asked = short // whose request has all its attempts
	s.check(right, nil)
	s.check(rightLong, otp.ErrCodeFormat)
	s.asked = long
	s.check(wrongLong, otp.ErrWrong)
	s.age(29 * 24 * time.Hour)
	s.asked = otp.Challenge{}
	length(policy.LongLength())
	m := s.check(rightLong, nil)
	s.close(m)
	length(policy.Length)

	s = begin(noResendWait, noPhoneLimit, func(p *otp.Policy) { p.DailyAttempts = 3 })
	short = length(policy.Length)
	for range 3 {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, otp.ErrBurnt)
	s.asked = short
	s.close(s.check(right, nil)) // a login begins the row anew
	s.asked = otp.Challenge{}
	length(policy.Length)
	s.check(wrong, otp.ErrWrong) // but more than three in a day at short codes make codes longer
	length(policy.LongLength())
	s.close(s.check(rightLong, nil))
	length(policy.LongLength())
	s.age(25 * time.Hour)
	length(policy.Length)

	s = begin(noResendWait, func(p *otp.Policy) { p.DailyAttempts = 1 })
	length(policy.Length)
	s.check(wrong, otp.ErrWrong)
	s.age(31 * 24 * time.Hour)
	length(policy.Length)
}

// otherLengths checks that a code of another length than the live one is refused and costs nothing.
func otherLengths(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.DailyAttempts = 1 })
	s.check(wrong, otp.ErrNotLive)
	s.check(rightLong, otp.ErrCodeFormat)
	s.open()
	for range policy.MaxAttempts + 1 {
		s.check(rightLong, otp.ErrCodeFormat)
	}
	s.check(wrong, otp.ErrWrong)
	s.open()
	for range policy.MaxAttempts + 1 {
		s.check(wrong, otp.ErrTooShort)
	}
	s.check(rightLong, nil)
}

// liveCode checks that a refusal tells of a code that works without a new message, and of no other.
func liveCode(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max, p.PerAddress.Max = 2, 2 })
	live := func(want bool) {
		t.Helper()
		var throttled *otp.ThrottledError
		if _, err := s.store.Open(t.Context(), s.opening()); !errors.As(err, &throttled) {
			t.Fatalf("Open: %v; want it refused", err)
		}
		if got := throttled.Live; (got != nil) != want {
			t.Fatalf("Open: refused with the live code %+v; want one: %t", got, want)
		}
		if got := throttled.Live; want && (got.Length != policy.Length || got.ExpiresIn < policy.TTL-slack) {
			t.Fatalf("Open: refused with the live code %+v; want its life and its length", got)
		}
	}
	home := s.address
	s.open()
	s.open()
	live(true)
	s.address = otp.Pseudonym(rand.Text())
	live(true)
	first := s.phone
	s.newPhone()
	s.address = home
	live(false) // the address is refused, and the phone has no code
	s.phone = first
	burn(s)
	live(false) // no attempt without a request is left
	s.age(policy.TTL)
	live(false)

	s = begin()
	s.open()
	live(true) // a message was sent a moment ago
	s.device = otp.DeviceID(rand.Text())
	s.open()
	live(true)
	burn(s) // its own code; it can use the open one
	s.open()
	burn(s)
	s.open()
	burn(s)
	live(true)
	burn(s) // its attempts at the open code
	live(false)
	s.device = ""
	live(true)
}

// knownDevice checks that a known device has a challenge, messages and attempts of its own, which no stranger uses up,
// and that it can also use the open code.
func knownDevice(t *testing.T, begin stories) {
	s := begin(func(p *otp.Policy) { p.PerAddress.Max = 1 })
	device := otp.DeviceID(rand.Text())
	s.open()
	burn(s)
	s.refused(otp.ErrAddressLimit)
	s.address = otp.Pseudonym(rand.Text())
	s.open()
	burn(s)
	s.address = otp.Pseudonym(rand.Text())
	open := s.open()
	burn(s)
	s.address = otp.Pseudonym(rand.Text())
	s.refused(otp.ErrPhoneLimit)

	s.device = device
	own := s.open()
	if own.ID == open.ID || own.Send != 1 {
		t.Errorf("a known device has %+v; want a challenge of its own", own)
	}
	s.refusedFor(otp.ErrResendTooSoon, policy.ResendAfter) // its own pause
	s.status(own, otp.Queued)
	m := s.check(right, nil)
	if m.ID != own.ID || m.Device != device {
		t.Errorf("a known device matches %+v; want its own challenge", m)
	}
	s.device = ""
	s.check(right, otp.ErrBurnt) // the strangers' attempts are used up
	s.device = device
	s.close(m)
	if m := s.check(right, nil); m.ID != open.ID || m.Device != "" {
		t.Errorf("without a code of its own, a known device matches %+v; want the open challenge", m)
	}
	burn(s) // its attempts at the open code
	s.check(right, otp.ErrBurnt)
	s.device = otp.DeviceID(rand.Text())
	s.check(right, nil)

	s = begin(noResendWait)
	s.device = device
	s.asked = s.open()
	burn(s)
	s.check(right, otp.ErrBurnt)
	s.status(s.asked, "")
	again := s.open()
	if again.ID == s.asked.ID {
		t.Error("a burnt code of a known device is sent again; want a new one")
	}
	s.asked = again
	s.check(right, nil)
	s.open()
	s.refused(otp.ErrPhoneLimit)
	s.device = ""
	s.asked = otp.Challenge{}
	s.check(right, otp.ErrNotLive)
	s.open()
	s.device = otp.DeviceID(rand.Text())
	s.open()
}

// manyDevices checks that all known devices of a phone together have a limit of messages, that a failed one is given
// back, and that strangers have nothing to do with it.
func manyDevices(_ *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.PerPhone.Max = 2 })
	for range otp.DevicesFactor {
		s.device = otp.DeviceID(rand.Text())
		s.open()
		s.refund(s.open())
		s.open()
	}
	s.refused(otp.ErrPhoneLimit)
	s.device = otp.DeviceID(rand.Text())
	s.refusedFor(otp.ErrPhoneLimit, policy.PerPhone.Window)
	s.device = ""
	s.open()
	s.open()
	s.refused(otp.ErrPhoneLimit)
}

// refund settles the message of a challenge as one that failed and does not count.
func (s *story) refund(c otp.Challenge) {
	s.t.Helper()
	s.settle(c.Lease, otp.Outcome{State: otp.Failed, Refund: true})
}

// dayOfDevice checks that a known device has wrong attempts of its own for a day, whatever strangers do, and that its
// login ends their row.
func dayOfDevice(t *testing.T, begin stories) {
	s := begin(noResendWait, noPhoneLimit, func(p *otp.Policy) {
		p.DailyAttempts, p.PerAddress = policy.MaxAttempts+1, otp.Limit{}
	})
	s.open()
	burn(s)
	s.open()
	s.check(wrong, otp.ErrWrong)
	if c := s.open(); c.Length != policy.LongLength() {
		t.Errorf("the open code has %d digits; want %d", c.Length, policy.LongLength())
	}
	s.device = otp.DeviceID(rand.Text())
	if c := s.open(); c.Length != policy.Length {
		t.Errorf("the code of a known device has %d digits; want %d", c.Length, policy.Length)
	}
	m := s.check(right, nil)
	burn(s)
	s.open()
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrPhoneClosed)
	s.refusedFor(otp.ErrDailyLimit, 24*time.Hour)
	s.close(m)
	s.device = ""
	if c := s.open(); c.Length != policy.Length {
		t.Errorf("after a login of a known device, an open code has %d digits; want %d", c.Length, policy.Length)
	}
	for range otp.MaxDailyAttempts {
		c := s.open()
		s.asked = c
		s.check(wrongOf(c), otp.ErrWrong)
	}
	s.check(right, otp.ErrPhoneClosed)
	s.asked, s.device = otp.Challenge{}, otp.DeviceID(rand.Text())
	s.open()
	s.check(right, nil)
}
