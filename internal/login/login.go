// Package login owns the use cases that need both a code and an account: login by code, change of phone, and removal
// of a person. It leaves codes to package otp and users to package account, which do not know each other. Two rules
// determine the order in which this package calls them.
//
// The code store proposes, the database decides. A right answer does not use up its code in Redis: two copies may check
// the same code at once, a reply may be lost, and a failover may bring a used challenge back. The database, however,
// records each challenge at most once. The challenge is therefore spent when the database has decided, whether for or
// against the person. As long as it has not, the same code goes on working, so that no failure costs anyone a code.
//
// Redis comes first, then the database. A removal forgets the phone in Redis before it deletes the user. If Redis does
// not answer, the user and the session still exist and the call can be repeated. In the other order both would be gone,
// and with them the only way to ask for the rest of the removal.
package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

// Codes sends and checks codes. It is implemented by otp.Service.
type Codes interface {
	Request(ctx context.Context, r otp.Request) (otp.Accepted, error)
	// Verify calls redeem for a right answer. It closes the challenge if redeem reports it spent, and returns
	// redeem's error.
	Verify(
		ctx context.Context, a otp.Answer, redeem func(context.Context, otp.ChallengeID) (spent bool, err error),
	) error
	DeviceToken(p phone.Number, current string) string
	Forget(ctx context.Context, p phone.Number) error
	Unlock(ctx context.Context, p phone.Number) (otp.Unlocked, error)
}

// Accounts keeps users and their sessions. It is implemented by account.Service.
type Accounts interface {
	Login(ctx context.Context, p phone.Number, challenge uuid.UUID, c account.Client) (account.Login, error)
	ChangePhone(ctx context.Context, user uuid.UUID, p phone.Number, actor account.Actor) (account.User, error)
	Delete(ctx context.Context, user uuid.UUID, actor account.Actor) error
	RecordUnlock(ctx context.Context, p phone.Number, attempts int, since time.Time, actor account.Actor) error
}

// AccountHealth knows whether the account store takes writes. It is implemented by stores.Health.
type AccountHealth interface {
	// Stalled reports whether the account store has taken no write for 10 s. It asks no store and returns at once.
	Stalled() bool
}

// errStalled refuses a request for a code that could not be used: no message is bought for it.
var errStalled = fmt.Errorf("%w: it has taken no write for 10s, and without it no code can be used",
	account.ErrUnavailable)

// A Service runs the use cases. It is safe for use by many goroutines.
type Service struct {
	codes    Codes
	accounts Accounts
	health   AccountHealth // of accounts
}

// New returns a Service that works on the given codes and accounts.
func New(codes Codes, accounts Accounts, health AccountHealth) *Service {
	return &Service{codes, accounts, health}
}

// Request sends a code for a login. It ignores r.Purpose. Its errors are those of otp.Service.Request, and
// account.ErrUnavailable once the account store has taken no write for 10 s. It does not ask for the account, so that
// the answer is the same for a known and an unknown phone, and a short loss of the account store costs nobody a login.
func (s *Service) Request(ctx context.Context, r otp.Request) (otp.Accepted, error) {
	return s.request(ctx, r, otp.ForLogin)
}

func (s *Service) request(ctx context.Context, r otp.Request, p otp.Purpose) (otp.Accepted, error) {
	if s.health.Stalled() {
		return otp.Accepted{}, errStalled
	}
	r.Purpose = p
	return s.codes.Request(ctx, r)
}

// A Login is an account's login, and a device token for the next one. The token is empty if the login has no tokens, or
// if the service issues no device tokens.
type Login struct {
	account.Login
	DeviceToken string
}

// Login logs in the phone's user, or signs the phone up, if the code is right. It ignores a.Purpose. Its errors are
// those of otp.Service.Verify and of account.Service.Login. The code is spent by a login, by ErrSpent and by ErrBanned:
// in these three cases the database has recorded the challenge.
func (s *Service) Login(ctx context.Context, a otp.Answer, client account.Client) (login Login, err error) {
	a.Purpose = otp.ForLogin
	err = s.codes.Verify(ctx, a, func(ctx context.Context, challenge otp.ChallengeID) (spent bool, err error) {
		login.Login, err = s.accounts.Login(ctx, a.Phone, challenge, client)
		decided := err == nil || errors.Is(err, account.ErrSpent) || errors.Is(err, account.ErrBanned)
		return decided, err
	})
	if err == nil && login.Tokens != nil {
		login.DeviceToken = s.codes.DeviceToken(a.Phone, a.Device)
	}
	return login, err
}

// RequestPhoneChange sends a code for a change of the user's phone to the phone of the request. It ignores r.Purpose.
// Its errors are those of Request.
func (s *Service) RequestPhoneChange(ctx context.Context, user uuid.UUID, r otp.Request) (otp.Accepted, error) {
	return s.request(ctx, r, otp.ForPhoneChange(user))
}

// ChangePhone makes the phone the user's own if the code is right. It ignores a.Purpose. The right code is one that
// RequestPhoneChange sent for the same user. It also returns a device token for the next login with the phone, because
// the device has proved it; the token is empty if the service issues none. The errors are those of otp.Service.Verify
// and of account.Service.ChangePhone. Only success spends the code. ErrTaken does not, so that the caller cannot tell
// another user's phone from a wrong code.
func (s *Service) ChangePhone(
	ctx context.Context, user uuid.UUID, a otp.Answer, actor account.Actor,
) (u account.User, deviceToken string, err error) {
	a.Purpose = otp.ForPhoneChange(user)
	err = s.codes.Verify(ctx, a, func(ctx context.Context, _ otp.ChallengeID) (spent bool, err error) {
		u, err = s.accounts.ChangePhone(ctx, user, a.Phone, actor)
		return err == nil, err
	})
	if err != nil {
		return u, "", err
	}
	return u, s.codes.DeviceToken(a.Phone, ""), nil
}

// Remove removes a user, all sessions of the user, and what otp.Service.Forget removes for the user's phone. Its errors
// are otp.ErrUnavailable, after which the user still exists, and those of account.Service.Delete. It can be repeated
// after any of them.
func (s *Service) Remove(ctx context.Context, u account.User, actor account.Actor) error {
	if err := s.codes.Forget(ctx, u.Phone); err != nil {
		return err
	}
	return s.accounts.Delete(ctx, u.ID, actor)
}

// Unlock does what otp.Service.Unlock does, and records it if there was anything to unlock. The phone need not have a
// user. Its errors are otp.ErrUnavailable, and account.ErrUnavailable, after which the phone is unlocked, but not
// recorded.
func (s *Service) Unlock(ctx context.Context, p phone.Number, actor account.Actor) (otp.Unlocked, error) {
	u, err := s.codes.Unlock(ctx, p)
	if err != nil || u == (otp.Unlocked{}) {
		return u, err
	}
	return u, s.accounts.RecordUnlock(ctx, p, u.Wrong, u.Since, actor)
}
