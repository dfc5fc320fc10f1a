// Package otptest checks that a store keeps the promises of otp.Store.
package otptest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/otp"
)

// A Store is a store under test, and the means to move its clock.
type Store struct {
	otp.Store
	// Calls is the store's observer.
	Calls *observertest.Calls
	// Age makes everything that the store holds older by d.
	Age func(t *testing.T, d time.Duration)
}

// policy holds the defaults of the service.
var policy = otp.Policy{
	Length:        6,
	TTL:           2 * time.Minute,
	MaxAttempts:   5,
	ResendAfter:   30 * time.Second,
	PerPhone:      otp.Limit{Max: 3, Window: 10 * time.Minute},
	PerAddress:    otp.Limit{Max: 30, Window: 10 * time.Minute},
	DailyAttempts: 30,

	TriesPerAddress: otp.Limit{Max: 500, Window: 10 * time.Minute}, // higher than the default, for stories of phones
}

// slack is how much time a story may take by itself, between the moments to which it moves the store's clock.
const slack = 20 * time.Second

const (
	right     = otp.Digest("right")
	wrong     = otp.Digest("wrong")
	rightLong = otp.Digest("right and long")
	wrongLong = otp.Digest("wrong and long")
)

// suite holds the stories by their names.
var suite = map[string]func(*testing.T, stories){
	"right code":                 rightCode,
	"wrong attempts burn":        wrongAttemptsBurn,
	"resend keeps code":          resendKeepsCode,
	"expiry":                     expiry,
	"whole life":                 wholeLife,
	"close is for one challenge": closeIsForOneChallenge,
	"same opening twice":         sameOpeningTwice,
	"purposes":                   purposes,
	"forget":                     forget,
	"unlock":                     unlock,
	"resend wait":                resendWait,
	"phone window slides":        phoneWindowSlides,
	"resend in is exact":         resendInIsExact,
	"address limit":              addressLimit,
	"address refund":             addressRefund,
	"address tries":              addressTries,
	"networks":                   networks,
	"user limits":                userLimits,
	"own attempts":               ownAttempts,
	"replaced challenge":         replacedChallenge,
	"longer codes":               longerCodes,
	"code too short or long":     otherLengths,
	"live code of a refusal":     liveCode,
	"known device":               knownDevice,
	"day of a device":            dayOfDevice,
	"many devices":               manyDevices,
	"daily limit":                dailyLimit,
	"refusal changes nothing":    refusalChangesNothing,
	"longest wait wins":          longestWaitWins,
	"limits off":                 limitsOff,
	"test numbers":               testNumbers,
	"refund":                     refund,
	"renewed lease":              renewedLease,
	"lost lease":                 lostLease,
	"dead code":                  deadCode,
	"usable code":                usableCode,
	"expired code":               expiredCode,
	"settled message":            settledMessage,
	"settled twice":              settledTwice,
	"failure that counts":        failureThatCounts,
	"report":                     report,
	"status":                     status,
	"status of test number":      statusOfTestNumber,
	"claims":                     claims,
	"races":                      races,
	"unavailable":                unavailable,
	"observed":                   observed,
}

// TestStore runs the suite. The function open returns a store with the policy. Phones and addresses are random, so
// that stores may share a database.
func TestStore(t *testing.T, open func(t *testing.T, p otp.Policy) Store) {
	for name, test := range suite {
		t.Run(name, func(t *testing.T) {
			test(t, func(change ...func(*otp.Policy)) *story {
				p := policy
				for _, c := range change {
					c(&p)
				}
				s := &story{t: t, store: open(t, p), address: otp.Pseudonym(rand.Text())}
				s.newPhone()
				return s
			})
		})
	}
}

func noResendWait(p *otp.Policy) { p.ResendAfter = 0 }

func noPhoneLimit(p *otp.Policy) { p.PerPhone = otp.Limit{} }

// stories begins a story with a store of its own, under the policy with these changes.
type stories func(change ...func(*otp.Policy)) *story

