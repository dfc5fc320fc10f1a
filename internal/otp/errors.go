package otp

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Request. Those that wrap ErrThrottled mean that a limit is reached, and come as a *ThrottledError.
var (
	// ErrThrottled is wrapped by every *ThrottledError.
	ErrThrottled = errors.New("otp: throttled")
	// ErrResendTooSoon means that the challenge's last message is more recent than Policy.ResendAfter allows.
	ErrResendTooSoon = fmt.Errorf("%w: the last message is too recent", ErrThrottled)
	// ErrPhoneLimit means that the phone has reached Policy.PerPhone.
	ErrPhoneLimit = fmt.Errorf("%w: too many messages for this number", ErrThrottled)
	// ErrAddressLimit means that the client's address has reached Policy.PerAddress.
	ErrAddressLimit = fmt.Errorf("%w: too many messages for this address", ErrThrottled)
	// ErrUserLimit means that a user has asked for as many changes of phone as Policy.PerPhone allows.
	ErrUserLimit = fmt.Errorf("%w: too many messages for changes of phone of this user", ErrThrottled)
	// ErrDailyLimit means that the phone has reached MaxDailyAttempts, or a known device Policy.DailyAttempts.
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
	// ErrBurnt means that the requester has made Policy.MaxAttempts wrong attempts at the challenge.
	ErrBurnt = fmt.Errorf("%w: burnt by wrong attempts", ErrInvalidCode)
	// ErrTooShort means that the code has fewer digits than the live one. It costs no attempt.
	ErrTooShort = fmt.Errorf("%w: shorter than the live code", ErrInvalidCode)
	// ErrPhoneClosed means for an attempt what ErrDailyLimit means for a Request.
	ErrPhoneClosed = fmt.Errorf("%w: too many wrong attempts in a day", ErrInvalidCode)
)

// Errors of Verify that come as a *ThrottledError, whatever the code is. They cost no attempt.
var (
	// ErrAddressTries means that the client's address has reached Policy.TriesPerAddress.
	ErrAddressTries = fmt.Errorf("%w: too many wrong codes from this address", ErrThrottled)
	// ErrUserTries means that a user has made Policy.DailyAttempts wrong attempts at changes of phone in 24 hours.
	ErrUserTries = fmt.Errorf("%w: too many wrong codes for changes of phone of this user", ErrThrottled)
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

// A ThrottledError refuses a request or an attempt that would be accepted RetryAfter from now.
type ThrottledError struct {
	Reason     error // one of the errors that wrap ErrThrottled
	RetryAfter time.Duration
	Live       *LiveCode // the code that the requester can still use; nil if there is none, and for an attempt
}

// A LiveCode is a code that was sent before and that works without a new message.
type LiveCode struct {
	ExpiresIn time.Duration
	Length    int // digits
}

func (e *ThrottledError) Error() string {
	return e.Reason.Error() + ", retry after " + e.RetryAfter.String()
}

func (e *ThrottledError) Unwrap() error { return e.Reason }
