package otptest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

func rightCode(t *testing.T, begin stories) {
	s := begin()
	s.check(right, otp.ErrNotLive)
	c := s.open()
	if c.Send != 1 || c.ResendIn != policy.ResendAfter {
		t.Errorf("first message: send %d, resend in %v; want 1, %v", c.Send, c.ResendIn, policy.ResendAfter)
	}
	for range 2 { // a right code is not used up
		if m := s.check(right, nil); m.ID != c.ID {
			t.Errorf("match %v; want %v", m.ID, c.ID)
		}
	}
	s.close(s.check(right, nil))
	s.check(right, otp.ErrNotLive)
	s.open() // a person who has logged in may request a code at once
}

func wrongAttemptsBurn(t *testing.T, begin stories) {
	s := begin()
	c := s.open()
	for range policy.MaxAttempts - 1 {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, nil)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrBurnt)
	s.check(wrong, otp.ErrBurnt)
	if again := s.open(); again.ID == c.ID || again.Send != 1 { // without the wait for a resend
		t.Errorf("after a burnt challenge: id %v, send %d; want a new one, 1", again.ID, again.Send)
	}
	s.check(right, nil)
}

func resendKeepsCode(t *testing.T, begin stories) {
	s := begin()
	c := s.open()
	for range policy.MaxAttempts - 1 {
		s.check(wrong, otp.ErrWrong)
	}
	s.age(policy.TTL - slack)
	if again := s.open(); again.ID != c.ID || again.Send != 2 {
		t.Errorf("resend: id %v, send %d; want %v, 2", again.ID, again.Send, c.ID)
	}
	s.age(policy.TTL - slack)
	s.check(right, nil)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrBurnt)
}

// wholeLife checks that a code dies MaxLife after its first message, however often it is sent again, and that a resend
// that would leave it little time has a new code.
func wholeLife(t *testing.T, begin stories) {
	for _, ttl := range []time.Duration{2 * time.Minute, 5 * time.Minute, otp.MaxLife} {
		s := begin(noResendWait, noPhoneLimit, func(p *otp.Policy) { p.TTL = ttl; p.PerAddress = otp.Limit{} })
		c := s.open()
		if c.ExpiresIn != ttl || c.Lease.Life != ttl {
			t.Errorf("a new code lives for %v, its message says %v; want %v", c.ExpiresIn, c.Lease.Life, ttl)
		}
		const step = 85 * time.Second
		for age := step; age < otp.MaxLife+step; age += step {
			s.age(step)
			again := s.open()
			left := otp.MaxLife - age
			if isNew := left < 2*time.Minute; isNew {
				if again.ID == c.ID || again.Send != 1 || again.ExpiresIn != ttl {
					t.Errorf("TTL %v, a resend after %v: %+v; want a new code for %v", ttl, age, again, ttl)
				}
				break
			}
			want := min(ttl, left)
			if again.ID != c.ID || again.ExpiresIn > want || again.ExpiresIn < want-slack {
				t.Errorf("TTL %v, a resend after %v: %+v; want the same code for %v", ttl, age, again, want)
			}
		}
	}
	s := begin(func(p *otp.Policy) { p.TTL = otp.MaxLife })
	s.open()
	s.age(8*time.Minute - slack)
	s.open()
	s.age(2*time.Minute - slack)
	s.check(right, nil)
	s.age(2 * slack)
	s.check(right, otp.ErrNotLive)
}

func expiry(_ *testing.T, begin stories) {
	s := begin()
	s.open()
	s.age(policy.TTL - slack)
	s.check(right, nil)
	s.age(slack)
	s.check(right, otp.ErrNotLive)
	s.open()
}

func closeIsForOneChallenge(_ *testing.T, begin stories) {
	s := begin()
	s.open()
	old := s.check(right, nil)
	s.age(policy.TTL)
	s.open()
	s.close(old)
	s.check(right, nil)
}

func sameOpeningTwice(t *testing.T, begin stories) {
	s := begin(noResendWait)
	for want := 1; want <= policy.PerPhone.Max; want++ {
		o := s.opening()
		for range 2 { // the second one as after a lost reply
			if c, err := s.store.Open(t.Context(), o); err != nil || c.Send != want {
				t.Fatalf("Open: send %d, %v; want %d", c.Send, err, want)
			}
		}
	}
	s.refused(otp.ErrPhoneLimit)
}