// A story is what happens to one phone at a time.
type story struct {
	t              *testing.T
	store          Store
	phone, address otp.Pseudonym
	network        otp.Pseudonym // of an IPv6 address
	purpose        otp.Purpose
	device         otp.DeviceID  // of the client; empty: unknown
	asked          otp.Challenge // the request that the client names; zero: none
}

func (s *story) place() otp.Place {
	return otp.Place{Phone: s.phone, Purpose: s.purpose, Device: s.device}
}

// attempt returns an attempt of the client with this code. The long codes have another length.
func (s *story) attempt(d otp.Digest) otp.Attempt {
	a := otp.Attempt{
		Place:   s.place(),
		Address: otp.Address{Narrow: s.address, Wide: s.network},
		Request: s.asked.ID,
		Send:    s.asked.Send,
		Digest:  d,
		Length:  policy.Length,
	}
	if d == rightLong || d == wrongLong {
		a.Length = policy.LongLength()
	}
	return a
}

func (s *story) opening() otp.Opening {
	return otp.Opening{
		Place:      s.place(),
		Address:    otp.Address{Narrow: s.address, Wide: s.network},
		ID:         uuid.Must(uuid.NewV7()),
		Digest:     right,
		LongDigest: rightLong,
		Letter:     []byte("letter to " + s.phone),
	}
}

func (s *story) open() otp.Challenge {
	s.t.Helper()
	c, err := s.store.Open(s.t.Context(), s.opening())
	if err != nil {
		s.t.Fatalf("Open: %v", err)
	}
	return c
}

// refused expects Open to refuse for this reason, and returns the wait.
func (s *story) refused(want error) time.Duration {
	s.t.Helper()
	_, err := s.store.Open(s.t.Context(), s.opening())
	var throttled *otp.ThrottledError
	if !errors.Is(err, want) || !errors.Is(err, otp.ErrThrottled) {
		s.t.Fatalf("Open: %v; want %v, which wraps ErrThrottled", err, want)
	}
	if !errors.As(err, &throttled) {
		s.t.Fatalf("Open: %v; want a ThrottledError", err)
	}
	return throttled.RetryAfter
}

// refusedFor expects Open to refuse for this reason until about the wait is over, and then to accept.
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

// check expects this error of an attempt. A right one is not redeemed.
func (s *story) check(d otp.Digest, want error) otp.Match {
	s.t.Helper()
	m, err := s.store.Check(s.t.Context(), s.attempt(d))
	if err := s.store.Release(s.t.Context(), m); err != nil {
		s.t.Fatalf("Release: %v", err)
	}
	if !errors.Is(err, want) {
		s.t.Fatalf("Check(%s): %v; want %v", d, err, want)
	}
	if err != nil && !errors.Is(err, otp.ErrInvalidCode) && !errors.Is(err, otp.ErrCodeFormat) {
		s.t.Fatalf("Check(%s): %v; want it to wrap ErrInvalidCode or ErrCodeFormat", d, err)
	}
	return m
}

// exhausted expects that the address or the user has no attempts left.
func (s *story) exhausted(d otp.Digest) {
	s.t.Helper()
	var throttled *otp.ThrottledError
	_, err := s.store.Check(s.t.Context(), s.attempt(d))
	if !errors.As(err, &throttled) || errors.Is(err, otp.ErrInvalidCode) {
		s.t.Fatalf("Check(%s): %v; want a ThrottledError", d, err)
	}
	isOfVerify := errors.Is(err, otp.ErrAddressTries) || errors.Is(err, otp.ErrUserTries)
	if !isOfVerify || throttled.RetryAfter <= 0 {
		s.t.Fatalf("Check(%s): %v; want the limit of wrong attempts, with a wait", d, err)
	}
}

// wrongOf returns a wrong code of the challenge's length.
func wrongOf(c otp.Challenge) otp.Digest {
	if c.Length == policy.Length {
		return wrong
	}
	return wrongLong
}

func (s *story) close(m otp.Match) {
	s.t.Helper()
	if err := s.store.Close(s.t.Context(), s.attempt(right), m); err != nil {
		s.t.Fatalf("Close: %v", err)
	}
}

