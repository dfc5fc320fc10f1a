package otptest

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

func races(t *testing.T, begin stories) {
	s := begin(noResendWait, func(p *otp.Policy) { p.TTL, p.TriesPerAddress = otp.MaxLife, otp.Limit{} })
	accepted := count(t, 50, func() error {
		o := s.opening()
		o.Phone = otp.Pseudonym(rand.Text())
		_, err := s.store.Open(t.Context(), o)
		return err
	})
	if got, refused := accepted[nil], accepted[otp.ErrAddressLimit]; got != policy.PerAddress.Max || refused != 50-got {
		t.Errorf("of 50 simultaneous requests from one address: %v; want %d accepted", accepted, policy.PerAddress.Max)
	}
	accepted = count(t, 50, func() error {
		o := s.opening()
		o.Address = otp.Address{Narrow: otp.Pseudonym(rand.Text())}
		_, err := s.store.Open(t.Context(), o)
		return err
	})
	if got, refused := accepted[nil], accepted[otp.ErrPhoneLimit]; got != policy.PerPhone.Max || refused != 50-got {
		t.Errorf("of 50 simultaneous requests for one phone: %v; want %d accepted", accepted, policy.PerPhone.Max)
	}
	attempts := count(t, 1000, func() error {
		_, err := s.store.Check(t.Context(), s.attempt(wrong))
		return err
	})
	if got, burnt := attempts[otp.ErrWrong], attempts[otp.ErrBurnt]; got != policy.MaxAttempts || burnt != 1000-got {
		t.Errorf("of 1,000 simultaneous wrong attempts: %v; want %d counted", attempts, policy.MaxAttempts)
	}
	s.check(right, otp.ErrBurnt)
}

// count makes n calls at once and counts them by their errors.
func count(t *testing.T, n int, call func() error) map[error]int {
	t.Helper()
	reasons := []error{otp.ErrPhoneLimit, otp.ErrAddressLimit, otp.ErrWrong, otp.ErrBurnt}
	got := make(map[error]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			err := call()
			for _, r := range reasons {
				if errors.Is(err, r) {
					err = r
				}
			}
			mu.Lock()
			defer mu.Unlock()
			got[err]++
		})
	}
	close(start)
	wg.Wait()
	return got
}

// claims checks that each message is claimed once, however many couriers claim at the same time. It begins again if the
// machine is so slow that leases may run out meanwhile.
func claims(t *testing.T, begin stories) {
	for took := abandoned; took > abandoned/2; {
		s := begin() // with empty outboxes
		const messages = 60
		var phones []otp.Pseudonym
		for range messages {
			s.newPhone()
			s.address = otp.Pseudonym(rand.Text())
			s.open()
			phones = append(phones, s.phone)
		}
		s.age(abandoned)
		began := time.Now()
		got := claimAll(t, s)
		if took = time.Since(began); took > abandoned/2 {
			continue
		}
		for _, p := range phones {
			if n := got["letter to "+string(p)]; n != 1 {
				t.Errorf("a message was claimed %d times; want once", n)
			}
		}
	}
}

// claimAll returns how often each letter was claimed by eight couriers.
func claimAll(t *testing.T, s *story) map[string]int {
	t.Helper()
	got := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 { // three messages each are four times as many as there are
				claimed, err := s.store.Claim(t.Context(), 3)
				if err != nil || len(claimed) > 3 {
					t.Errorf("Claim: %d messages, %v; want 3 at most", len(claimed), err)
				}
				mu.Lock()
				for _, l := range claimed {
					got[string(l.Letter)]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}
