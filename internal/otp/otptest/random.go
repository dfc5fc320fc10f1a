package otptest

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

const (
	seeds = 1   // random attacks on each policy
	steps = 150 // of a random attack
)

// TestRandomAttacks attacks the service in random steps, also with what only the owner and bad luck do. It looks for
// ways around the bounds that nobody has thought of. The function begin returns a store with the policy.
func TestRandomAttacks(t *testing.T, begin func(t *testing.T, p otp.Policy) Store) {
	for name, change := range hardened {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				w := newTown(t, begin, change)
				r := &randomAttack{
					stranger: w.newStranger(ofAllKinds()),
					rand:     rand.New(rand.NewPCG(seed, 0)),
					known:    w.known(),
				}
				for range steps {
					r.step()
				}
				r.check()
				w.age(24 * time.Hour)
				r.known.logIn()
				most := 0
				for i := range r.guesses {
					short, _ := r.day(i)
					most = max(most, short)
				}
				bound, _ := w.policy.DailyGuesses()
				t.Logf("seed %d: %d guesses, %d of %d in a day at usual codes", seed, len(r.guesses), most, bound)
			}
		})
	}
}

type randomAttack struct {
	*stranger
	rand  *rand.Rand
	known *device
}

// step makes a step of the attack. Its weights keep the limits of attempts rather than those of messages busy.
func (r *randomAttack) step() {
	w := r.w
	switch n := r.rand.IntN(100); {
	case n < 20:
		r.guessSome(otp.Answer{})
	case n < 40 && len(r.tickets) > 0:
		recent := r.tickets[max(0, len(r.tickets)-8):]
		r.guessSome(otp.Answer{Ticket: recent[r.rand.IntN(len(recent))].ticket})
	case n < 65:
		w.post.fails.Store(r.rand.IntN(5) == 0)
		r.request()
		w.post.fails.Store(false)
	case n < 70:
		r.owner(r.known)
	case n < 73:
		r.owner(&device{w: w})
	case n < 76:
		r.changePhone()
	case n < 99:
		minutes := []time.Duration{0, 0, 1, 2, 5, 8, 10}
		w.age(minutes[r.rand.IntN(len(minutes))]*time.Minute + time.Duration(r.rand.IntN(31))*time.Second)
	default:
		w.age(24*time.Hour - time.Duration(r.rand.IntN(20))*time.Minute)
	}
}

func (r *randomAttack) guessSome(a otp.Answer) {
	digits := len(r.w.newest.code)
	if l, ok := r.letter(a.Ticket); ok {
		digits = len(l.code)
	}
	if digits == 0 || r.rand.IntN(10) == 0 {
		digits = r.w.policy.Length + r.rand.IntN(2)*otp.LongerBy
	}
	for range max(1, r.rand.IntN(2*r.w.policy.MaxAttempts)) {
		r.guess(a, digits)
	}
}

// owner is what the owner does on a device: asks for a code if the limits allow it, and logs in with it now and then.
func (r *randomAttack) owner(d *device) {
	w := r.w
	l, err := w.request(otp.Request{Phone: w.phone, Address: w.home, Device: d.token})
	if err != nil {
		if d.token != "" && !errors.Is(err, otp.ErrPhoneLimit) && !errors.Is(err, otp.ErrResendTooSoon) {
			w.t.Fatalf("a known device is refused: %v", err)
		}
		return
	}
	if r.rand.IntN(4) > 0 {
		d.login(l, l)
	}
}

// changePhone is an attack by changes to the phone, with an account of the stranger. It has codes and guesses of its
// own.
func (r *randomAttack) changePhone() {
	w := r.w
	purpose := otp.ForPhoneChange(uuid.New())
	l, err := w.request(otp.Request{Phone: w.phone, Purpose: purpose, Address: r.address()})
	if err != nil {
		if !errors.Is(err, otp.ErrThrottled) {
			w.t.Fatalf("a request for a change of phone: %v", err)
		}
		return
	}
	for _, ticket := range []string{l.ticket, ""} {
		for range w.policy.MaxAttempts + 1 {
			a := otp.Answer{Phone: w.phone, Purpose: purpose, Address: r.address(), Ticket: ticket}
			_ = w.answer(a, r.wrong(len(l.code)), false)
		}
	}
}
