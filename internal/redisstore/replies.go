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
	receipts  []receipt
	entry     string // empty if the caller gets no lease
}

var openReasons = map[string]error{
	"resend":  otp.ErrResendTooSoon,
	"phone":   otp.ErrPhoneLimit,
	"address": otp.ErrAddressLimit,
	"network": otp.ErrAddressLimit,
	"user":    otp.ErrUserLimit,
	"daily":   otp.ErrDailyLimit,
	"full":    errFull,
}

// {1, id, send, time, next, receipts, entry, life, digits} | {0, reason, wait, life, digits}
func decodeOpen(r *reply) (opened, error) {
	if !r.accepted() {
		reason, wait := r.reason(openReasons), r.duration()
		live := otp.LiveCode{ExpiresIn: r.duration(), Length: int(r.integer())}
		if errors.Is(reason, errFull) {
			return opened{}, unavailable(reason)
		}
		refused := &otp.ThrottledError{Reason: reason, RetryAfter: wait}
		if live.Length > 0 {
			refused.Live = &live
		}
		return opened{}, refused
	}
	var o opened
	o.challenge.ID = r.id()
	o.challenge.Send = int(r.integer())
	o.time = r.text()
	o.challenge.ResendIn = r.duration()
	o.receipts = r.receipts()
	o.entry = r.text()
	o.challenge.ExpiresIn = r.duration()
	o.challenge.Length = int(r.integer())
	return o, nil
}

// {1, time} | {0, name, wait}
func decodeTake(r *reply) (taken, error) {
	if !r.accepted() {
		t := taken{name: r.text(), wait: r.duration()}
		if openReasons[t.name] == nil {
			r.fail("unknown name")
		}
		return t, nil
	}
	return taken{time: r.text()}, nil
}

var checkReasons = map[string]error{
	"none":   otp.ErrNotLive,
	"wrong":  otp.ErrWrong,
	"burnt":  otp.ErrBurnt,
	"closed": otp.ErrPhoneClosed,
	"short":  otp.ErrTooShort,
	"long":   otp.ErrCodeFormat,
}

// triesReasons are the limits of sources for wrong attempts.
var triesReasons = map[string]error{
	"address": otp.ErrAddressTries,
	"network": otp.ErrAddressTries,
	"user":    otp.ErrUserTries,
}

// matched is what check.lua returns for a right code.
type matched struct {
	match otp.Match // without its Place
	isOwn bool      // the challenge is the known device's
}

// {1, id, is_own, receipts, provider, tries} | {0, reason} | {0, name, wait}
func decodeCheck(r *reply) (matched, error) {
	if !r.accepted() {
		word := r.text()
		if reason, ok := triesReasons[word]; ok {
			return matched{}, &otp.ThrottledError{Reason: reason, RetryAfter: r.duration()}
		}
		reason, ok := checkReasons[word]
		if !ok {
			r.fail("unknown reason")
		}
		return matched{}, reason
	}
	m := matched{match: otp.Match{ID: r.id()}}
	m.isOwn = r.accepted()
	for line := range strings.SplitSeq(r.text(), "\n") {
		if line != "" {
			m.match.Receipts = append(m.match.Receipts, otp.Receipt(line))
		}
	}
	m.match.Provider = r.text()
	m.match.Tries = int(r.integer())
	return m, nil
}

// {1} | {0}
func decodeClose(r *reply) (removed bool, err error) { return r.accepted(), nil }

// {}
func decodeNothing(*reply) (nothing, error) { return nothing{}, nil }

// {{outbox, entry, lease, challenge, id, send, time, receipts, letter, 'live' or 'expired', life, digits}…}
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
	ref.receipts = r.receipts()
	l.Letter = []byte(r.text())
	switch r.text() {
	case "live":
	case "expired":
		l.Expired = true
	default:
		r.fail("neither live nor expired")
	}
	l.Life = r.duration()
	l.Length = int(r.integer())
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
