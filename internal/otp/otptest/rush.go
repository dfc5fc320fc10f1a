package otptest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	rush        = 200 // attempts at once
	perOpponent = 10  // of each of those who make them
)

// racesOfStrangers checks that of any number of simultaneous attempts exactly as many count against each of those who
// make them as the policy allows, on two copies of the service.
func racesOfStrangers(t *testing.T, begin open) {
	t.Run("requests", func(t *testing.T) {
		w := newTown(t, begin, manyMessages)
		var all []otp.Answer
		for range rush / perOpponent {
			all = append(all, otp.Answer{Ticket: w.mustRequest("").ticket})
		}
		w.attemptAtOnce(all)
		w.mayGuess(0)
	})
	t.Run("requests, all others and known devices", func(t *testing.T) {
		w := newTown(t, begin, manyMessages, func(p *otp.Policy) { p.DailyAttempts = 100 })
		var devices []*device
		for range 4 {
			devices = append(devices, w.known())
		}
		all := []otp.Answer{{}}
		for range 15 {
			all = append(all, otp.Answer{Ticket: w.mustRequest("").ticket})
		}
		for i, d := range devices { // with a code of their own, and with the open one alone
			a := otp.Answer{Device: d.token}
			if i%2 == 0 {
				a.Ticket = w.mustRequest(d.token).ticket
			}
			all = append(all, a)
		}
		w.attemptAtOnce(all)
		w.mayGuess(otp.MaxDailyAttempts - 16*w.policy.MaxAttempts)
	})
}

func manyMessages(p *otp.Policy) {
	p.PerPhone = otp.Limit{Max: 40, Window: 24 * time.Hour}
	p.ResendAfter, p.PerAddress, p.TriesPerAddress = 0, otp.Limit{}, otp.Limit{}
}

func (w *town) mustRequest(token string) letter {
	w.t.Helper()
	l, err := w.request(otp.Request{Phone: w.phone, Address: w.home, Device: token})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// attemptAtOnce lets each of the opponents make wrong attempts, all at the same time, half of them on each copy.
func (w *town) attemptAtOnce(opponents []otp.Answer) {
	w.t.Helper()
	if len(opponents)*perOpponent != rush {
		w.t.Fatalf("%d opponents; want %d", len(opponents), rush/perOpponent)
	}
	var mu sync.Mutex
	var running sync.WaitGroup
	counted, start := make([]int, len(opponents)), make(chan struct{})
	for i := range rush {
		running.Go(func() {
			a := opponents[i%len(opponents)]
			a.Phone, a.Address = w.phone, w.home
			<-start
			err := w.answer(a, fmt.Sprintf("%06d", i), false)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, otp.ErrWrong) {
				counted[i%len(opponents)]++
			} else if !errors.Is(err, otp.ErrInvalidCode) {
				w.t.Errorf("a wrong code: %v", err)
			}
		})
	}
	close(start)
	running.Wait()
	for i, a := range opponents {
		want := w.policy.MaxAttempts
		if a.Device != "" && a.Ticket != "" { // at its own code, and then at the open one
			want *= 2
		}
		a.Phone, a.Address = w.phone, w.home
		err := w.answer(a, "000000", false)
		if counted[i] != want || errors.Is(err, otp.ErrWrong) || !errors.Is(err, otp.ErrInvalidCode) {
			w.t.Errorf("%d attempts of opponent %d are counted, then %v; want %d, refused", counted[i], i, err, want)
		}
	}
}

// mayGuess expects that strangers have exactly so many attempts left until the phone is closed.
func (w *town) mayGuess(want int) {
	w.t.Helper()
	s := w.newStranger(addressesV4(crowd))
	n := 0
	for s.request() {
		n += s.exhaust(otp.Answer{}, w.policy.Length) + s.useTickets(w.policy.Length)
	}
	_, err := w.request(otp.Request{Phone: w.phone, Address: w.home})
	if n != want || !errors.Is(err, otp.ErrDailyLimit) {
		w.t.Errorf("%d more attempts are counted, %v; want %d until the phone is closed", n, err, want)
	}
}
