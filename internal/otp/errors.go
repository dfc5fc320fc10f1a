package otp

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Request. The first five mean that a limit is reached, and come as a *ThrottledError.
var (
	// ErrThrottled is wrapped by every *ThrottledError.
	ErrThrottled = errors.New("otp: throttled")
	// ErrResendTooSoon means that the challenge's last message is more recent than Policy.ResendAfter allows.
	ErrResendTooSoon = fmt.Errorf("%w: the last message is too recent", ErrThrottled)
	// ErrPhoneLimit means that the phone has reached Policy.PerPhone.
	ErrPhoneLimit = fmt.Errorf("%w: too many messages for this number", ErrThrottled)
	// ErrAddressLimit means that the client's address has reached Policy.PerAddress.
	ErrAddressLimit = fmt.Errorf("%w: too many messages for this address", ErrThrottled)
	// ErrDailyLimit means that the phone has reached Policy.DailyAttempts.
	ErrDailyLimit = fmt.Errorf("%w: too many wrong codes for this number", ErrThrottled)

	// ErrRegion means that messages to the phone's region are not allowed.
	ErrRegion = errors.New("otp: region not allowed")
	// ErrChannel means that no provider offers the channel for the phone's region.
	ErrChannel = errors.New("otp: channel not available")
)

// Errors of ReadCode and Verify. ReadCode returns ErrCodeFormat. The others come from Verify and wrap ErrInvalidCode.
// They differ for the log, the metrics and tests only: a client must not be able to tell one from another.
var (
	// ErrCodeFormat means that a text does not have the shape of a code. It costs no attempt.
	ErrCodeFormat = errors.New("otp: not a code")
	// ErrInvalidCode means that the code does not log anyone in.
	ErrInvalidCode = errors.New("otp: invalid code")
	// ErrNotLive means that the phone has no live challenge: it never had one, or it is used or expired.
	ErrNotLive = fmt.Errorf("%w: no live challenge", ErrInvalidCode)
	// ErrWrong means that the code was wrong and that the attempt was counted.
	ErrWrong = fmt.Errorf("%w: wrong", ErrInvalidCode)
	// ErrBurnt means that the challenge has had Policy.MaxAttempts wrong attempts.
	ErrBurnt = fmt.Errorf("%w: burnt by wrong attempts", ErrInvalidCode)
	// ErrPhoneClosed means that the phone has had Policy.DailyAttempts wrong attempts in 24 hours. It is what
	// ErrDailyLimit is for a Request.
	ErrPhoneClosed = fmt.Errorf("%w: too many wrong attempts in a day", ErrInvalidCode)
)

// Errors of a Store, a Router and of callbacks.
var (
	// ErrUnavailable means that the store cannot be used now: it does not answer, or its reply is unexpected. The call
	// may have taken effect all the same.
	ErrUnavailable = errors.New("otp: store unavailable")
	// ErrUnknown means that the store does not know the message: its code is dead, or there was no such message.
	ErrUnknown = errors.New("otp: unknown")
	// ErrLost means that the lease no longer holds: another courier has taken the message over, or the message was
	// settled or dropped.
	ErrLost = errors.New("otp: lease lost")
	// ErrExpired means that the code of a message expired before the message was delivered.
	ErrExpired = errors.New("otp: the code has expired")
	// ErrUndeliverable means that no provider can deliver a message to this number.
	ErrUndeliverable = errors.New("otp: undeliverable to this number")
	// ErrForged means that a callback is not proven to come from the provider.
	ErrForged = errors.New("otp: not a callback of the provider")
	// ErrCallback means that a callback comes from the provider and cannot be parsed.
	ErrCallback = errors.New("otp: unreadable callback")
)

// A ThrottledError refuses a request that would be accepted RetryAfter from now.
type ThrottledError struct {
	Reason     error // one of the errors that wrap ErrThrottled
	RetryAfter time.Duration
}

func (e *ThrottledError) Error() string {
	return e.Reason.Error() + ", retry after " + e.RetryAfter.String()
}

func (e *ThrottledError) Unwrap() error { return e.Reason }
