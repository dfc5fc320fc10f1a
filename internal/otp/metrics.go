package otp

import (
	"errors"
	"time"
)

// A Metrics counts requests, messages and attempts. Regions come from phone.Number; outcomes and events are a few
// fixed words.
type Metrics interface {
	// CountRequest counts a request for a code.
	CountRequest(outcome, region string)
	// CountMessage counts a message when it is sent, failed, delivered or verified. The provider is "none" if none
	// accepted the message.
	CountMessage(event, provider, region string)
	// CountAttempt counts an answer with a code.
	CountAttempt(outcome, region string)
	// ObserveDelay records the time from the first request for a code to the right answer.
	ObserveDelay(provider string, d time.Duration)
}

// outcomes are the words by which the metrics and the log name the errors of Request and Verify.
var outcomes = []struct {
	err  error
	name string
}{
	{ErrResendTooSoon, "resend_too_soon"},
	{ErrPhoneLimit, "phone_limit"},
	{ErrAddressLimit, "address_limit"},
	{ErrUserLimit, "user_limit"},
	{ErrAddressTries, "address_tries"},
	{ErrUserTries, "user_tries"},
	{ErrDailyLimit, "daily_limit"},
	{ErrRegion, "destination_not_allowed"},
	{ErrChannel, "channel"},
	{ErrNotLive, "not_live"},
	{ErrWrong, "wrong"},
	{ErrBurnt, "burnt"},
	{ErrTooShort, "too_short"},
	{ErrCodeFormat, "too_long"},
	{ErrPhoneClosed, "closed"},
}

func outcome(err error) string {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return "unavailable"
}
