// Package otptest holds the promises that every otp.Store keeps.
package otptest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/otp"
)

// A Store is a store under test and a way to move its clock.
type Store struct {
	otp.Store
	// Calls is the observer of the store.
	Calls *observertest.Calls
	// Age makes all that the store holds older by d.
	Age func(t *testing.T, d time.Duration)
}

// policy is the product's own defaults.
var policy = otp.Policy{
	Length: 6, TTL: 2 * time.Minute, MaxAttempts: 5, ResendAfter: 30 * time.Second,
	PerPhone: otp.Limit{Max: 3, Window: 10 * time.Minute}, PerAddress: otp.Limit{Max: 30, Window: 10 * time.Minute},
	DailyAttempts: 30,
}

// slack is how much time a story may take by itself, between the moments to which it moves the store's clock.
const slack = 20 * time.Second

const (
	right = otp.Digest("right")
	wrong = otp.Digest("wrong")
)

// TestStore runs the suite. Open gives a store with the policy; keys are random, so that stores may share a database.
func TestStore(t *testing.T, open func(t *testing.T, p otp.Policy) Store) {
	for name, test := range map[string]func(*testing.T, func(...func(*otp.Policy)) *story){
		"right code":                 rightCode,
		"wrong tries burn":           wrongTriesBurn,
		"resend keeps code":          resendKeepsCode,
		"expiry":                     expiry,
		"resend wait":                resendWait,
		"phone window slides":        phoneWindowSlides,
		"resend in is truthful":      resendInIsTruthful,
		"address limit":              addressLimit,
		"address is given back":      addressIsGivenBack,
		"daily limit":                dailyLimit,
		"refusal changes nothing":    refusalChangesNothing,
		"longest wait wins":          longestWaitWins,
		"give back":                  giveBack,
		"held message":               heldMessage,
		"abandoned message":          abandonedMessage,
		"dead message":               deadMessage,
		"late message":               lateMessage,
		"settled message":            settledMessage,
		"settled twice":              settledTwice,
		"rejected message":           rejectedMessage,
		"report":                     report,
		"status":                     status,
		"claims":                     claims,
		"close is for one challenge": closeIsForOneChallenge,
		"test numbers":               testNumbers,
		"limits off":                 limitsOff,
		"same opening twice":         sameOpeningTwice,
		"purposes":                   purposes,
		"forget":                     forget,
		"races":                      races,
		"unavailable":                unavailable,
		"observed":                   observed,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(change ...func(*otp.Policy)) *story {
				p := policy
				for _, c := range change {
					c(&p)
				}
				return &story{t: t, store: open(t, p), phone: otp.Pseudonym(rand.Text()), address: otp.Pseudonym(rand.Text())}
			})
		})
	}
}

func noResendWait(p *otp.Policy) { p.ResendAfter = 0 }
func noPhoneLimit(p *otp.Policy) { p.PerPhone = otp.Limit{} }

// A story is one phone's.
type story struct {
	t              *testing.T
	store          Store
	phone, address otp.Pseudonym
	purpose        otp.Purpose
}

func (s *story) opening() otp.Opening {
	return otp.Opening{Phone: s.phone, Address: s.address, Purpose: s.purpose, ID: uuid.Must(uuid.NewV7()), Digest: right, Letter: []byte("letter to " + s.phone)}
}

func (s *story) open() otp.Challenge {
	s.t.Helper()
	c, err := s.store.Open(s.t.Context(), s.opening())
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	return c
}

// refused opens, expects the reason and gives the wait.
func (s *story) refused(want error) time.Duration {
	s.t.Helper()
	_, err := s.store.Open(s.t.Context(), s.opening())
	var throttled *otp.ThrottledError
	if !errors.As(err, &throttled) || !errors.Is(err, want) || !errors.Is(err, otp.ErrThrottled) {
		s.t.Fatalf("Open: %v; want %v", err, want)
	}
	return throttled.RetryAfter
}

// refusedFor is refused with a wait of about want, after which Open succeeds, and not before.
func (s *story) refusedFor(reason error, want time.Duration) {
	s.t.Helper()
	got := s.refused(reason)
	if got > want+time.Second || got < want-slack {
		s.t.Fatalf("wait %v; want %v", got, want)
	}
	s.age(got - slack)
	s.refused(reason)
	s.age(slack)
	s.open()
}

func (s *story) check(d otp.Digest, want error) otp.Match {
	s.t.Helper()
	m, err := s.store.Check(s.t.Context(), s.phone, s.purpose, d)
	if !errors.Is(err, want) || (want != nil && !errors.Is(err, otp.ErrInvalidCode)) {
		s.t.Fatalf("Check(%s): %v; want %v", d, err, want)
	}
	return m
}

