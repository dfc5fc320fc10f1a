package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"dekamond-otp/internal/phone"
)

// ticketLeeway allows for the clocks of two copies.
const ticketLeeway = time.Minute

// A Code is a text of the right shape that a person typed as a code. It does not print its digits.
type Code struct{ digits string }

// Format keeps the digits out of logs.
func (Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[code]") }

// ReadCode parses a code of the policy's length, or a longer one, as phone.Digits reads digits. The only error is
// ErrCodeFormat.
func (s *Service) ReadCode(text string) (Code, error) {
	digits, ok := phone.Digits(text)
	if !ok || len(digits) != s.policy.Length && len(digits) != s.policy.LongLength() {
		return Code{}, ErrCodeFormat
	}
	return Code{digits}, nil
}

// An Answer is an attempt of a person to prove that a phone is theirs.
type Answer struct {
	Phone   phone.Number
	Code    Code
	Purpose Purpose
	Address netip.Addr // the client's
	Ticket  string     // of the Request that the client answers; one that is not valid counts as none
	Device  string     // the client's device token; one that is not valid counts as none
}

// Verify checks the code and, if it is right, calls redeem with the challenge. The store only compares codes; redeem
// decides whether the challenge can still be used. It may be called more than once for one challenge and must let only
// one of the calls log in. It returns spent = true if the challenge cannot be redeemed again, whether this call or an
// earlier one redeemed it. As long as it returns false, the same code keeps working.
//
// The errors are those of redeem, ErrUnavailable, the errors that wrap ErrInvalidCode, ErrCodeFormat for a code that is
// longer than the phone's, and a *ThrottledError if the address, or the user who changes the phone, has no attempts
// left.
func (s *Service) Verify(
	ctx context.Context, a Answer, redeem func(context.Context, ChallengeID) (spent bool, err error),
) error {
	attempt := s.attempt(a)
	match, err := s.store.Check(ctx, attempt)
	if attempt.Device != "" && errors.Is(err, ErrPhoneClosed) { // its own attempts are used up: it counts as none
		attempt.Device = ""
		match, err = s.store.Check(ctx, attempt)
	}
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			s.log.InfoContext(ctx, "attempt refused",
				"phone", a.Phone,
				"purpose", a.Purpose.Name(),
				"known_device", attempt.Device != "",
				"reason", outcome(err))
		}
		s.metrics.CountAttempt(outcome(err), a.Phone.Region())
		return err
	}
	spent, err := redeem(ctx, match.ID)
	if err == nil {
		s.countVerified(a.Phone, match)
		s.log.InfoContext(ctx, "code accepted",
			"phone", a.Phone, "purpose", a.Purpose.Name(), "known_device", attempt.Device != "")
	} else {
		result := "unavailable"
		if spent {
			result = "refused"
		}
		s.metrics.CountAttempt(result, a.Phone.Region())
		s.log.InfoContext(ctx, "code not redeemed",
			"phone", a.Phone, "purpose", a.Purpose.Name(), "reason", err.Error())
	}
	s.end(context.WithoutCancel(ctx), a.Phone, attempt, match, spent)
	return err
}

// end closes the challenge if it is spent. One that is left behind is harmless: redeem refuses it, and the next attempt
// closes it again.
func (s *Service) end(ctx context.Context, p phone.Number, a Attempt, m Match, spent bool) {
	var err error
	if spent {
		err = s.store.Close(ctx, a, m)
	} else if len(m.Charged) > 0 {
		err = s.store.Release(ctx, m)
	}
	if err != nil {
		s.log.WarnContext(ctx, "challenge not closed", "phone", p, "error", err.Error())
	}
}

// attempt returns the answer as the store compares it. A ticket counts only for the phone and the purpose that it
// names. As long as its code can live, one of a known device makes the answer that device's: it stands for a device
// token that the client has sent with the request alone.
func (s *Service) attempt(a Answer) Attempt {
	attempt := Attempt{
		Place:  Place{Phone: s.keys.phone(a.Phone), Purpose: a.Purpose},
		Digest: s.keys.digest(a.Phone, a.Code.digits),
		Length: len(a.Code.digits),
	}
	if !s.isTest(a.Phone) {
		attempt.Address = s.keys.address(a.Address)
	}
	if a.Purpose == ForLogin {
		attempt.Device = s.device(a.Phone, a.Device)
	}
	t, ok := s.keys.readTicket(a.Ticket)
	if !ok || t.Phone != attempt.Phone || t.Purpose != attempt.Purpose {
		return attempt
	}
	isFresh := s.clock.Now().Before(t.opened().Add(MaxLife + ticketLeeway))
	if attempt.Device == "" && s.deviceTTL > 0 && isFresh {
		attempt.Device = t.Device
	}
	if t.Device == "" || t.Device == attempt.Device {
		attempt.Request, attempt.Send = t.id, t.send
	}
	return attempt
}

func (s *Service) countVerified(p phone.Number, m Match) {
	s.metrics.CountAttempt("verified", p.Region())
	if s.isTest(p) {
		return
	}
	provider := cmp.Or(m.Provider, "none")
	s.metrics.CountMessage("verified", provider, p.Region())
	opened := time.Unix(m.ID.Time().UnixTime()) // a UUIDv7 begins with its time (RFC 9562 §5.7)
	s.metrics.ObserveDelay(provider, s.clock.Now().Sub(opened))
}

// Forget removes what CodeStore.Forget removes. The limits go on counting the messages that were sent to the phone;
// otherwise a person who creates and deletes an account again and again could have any number of messages sent. The
// only error is ErrUnavailable.
func (s *Service) Forget(ctx context.Context, p phone.Number) error {
	return s.store.Forget(ctx, s.keys.phone(p))
}

// Unlock frees a phone that is closed for a day by wrong attempts, or that has had as many messages as it may have, and
// whose person asks for help. The limits of addresses and of known devices stay. The only error is ErrUnavailable.
func (s *Service) Unlock(ctx context.Context, p phone.Number) (Unlocked, error) {
	u, err := s.store.Unlock(ctx, s.keys.phone(p))
	if err == nil {
		s.log.InfoContext(ctx, "phone unlocked", "phone", p, "wrong_attempts", u.Wrong, "messages", u.Sends)
	}
	return u, err
}
