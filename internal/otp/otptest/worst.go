package otptest

import (
	"errors"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// hardened are policies for which the bound of otp.Policy.DailyGuesses is reached in different ways.
var hardened = map[string]func(*otp.Policy){
	"defaults":               func(*otp.Policy) {},
	"codes of two minutes":   func(p *otp.Policy) { p.TTL = 2 * time.Minute },
	"no wait for a resend":   func(p *otp.Policy) { p.ResendAfter = 0 },
	"one daily attempt":      func(p *otp.Policy) { p.DailyAttempts = 1 },
	"most daily attempts":    func(p *otp.Policy) { p.DailyAttempts = 100 },
	"ten attempts a code":    func(p *otp.Policy) { p.MaxAttempts = 10 },
	"one attempt a code":     func(p *otp.Policy) { p.MaxAttempts = 1 },
	"messages in a minute":   func(p *otp.Policy) { p.PerPhone.Window = time.Minute },
	"messages in a day":      func(p *otp.Policy) { p.PerPhone.Window = 24 * time.Hour },
	"no limit of messages":   noPhoneLimit,
	"no limits by addresses": func(p *otp.Policy) { p.PerAddress, p.TriesPerAddress = otp.Limit{}, otp.Limit{} },
	"eight digits":           func(p *otp.Policy) { p.Length = 8 },
}

// bestAttack is the best attack that is known. The stranger lets the owner end the row of wrong attempts by logging in,
// holds as many requests as there can be before the last attempt that makes codes longer, and uses their attempts after
// it. A bound that this attack does not reach could be lower.
func bestAttack(t *testing.T, begin open) {
	for name, change := range hardened {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, begin, change)
			s, known := w.newStranger(addressesV4(crowd)), w.known()
			for day := range 2 { // the second one begins while the first one still counts
				s.attackAtBest(known)
				short, long := s.day(len(s.guesses) - 1)
				t.Logf("%d and %d guesses", short, long)
				if most, _ := w.policy.DailyGuesses(); day == 0 && reachable(w.policy) && short != most {
					t.Errorf("the best attack has %d guesses at usual codes; want %d", short, most)
				}
				w.age(24*time.Hour - time.Minute)
			}
			s.check()
		})
	}
}

// reachable reports whether the best attack of one day has as many guesses as DailyGuesses returns.
func reachable(p otp.Policy) bool {
	return p.PerPhone.Window <= otp.MaxLife
}

// attackAtBest guesses at usual codes until there are none, and then at longer ones until the phone is closed or gets
// no message for half a day.
func (s *stranger) attackAtBest(known *device) {
	s.w.t.Helper()
	w := s.w
	usual := w.policy.Length
	for n := 0; n < w.policy.DailyAttempts; {
		if !s.awaitRequest(12 * time.Hour) {
			return
		}
		if len(w.newest.code) != usual {
			break
		}
		for n < w.policy.DailyAttempts && s.guess(otp.Answer{}, usual) {
			n++
		}
	}
	known.logIn() // otherwise the next code is longer already
	w.age(min(w.policy.PerPhone.Window, time.Hour))
	s.hold()
	s.exhaust(otp.Answer{}, usual)
	s.useTickets(usual)
	for n := 1; n > 0 && s.awaitRequest(12*time.Hour); {
		n = s.exhaust(otp.Answer{}, len(w.newest.code)) + s.useTickets(len(w.newest.code))
	}
}

// hold collects the tickets of as many requests as there can be while the first code of them lives.
func (s *stranger) hold() {
	s.w.t.Helper()
	end := s.w.now().Add(otp.MaxLife - s.w.policy.LeastLife()) // a later request has a new code
	for n := 0; n < 2*otp.MaxDailyAttempts/s.w.policy.MaxAttempts && s.awaitRequest(end.Sub(s.w.now())); {
		n++
	}
}

// useTickets guesses with each ticket until none is of use.
func (s *stranger) useTickets(digits int) (n int) {
	s.w.t.Helper()
	for _, l := range s.tickets[max(0, len(s.tickets)-2*otp.MaxDailyAttempts):] {
		if len(l.code) == digits {
			n += s.exhaust(otp.Answer{Ticket: l.ticket}, digits)
		}
	}
	return n
}

// awaitRequest asks for a code until the limits let it through, and drives the clock for so long at most.
func (s *stranger) awaitRequest(most time.Duration) bool {
	s.w.t.Helper()
	for {
		l, err := s.w.request(otp.Request{Phone: s.w.phone, Address: s.address()})
		if err == nil {
			s.tickets = append(s.tickets, l)
			return true
		}
		var refused *otp.ThrottledError
		if !errors.As(err, &refused) {
			s.w.t.Fatalf("Request: %v", err)
		}
		if most -= refused.RetryAfter; most < 0 {
			return false
		}
		s.w.age(refused.RetryAfter)
	}
}

// attackWhileMessagesFail is the best attack while no message can be delivered, so that the limits no longer count
// them.
func attackWhileMessagesFail(t *testing.T, begin open) {
	w := newTown(t, begin, func(p *otp.Policy) { p.PerAddress = otp.Limit{} })
	s := w.newStranger(addressesV4(crowd))
	known := w.known()
	w.post.fails.Store(true)
	for range 2 * otp.MaxDailyAttempts / w.policy.MaxAttempts {
		if !s.request() {
			t.Fatal("a request is refused although every message before failed")
		}
	}
	for s.guess(otp.Answer{}, w.policy.Length) {
	}
	s.useTickets(w.policy.Length)
	w.post.fails.Store(false)
	known.logIn()
	s.check()
}