func (s *story) close(m otp.Match) {
	s.t.Helper()
	if err := s.store.Close(s.t.Context(), s.phone, s.purpose, m); err != nil {
		s.t.Fatalf("Close: %v", err)
	}
}

func (s *story) age(d time.Duration) { s.t.Helper(); s.store.Age(s.t, d) }

func (s *story) newPhone() { s.phone = otp.Pseudonym(rand.Text()) }

func rightCode(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	s.check(right, otp.ErrNotLive)
	c := s.open()
	if c.Send != 1 || c.ResendIn != policy.ResendAfter {
		t.Errorf("first message: send %d, resend in %v; want 1, %v", c.Send, c.ResendIn, policy.ResendAfter)
	}
	for range 2 { // a right answer uses nothing up
		if m := s.check(right, nil); m.ID != c.ID {
			t.Errorf("match %v; want %v", m.ID, c.ID)
		}
	}
	s.close(s.check(right, nil))
	s.check(right, otp.ErrNotLive)
	s.open() // and a person who logged in may ask again at once
}

func wrongTriesBurn(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	c := s.open()
	for range policy.MaxAttempts - 1 {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, nil)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrBurnt)
	s.check(wrong, otp.ErrBurnt)
	s.refused(otp.ErrResendTooSoon)
	s.age(policy.ResendAfter)
	if again := s.open(); again.ID == c.ID || again.Send != 1 {
		t.Errorf("after a burnt challenge: id %v, send %d; want a new one, 1", again.ID, again.Send)
	}
	s.check(right, nil)
}

func resendKeepsCode(t *testing.T, begin func(...func(*otp.Policy)) *story) {
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

func expiry(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	s.open()
	s.age(policy.TTL - slack)
	s.check(right, nil)
	s.age(slack)
	s.check(right, otp.ErrNotLive)
	s.open()
}

func resendWait(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	s.open()
	s.refusedFor(otp.ErrResendTooSoon, policy.ResendAfter)
}

func phoneWindowSlides(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	for range policy.PerPhone.Max { // at 0, 4 and 8 minutes
		s.open()
		s.age(4 * time.Minute)
	}
	s.age(-3 * time.Minute)
	s.refusedFor(otp.ErrPhoneLimit, time.Minute)   // at 9 and 10 minutes
	s.refusedFor(otp.ErrPhoneLimit, 4*time.Minute) // until 14 minutes
}

func resendInIsTruthful(t *testing.T, begin func(...func(*otp.Policy)) *story) {
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

func addressLimit(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.PerAddress.Max = 2 })
	s.open()
	s.refused(otp.ErrResendTooSoon) // counts nothing against the address
	s.newPhone()
	s.age(time.Minute)
	s.open()
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
	s.check(right, otp.ErrNotLive) // and opens nothing
	s.refusedFor(otp.ErrAddressLimit, policy.PerAddress.Window-time.Minute)
}

func addressIsGivenBack(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.PerAddress.Max = 3 })
	s.open()
	s.age(policy.ResendAfter)
	s.open() // two messages from this address, and one from another
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

func dailyLimit(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
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
	s.check(right, otp.ErrClosed)
	s.check(wrong, otp.ErrClosed)
}

func refusalChangesNothing(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
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

func longestWaitWins(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max = 1 })
	s.open()
	s.refusedFor(otp.ErrPhoneLimit, policy.PerPhone.Window) // not 30 seconds of the resend
}

func giveBack(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.PerPhone.Max, p.PerAddress.Max = 1, 1 })
	for range 3 { // counted nowhere: not for the phone, the address or the resend wait
		s.settle(s.open().Lease, otp.Outcome{State: otp.Failed, Refund: true})
		s.check(right, nil) // the message may have arrived all the same
	}
	s.open()
	first := s.phone
	s.newPhone()
	s.refused(otp.ErrAddressLimit)
	s.phone, s.address = first, otp.Pseudonym(rand.Text())
	s.refused(otp.ErrPhoneLimit)
}

func closeIsForOneChallenge(_ *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	s.open()
	old := s.check(right, nil)
	s.age(policy.TTL)
	s.open()
	s.close(old)
	s.check(right, nil)
}

func testNumbers(t *testing.T, begin func(...func(*otp.Policy)) *story) {
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
}

func limitsOff(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(noResendWait, noPhoneLimit, func(p *otp.Policy) { p.PerAddress = otp.Limit{} })
	for want := 1; want <= 40; want++ {
		if c := s.open(); c.Send != want || c.ResendIn != 0 {
			t.Fatalf("send %d, resend in %v; want %d, 0", c.Send, c.ResendIn, want)
		}
	}
	s.close(s.check(right, nil))
}

func sameOpeningTwice(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(noResendWait)
	for want := 1; want <= policy.PerPhone.Max; want++ {
		o := s.opening()
		for range 2 { // the second as after a lost reply
			if c, err := s.store.Open(t.Context(), o); err != nil || c.Send != want {
				t.Fatalf("Open: send %d, %v; want %d", c.Send, err, want)
			}
		}
	}
	s.refused(otp.ErrPhoneLimit)
}

