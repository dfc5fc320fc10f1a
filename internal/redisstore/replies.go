package redisstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

// This file has one decoder for each script, with the reply as the script's header declares it.

// nothing is the result of a script that reports only whether it ran, or why it refused.
type nothing struct{}

// errFull means that the partition's outbox holds its maximum of messages.
var errFull = errors.New("the outbox is full")

// opened is what open.lua returns for an accepted request.
type opened struct {
	challenge otp.Challenge
	time      string // of the send
	receipt   receipt
	entry     string // empty if the caller gets no lease
}

var openReasons = map[string]error{
	"resend":  otp.ErrResendTooSoon,
	"phone":   otp.ErrPhoneLimit,
	"address": otp.ErrAddressLimit,
	"daily":   otp.ErrDailyLimit,
	"full":    errFull,
}

// {1, id, send, time, next, receipt, entry, life} | {0, reason, wait}
func decodeOpen(r *reply) (opened, error) {
	if !r.accepted() {
		reason, wait := r.reason(openReasons), r.duration()
		if errors.Is(reason, errFull) {
			return opened{}, unavailable(reason)
		}
		return opened{}, &otp.ThrottledError{Reason: reason, RetryAfter: wait}
	}
	var o opened
	o.challenge.ID = r.id()
	o.challenge.Send = int(r.integer())
	o.time = r.text()
	o.challenge.ResendIn = r.duration()
	o.receipt = r.receipt()
	o.entry = r.text()
	o.challenge.ExpiresIn = r.duration()
	return o, nil
}

// {1, time} | {0, wait}
func decodeTake(r *reply) (time string, err error) {
	if !r.accepted() {
		return "", &otp.ThrottledError{Reason: otp.ErrAddressLimit, RetryAfter: r.duration()}
	}
	return r.text(), nil
}

var checkReasons = map[string]error{
	"none":   otp.ErrNotLive,
	"wrong":  otp.ErrWrong,
	"burnt":  otp.ErrBurnt,
	"closed": otp.ErrPhoneClosed,
}

// {1, id, receipts, provider} | {0, reason}
func decodeCheck(r *reply) (otp.Match, error) {
	if !r.accepted() {
		return otp.Match{}, r.reason(checkReasons)
	}
	m := otp.Match{ID: r.id()}
	for line := range strings.SplitSeq(r.text(), "\n") {
		if line != "" {
			m.Receipts = append(m.Receipts, otp.Receipt(line))
		}
	}
	m.Provider = r.text()
	return m, nil
}

// {}
func decodeNothing(*reply) (nothing, error) { return nothing{}, nil }

// {{outbox, entry, lease, challenge, id, send, time, receipt, letter, 'live' or 'expired', life}…}
//
// A message that cannot be read does not keep back the others.
func decodeClaim(r *reply) (leases []otp.Lease, err error) {
	for len(r.rest) > 0 {
		message := r.list()
		lease := decodeClaimed(message)
		if malformed := message.end(); malformed != nil {
			err = errors.Join(err, fmt.Errorf("script claim: message %d: %w", r.read, malformed))
			continue
		}
		leases = append(leases, lease)
	}
	if err != nil {
		err = unavailable(err)
	}
	return leases, err
}

func decodeClaimed(r *reply) (l otp.Lease) {
	ref := leaseRef{outbox: r.text(), entry: r.text(), number: r.integer(), challenge: r.text()}
	l.ID = r.id()
	l.Send = r.send()
	ref.time = r.text()
	ref.receipt = r.receipt()
	l.Letter = []byte(r.text())
	switch r.text() {
	case "live":
	case "expired":
		l.Expired = true
	default:
		r.fail("neither live nor expired")
	}
	l.Life = r.duration()
	l.Ref = ref
	return l
}

var renewReasons = map[string]error{
	"lost":    otp.ErrLost,
	"expired": otp.ErrExpired,
	"none":    otp.ErrNotLive,
}

// {1} | {0, reason}
func decodeRenew(r *reply) (nothing, error) {
	if !r.accepted() {
		return nothing{}, r.reason(renewReasons)
	}
	return nothing{}, nil
}

var settleReasons = map[string]error{"lost": otp.ErrLost}

// {1} | {0, 'lost'}
func decodeSettle(r *reply) (nothing, error) {
	if !r.accepted() {
		return nothing{}, r.reason(settleReasons)
	}
	return nothing{}, nil
}

var statusReasons = map[string]error{"none": otp.ErrUnknown}

// {1, state, next, provider, wrong, life} | {0, 'none'}
func decodeStatus(r *reply) (otp.Status, error) {
	if !r.accepted() {
		return otp.Status{}, r.reason(statusReasons)
	}
	return otp.Status{
		State:     r.state(),
		ResendIn:  r.duration(),
		Provider:  r.text(),
		Wrong:     int(r.integer()),
		ExpiresIn: r.duration(),
	}, nil
}

// {1, wrong, since, sends}
func decodeUnlock(r *reply) (u otp.Unlocked, err error) {
	if r.accepted() {
		u.Wrong = int(r.integer())
		us, failure := strconv.ParseInt(r.text(), 10, 64)
		if failure != nil {
			r.fail("not a time")
		}
		if us > 0 {
			u.Since = time.UnixMicro(us).UTC()
		}
		u.Sends = int(r.integer())
	}
	return u, nil
}
