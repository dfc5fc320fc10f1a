package otptest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// TestAttacks checks that a stranger who knows only a phone number neither keeps its owner from logging in nor has more
// guesses than otp.Policy.DailyGuesses returns. The function begin returns a store with the policy.
func TestAttacks(t *testing.T, begin func(t *testing.T, p otp.Policy) Store) {
	for name, test := range map[string]func(*testing.T, open){
		"minute":             attackOfMinute,
		"day":                attackOfDay,
		"greedy":             attackOfGreedy,
		"best":               bestAttack,
		"failing provider":   attackWhileMessagesFail,
		"races of strangers": racesOfStrangers,
		"without a database": withoutDatabase,
	} {
		t.Run(name, func(t *testing.T) { test(t, begin) })
	}
}

const (
	crowd     = 200 // addresses
	perSecond = 50  // attempts
)

// ofAllKinds returns addresses of IPv4, of IPv6, and of one network of IPv6.
func ofAllKinds() []netip.Addr {
	return slices.Concat(addressesV4(crowd/2), addressesV6(crowd/4), nearV6(crowd/4))
}

// onEachAttack runs a story with and without requests of the stranger.
func onEachAttack(t *testing.T, begin open, story func(t *testing.T, w *town, s *stranger, requests bool)) {
	t.Helper()
	for _, requests := range []bool{false, true} {
		t.Run(fmt.Sprintf("requests: %t", requests), func(t *testing.T) {
			w := newTown(t, begin)
			s := w.newStranger(ofAllKinds())
			s.gather()
			story(t, w, s, requests)
			s.check()
			t.Logf("%d guesses", len(s.guesses))
		})
	}
}

// attackOfMinute is an attack of 50 attempts a second. The owner's known device is let in at each first code, and a new
// one as soon as it gets a message.
func attackOfMinute(t *testing.T, begin open) {
	onEachAttack(t, begin, func(t *testing.T, w *town, s *stranger, requests bool) {
		known := w.known()
		for second := range 60 {
			if requests {
				s.request()
			}
			s.shoot(perSecond)
			if second%20 == 10 {
				known.logIn()
				s.shoot(perSecond)
			}
			w.age(time.Second)
		}
		newDevice(t, s)
	})
}

// shoot makes n attempts, each with other things in hand.
func (s *stranger) shoot(n int) {
	s.w.t.Helper()
	for i := range n {
		a := s.useless[i%len(s.useless)]
		if len(s.tickets) > 0 && i%2 == 0 {
			a.Ticket = s.tickets[len(s.tickets)-1-i/2%min(len(s.tickets), 6)].ticket
		}
		digits := len(s.w.newest.code)
		if digits == 0 || i%9 == 8 {
			digits = s.w.policy.Length + i%2*otp.LongerBy
		}
		s.guess(a, digits)
	}
}

// newDevice checks that the owner logs in from a new device while the attack goes on: at the first code, or else, if
// the stranger has used up the messages of the phone, once the limit has room for one more. A phone that the stranger
// has closed lets no new device in.
func newDevice(t *testing.T, s *stranger) {
	t.Helper()
	w := s.w
	d := &device{w: w}
	l, err := d.request()
	for waited := time.Duration(0); err != nil; l, err = d.request() {
		if errors.Is(err, otp.ErrDailyLimit) && s.closed() {
			return
		}
		var refused *otp.ThrottledError
		if !errors.As(err, &refused) || waited+refused.RetryAfter > w.policy.PerPhone.Window {
			t.Fatalf("after %d guesses the owner waits %v on a new device: %v", len(s.guesses), waited, err)
		}
		waited += refused.RetryAfter
		w.age(refused.RetryAfter)
		s.shoot(perSecond)
	}
	s.shoot(perSecond)
	if !s.closed() {
		d.login(l, l)
	}
}

// closed reports whether the stranger has made as many guesses as close a phone.
func (s *stranger) closed() bool {
	n := 0
	for _, g := range s.guesses {
		if s.w.now().Sub(g.after) < 24*time.Hour+slack {
			n++
		}
	}
	return n >= otp.MaxDailyAttempts
}

// attackOfDay is an attack of a day. The story shows a burst of it in ten minutes. The owner's known device is let in
// at each first code, also after a second message. A new device is let in until the stranger has made as many wrong
// attempts as close a phone (NIST SP 800-63B-4 §3.2.2); from then on, only known devices are.
func attackOfDay(t *testing.T, begin open) {
	onEachAttack(t, begin, func(t *testing.T, w *town, s *stranger, requests bool) {
		known := w.known()
		const step = 10 * time.Minute
		for i := range int(25 * time.Hour / step) {
			for requests && s.request() {
				w.age(w.policy.ResendAfter)
			}
			s.shoot(perSecond / 5)
			switch i % 3 {
			case 0:
				known.logIn()
			case 1:
				known.loginAfterSecondMessage(i%2 == 0)
			}
			s.shoot(perSecond / 5)
			if i%6 == 5 {
				newDevice(t, s)
			}
			w.age(step)
		}
		if requests && len(s.guesses) < otp.MaxDailyAttempts {
			t.Errorf("%d guesses in a day with requests; want the phone closed", len(s.guesses))
		}
	})
}

// loginAfterSecondMessage asks twice, and types the code of one message with the ticket of the other one.
func (d *device) loginAfterSecondMessage(first bool) {
	d.w.t.Helper()
	one, _ := d.request()
	d.w.age(d.w.policy.ResendAfter)
	two, _ := d.request()
	if first {
		one, two = two, one
	}
	d.login(one, two)
}

// attackOfGreedy is an attack that takes every message of the phone as soon as there is one, and burns its code for all
// who have no ticket. It keeps new devices out, and closes the phone within hours. A known device notices nothing of
// it.
func attackOfGreedy(t *testing.T, begin open) {
	w := newTown(t, begin)
	known := w.known()
	s := w.newStranger(addressesV4(crowd))
	s.gather()
	for began := w.now(); !s.closed(); w.age(w.policy.ResendAfter) {
		w.age(w.policy.PerPhone.Window / time.Duration(w.policy.PerPhone.Max))
		if s.request() {
			s.exhaust(otp.Answer{}, len(w.newest.code))
		}
		known.logIn()
		if w.now().Sub(began) > 24*time.Hour {
			t.Fatalf("%d guesses in a day; want the phone closed", len(s.guesses))
		}
	}
	if _, err := w.request(otp.Request{Phone: w.phone, Address: w.home}); !errors.Is(err, otp.ErrDailyLimit) {
		t.Errorf("a new device: %v; want ErrDailyLimit", err)
	}
	for range 3 {
		w.age(w.policy.PerPhone.Window)
		known.logIn()
	}
	s.check()
}

// withoutDatabase checks that a right code that cannot be redeemed costs its address no attempt, however often it is
// tried.
func withoutDatabase(t *testing.T, begin open) {
	w := newTown(t, begin)
	l, err := w.request(otp.Request{Phone: w.phone, Address: w.home})
	if err != nil {
		t.Fatal(err)
	}
	a := otp.Answer{Phone: w.phone, Address: w.home, Ticket: l.ticket}
	for range 2 * w.policy.TriesPerAddress.Max {
		if !w.accepts(a, l.code) {
			t.Fatal("the right code is refused")
		}
	}
	(&device{w: w}).login(l, l)
}