// purposes holds that the codes of one purpose mean nothing to another, and that the limits are the phone's.
func purposes(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(func(p *otp.Policy) { p.DailyAttempts = policy.MaxAttempts + 1 })
	user, other := otp.ForPhone(uuid.Must(uuid.NewV7())), otp.ForPhone(uuid.Must(uuid.NewV7()))
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
	for range policy.MaxAttempts {
		s.check(wrong, otp.ErrWrong)
	}
	s.check(right, otp.ErrBurnt)
	s.purpose = other
	s.check(right, otp.ErrNotLive)
	s.purpose = otp.ForLogin
	if m := s.check(right, nil); m.ID != first.ID {
		t.Errorf("match %v; want %v", m.ID, first.ID)
	}
	s.purpose = other
	s.open() // the third message to the phone
	m := s.check(right, nil)
	s.check(wrong, otp.ErrWrong)
	s.check(right, otp.ErrClosed) // the sixth wrong try at it
	s.close(m)
	s.check(right, otp.ErrNotLive)
	s.purpose = otp.ForLogin
	s.check(right, otp.ErrClosed) // and not closed with the other
	s.purpose = user
	s.refused(otp.ErrDailyLimit)

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

func forget(t *testing.T, begin func(...func(*otp.Policy)) *story) {
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
		s.refused(otp.ErrPhoneLimit) // the messages were sent all the same
	}
	s.newPhone()
	s.open()
	if err := s.store.Forget(t.Context(), otp.Pseudonym(rand.Text())); err != nil {
		t.Fatalf("Forget of an unknown phone: %v", err)
	}
	s.check(right, nil)
}

func races(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin(noResendWait)
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
		o.Address = otp.Pseudonym(rand.Text())
		_, err := s.store.Open(t.Context(), o)
		return err
	})
	if got, refused := accepted[nil], accepted[otp.ErrPhoneLimit]; got != policy.PerPhone.Max || refused != 50-got {
		t.Errorf("of 50 simultaneous requests for one phone: %v; want %d accepted", accepted, policy.PerPhone.Max)
	}
	answers := count(t, 1000, func() error { _, err := s.store.Check(t.Context(), s.phone, s.purpose, wrong); return err })
	if got, burnt := answers[otp.ErrWrong], answers[otp.ErrBurnt]; got != policy.MaxAttempts || burnt != 1000-got {
		t.Errorf("of 1,000 simultaneous wrong answers: %v; want %d counted", answers, policy.MaxAttempts)
	}
	s.check(right, otp.ErrBurnt)
}

// count runs n calls at once and counts them by their error.
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

func unavailable(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.store.Open(ctx, s.opening()); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Open: %v; want ErrUnavailable", err)
	}
	if _, err := s.store.Check(ctx, s.phone, s.purpose, right); !errors.Is(err, otp.ErrUnavailable) || errors.Is(err, otp.ErrInvalidCode) {
		t.Errorf("Check: %v; want ErrUnavailable", err)
	}
	if err := s.store.Close(ctx, s.phone, s.purpose, otp.Match{}); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Close: %v; want ErrUnavailable", err)
	}
	if _, err := s.store.Claim(ctx, 1); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Claim: %v; want ErrUnavailable", err)
	}
	p := s.open().Lease
	if _, err := s.store.Renew(ctx, p); !errors.Is(err, otp.ErrUnavailable) || errors.Is(err, otp.ErrLost) || errors.Is(err, otp.ErrNotLive) {
		t.Errorf("Hold: %v; want ErrUnavailable", err)
	}
	if err := s.store.Settle(ctx, p, otp.Outcome{State: otp.Sent}); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Settle: %v; want ErrUnavailable", err)
	}
	if _, _, err := s.store.Report(ctx, otp.Handoff{Provider: "a", ID: "1"}, true); !errors.Is(err, otp.ErrUnavailable) || errors.Is(err, otp.ErrUnknown) {
		t.Errorf("Report: %v; want ErrUnavailable", err)
	}
	if _, err := s.store.Status(ctx, s.phone, s.purpose, p.ID, 1); !errors.Is(err, otp.ErrUnavailable) || errors.Is(err, otp.ErrUnknown) {
		t.Errorf("Status: %v; want ErrUnavailable", err)
	}
	if err := s.store.Forget(ctx, s.phone); !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("Forget: %v; want ErrUnavailable", err)
	}
}

func observed(t *testing.T, begin func(...func(*otp.Policy)) *story) {
	s := begin()
	names := map[string]string{"Renew": "hold"}
	observertest.TestEveryMethod(t, s.store.Store, s.store.Calls, otp.ErrUnavailable, names)
}
