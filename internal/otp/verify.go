package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"dekamond-otp/internal/phone"
)

// A Code is a text of the right shape that a person typed as a code. It does not print its digits.
type Code struct{ digits string }

// Format keeps the digits out of logs.
func (Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[code]") }

// ReadCode parses a code of the policy's length, as phone.Digits reads digits. The only error is ErrCodeFormat.
func (s *Service) ReadCode(text string) (Code, error) {
	digits, ok := phone.Digits(text)
	if !ok || len(digits) != s.policy.Length {
		return Code{}, ErrCodeFormat
	}
	return Code{digits}, nil
}

// An Answer is an attempt of a person to prove that a phone is theirs.
type Answer struct {
	Phone   phone.Number
	Code    Code
	Purpose Purpose
}

// Verify checks the code and, if it is right, calls redeem with the challenge. The store only compares codes; redeem
// decides whether the challenge can still be used. It may be called more than once for one challenge and must let only
// one of the calls log in. It returns spent = true if the challenge cannot be redeemed again, whether this call or an
// earlier one redeemed it. As long as it returns false, the same code keeps working.
//
// The errors are those of redeem, ErrUnavailable, and the errors that wrap ErrInvalidCode.
func (s *Service) Verify(
	ctx context.Context, a Answer, redeem func(context.Context, ChallengeID) (spent bool, err error),
) error {
	pseudonym := s.keys.phone(a.Phone)
	match, err := s.store.Check(ctx, pseudonym, a.Purpose, s.keys.digest(a.Phone, a.Code.digits))
	if err != nil {
		if errors.Is(err, ErrInvalidCode) {
			s.log.InfoContext(ctx, "attempt refused",
				"phone", a.Phone, "purpose", a.Purpose.Name(), "reason", outcome(err))
		}
		s.metrics.CountAttempt(outcome(err), a.Phone.Region())
		return err
	}
	spent, err := redeem(ctx, match.ID)
	if err == nil {
		s.countVerified(a.Phone, match)
		s.log.InfoContext(ctx, "code accepted", "phone", a.Phone, "purpose", a.Purpose.Name())
	} else {
		result := "unavailable"
		if spent {
			result = "refused"
		}
		s.metrics.CountAttempt(result, a.Phone.Region())
		s.log.InfoContext(ctx, "code not redeemed",
			"phone", a.Phone, "purpose", a.Purpose.Name(), "reason", err.Error())
	}
	if spent {
		// A challenge that is left behind is harmless: redeem refuses it, and the next attempt closes it again.
		if err := s.store.Close(context.WithoutCancel(ctx), pseudonym, a.Purpose, match); err != nil {
			s.log.WarnContext(ctx, "challenge not closed", "phone", a.Phone, "error", err.Error())
		}
	}
	return err
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
// whose person asks for help. The limits of addresses stay. The only error is ErrUnavailable.
func (s *Service) Unlock(ctx context.Context, p phone.Number) (Unlocked, error) {
	u, err := s.store.Unlock(ctx, s.keys.phone(p))
	if err == nil {
		s.log.InfoContext(ctx, "phone unlocked", "phone", p, "wrong_attempts", u.Wrong, "messages", u.Sends)
	}
	return u, err
}