// purposes checks that the codes of a purpose work for no other, that the limits of messages count all purposes
// together, and that wrong attempts at a change of phone leave the login alone.
func purposes(t *testing.T, begin stories) {
	s := begin()
	user, other := otp.ForPhoneChange(uuid.Must(uuid.NewV7())), otp.ForPhoneChange(uuid.Must(uuid.NewV7()))
	first := s.open()
	for _, p := range []otp.Purpose{user, other} {
		s.purpose = p
		s.check(right, otp.ErrNotLive)
	}
	s.purpose = user
	second := s.open()
	if second.ID == first.ID || second.Send != 1 {
		t.Errorf("the first message of another purpose: %+v; want a challenge of its own", second)
	}
	burn(s)
	s.check(right, otp.ErrBurnt)
	s.purpose = other
	s.check(right, otp.ErrNotLive)
	s.purpose = otp.ForLogin
	if m := s.check(right, nil); m.ID != first.ID {
		t.Errorf("match %v; want %v", m.ID, first.ID)
	}

	s = begin(noResendWait)
	for i := range policy.PerPhone.Max {
		s.purpose = []otp.Purpose{otp.ForLogin, user, other}[i]
		s.open()
	}
	for _, p := range []otp.Purpose{otp.ForLogin, user, other} {
		s.purpose = p
		s.refused(otp.ErrPhoneLimit)
	}
}

func forget(t *testing.T, begin stories) {
	s := begin(noResendWait)
	for range policy.PerPhone.Max {
		s.open()
	}
	s.check(wrong, otp.ErrWrong)
	for range 2 {
		if err := s.store.Forget(t.Context(), s.phone); err != nil {
			t.Fatalf("Forget: %v", err)
		}
		s.check(right, otp.ErrNotLive)
		s.refused(otp.ErrPhoneLimit) // the messages are still counted
	}
	s.newPhone()
	device := otp.DeviceID(rand.Text())
	s.device = device
	own := s.open()
	s.device = ""
	first := s.open()
	burn(s)
	s.open() // replaces the first one
	if err := s.store.Forget(t.Context(), s.phone); err != nil {
		t.Fatalf("Forget: %v", err)
	}
	s.check(right, otp.ErrNotLive)
	for _, c := range []otp.Challenge{first, own} {
		s.asked = c
		s.check(right, otp.ErrNotLive)
		s.device = device
	}
	s.asked = otp.Challenge{}

	s.newPhone()
	s.device = ""
	s.open()
	if err := s.store.Forget(t.Context(), otp.Pseudonym(rand.Text())); err != nil {
		t.Fatalf("Forget of an unknown phone: %v", err)
	}
	s.check(right, nil)
}

func unlock(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.DailyAttempts = 3 })
	freed := func(wrongs, sends int) otp.Unlocked {
		t.Helper()
		u, err := s.store.Unlock(t.Context(), s.phone)
		if err != nil || u.Wrong != wrongs || u.Sends != sends || u.Since.IsZero() != (wrongs+sends == 0) {
			t.Errorf("Unlock: %+v, %v; want %d wrong attempts, %d messages", u, err, wrongs, sends)
		}
		return u
	}
	freed(0, 0) // a phone that nobody knows
	for range policy.PerPhone.Max {
		s.open()
	}
	for range 3 {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, otp.ErrBurnt) // because the code is too short now
	s.refused(otp.ErrPhoneLimit)
	freed(3, policy.PerPhone.Max)
	s.check(right, nil) // the live code stays
	s.check(wrong, otp.ErrWrong)
	if c := s.open(); c.Length != policy.Length {
		t.Errorf("a code after an unlock has %d digits; want %d", c.Length, policy.Length)
	}
	freed(1, 1)
	freed(0, 0)
	s.check(wrong, otp.ErrWrong)
	s.age(25 * time.Hour)
	if u, err := s.store.Unlock(t.Context(), s.phone); err != nil || u.Wrong != 1 {
		t.Errorf("Unlock after a day: %+v, %v; want the wrong attempt in a row", u, err)
	}
}