func (s *story) settle(l otp.Lease, o otp.Outcome) {
	s.t.Helper()
	if err := s.store.Settle(s.t.Context(), l, o); err != nil {
		s.t.Fatalf("Settle: %v", err)
	}
}

func (s *story) lost(l otp.Lease, o otp.Outcome) {
	s.t.Helper()
	if err := s.store.Settle(s.t.Context(), l, o); !errors.Is(err, otp.ErrLost) {
		s.t.Fatalf("Settle: %v; want ErrLost", err)
	}
}

// claim returns the leases of this phone's own messages: stores may share a database.
func (s *story) claim() (own []otp.Lease) {
	s.t.Helper()
	all, err := s.store.Claim(s.t.Context(), 100)
	if err != nil {
		s.t.Fatalf("Claim: %v", err)
	}
	for _, l := range all {
		if string(l.Letter) == "letter to "+string(s.phone) {
			own = append(own, l)
		}
	}
	return own
}

func (s *story) renew(l otp.Lease, want error) {
	s.t.Helper()
	began := time.Now()
	until, err := s.store.Renew(s.t.Context(), l)
	if !errors.Is(err, want) {
		s.t.Fatalf("Renew: %v; want %v", err, want)
	}
	if err == nil && until.Sub(began) < time.Second {
		s.t.Fatalf("Renew: until %v; want some seconds", until)
	}
}

// status expects this state of a send. An empty state stands for ErrUnknown.
func (s *story) status(c otp.Challenge, want otp.State) otp.Status {
	s.t.Helper()
	got, err := s.store.Status(s.t.Context(), s.place(), c.ID, c.Send)
	wantErr := error(nil)
	if want == "" {
		wantErr = otp.ErrUnknown
	}
	if got.State != want || !errors.Is(err, wantErr) {
		s.t.Fatalf("Status: %s, %v; want %q", got.State, err, want)
	}
	return got
}

func (s *story) age(d time.Duration) { s.t.Helper(); s.store.Age(s.t, d) }

func (s *story) newPhone() { s.phone = otp.Pseudonym(rand.Text()) }

func burn(s *story) {
	for range policy.MaxAttempts {
		s.check(wrong, otp.ErrWrong)
	}
}

// unavailable checks that every method fails with ErrUnavailable, and with no error that means something else, if the
// store cannot be asked in time.
func unavailable(t *testing.T, begin stories) {
	s := begin()
	lease := s.open().Lease
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := make(map[string]error)
	_, errs["Open"] = s.store.Open(ctx, s.opening())
	_, errs["Check"] = s.store.Check(ctx, s.attempt(right))
	errs["Close"] = s.store.Close(ctx, s.attempt(right), otp.Match{})
	_, errs["Claim"] = s.store.Claim(ctx, 1)
	_, errs["Renew"] = s.store.Renew(ctx, lease)
	errs["Settle"] = s.store.Settle(ctx, lease, otp.Outcome{State: otp.Sent})
	_, _, errs["Report"] = s.store.Report(ctx, otp.Handoff{Provider: "a", ID: "1"}, true)
	_, errs["Status"] = s.store.Status(ctx, s.place(), lease.ID, 1)
	errs["Forget"] = s.store.Forget(ctx, s.phone)
	_, errs["Unlock"] = s.store.Unlock(ctx, s.phone)
	for method, err := range errs {
		if !errors.Is(err, otp.ErrUnavailable) {
			t.Errorf("%s: %v; want ErrUnavailable", method, err)
		}
		for _, other := range []error{otp.ErrInvalidCode, otp.ErrLost, otp.ErrNotLive, otp.ErrUnknown} {
			if errors.Is(err, other) {
				t.Errorf("%s: %v; want no %v", method, err, other)
			}
		}
	}
}

func observed(t *testing.T, begin stories) {
	s := begin()
	observertest.TestEveryMethod(t, s.store.Store, s.store.Calls, otp.ErrUnavailable)
}
