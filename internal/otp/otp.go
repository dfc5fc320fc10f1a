// Package otp owns the one-time code: what it is, how long it lives, who gets one and when a try counts.
// It leaves keeping codes to a CodeStore, delivering them to a Sender, and users and sessions to the
// caller of Verify.
//
// A code is never stored. It is derived from the service's secret, the challenge's identifier and the
// phone, so that a resend can send the same code again and a reader of the store learns nothing that
// logs anybody in.
package otp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

var (
	// ErrThrottled is what every *ThrottledError unwraps to in the end.
	ErrThrottled = errors.New("otp: throttled")
	// ErrResendTooSoon means that the challenge's last message is younger than Policy.ResendAfter.
	ErrResendTooSoon = fmt.Errorf("%w: the last message is too young", ErrThrottled)
	// ErrPhoneLimit means that the phone has had its messages for now.
	ErrPhoneLimit = fmt.Errorf("%w: too many messages for this number", ErrThrottled)
	// ErrAddressLimit means that the client's address has asked for its messages for now.
	ErrAddressLimit = fmt.Errorf("%w: too many messages for this address", ErrThrottled)
	// ErrDailyLimit means that the phone is closed after too many wrong tries in a day.
	ErrDailyLimit = fmt.Errorf("%w: too many wrong codes for this number", ErrThrottled)

	// ErrInvalidCode means that the code logs nobody in. Those below say why, to the log and to tests
	// alone: to the client they are all the same.
	ErrInvalidCode = errors.New("otp: invalid code")
	// ErrNotLive means that the phone has no live challenge: never asked for, expired, used.
	ErrNotLive = fmt.Errorf("%w: no live challenge", ErrInvalidCode)
	// ErrWrong means that the code was wrong and that the try was counted.
	ErrWrong = fmt.Errorf("%w: wrong", ErrInvalidCode)
	// ErrBurnt means that the challenge has had all its wrong tries.
	ErrBurnt = fmt.Errorf("%w: burnt by wrong tries", ErrInvalidCode)
	// ErrClosed means that the phone is closed after too many wrong tries in a day.
	ErrClosed = fmt.Errorf("%w: too many wrong tries in a day", ErrInvalidCode)

	// ErrCodeFormat means that the text does not have the shape of a code. It costs no try.
	ErrCodeFormat = errors.New("otp: not a code")
	// ErrRegion means that messages to the number's region are not allowed.
	ErrRegion = errors.New("otp: region not allowed")
	// ErrNotDelivered means that no provider took the message. The send was given back.
	ErrNotDelivered = errors.New("otp: message not delivered")
	// ErrUnavailable means that the store could not be asked: nothing was sent and no try was counted.
	ErrUnavailable = errors.New("otp: store unavailable")
)

// A ThrottledError refuses a request for a code that would be accepted RetryAfter from now.
type ThrottledError struct {
	Reason     error // one of the errors that wrap ErrThrottled
	RetryAfter time.Duration
}

func (e *ThrottledError) Error() string {
	return e.Reason.Error() + ", retry after " + e.RetryAfter.String()
}
func (e *ThrottledError) Unwrap() error { return e.Reason }

// A Limit allows Max events in every interval of length Window. The zero Limit allows everything.
type Limit struct {
	Max    int
	Window time.Duration
}

// A Policy is what the limits are; the settings of the same names give the ranges and defaults.
type Policy struct {
	Length        int           // digits of a code, 6 to 10
	TTL           time.Duration // life of a code, renewed by a resend
	MaxAttempts   int           // wrong tries that burn a code
	ResendAfter   time.Duration // between two messages of one challenge; 0 = off
	PerPhone      Limit         // messages to one phone
	PerAddress    Limit         // messages asked for from one address (IPv6: one /64), given back when the phone verifies
	DailyAttempts int           // wrong tries at one phone's codes in 24 hours (NIST SP 800-63B-4 §3.2.2)
}

// A ChallengeID identifies one code from its first message to its end. It is no secret.
type ChallengeID = uuid.UUID

// A Purpose is what a code is for. Each has challenges of its own, so that a code asked for one purpose never
// works for another. PerPhone, PerAddress and DailyAttempts of the Policy count them all together.
type Purpose string

// ForLogin is the purpose of a login.
const ForLogin Purpose = ""

// ForPhone is the purpose of a user who is logged in and wants the phone for the account.
func ForPhone(user uuid.UUID) Purpose { return Purpose(user.String()) }

// Name is login or phone_change.
func (p Purpose) Name() string {
	if p == ForLogin {
		return "login"
	}
	return "phone_change"
}

// A Key stands for a phone or an address in a store: a keyed digest of it, in URL-safe characters.
type Key string

// A Digest stands for a code in a store: a keyed digest of phone and code, in URL-safe characters.
type Digest string

// A Receipt identifies a counted send, so that it can be given back. Its text is the store's own.
type Receipt string

// An Opening is a request for a message with a code.
type Opening struct {
	Phone, Address Key
	Purpose        Purpose
	ID             ChallengeID // used if the phone has no live challenge for the purpose
	Digest         Digest      // of the code that ID stands for
	Exempt         bool        // from the limits of messages; the limits of wrong tries remain
}

// A Challenge is what an Opening led to.
type Challenge struct {
	ID       ChallengeID   // the one that is live now: the Opening's own or an older one
	Send     int           // 1 for the challenge's first message
	ResendIn time.Duration // until the phone's own limits allow the next message
	Receipt  Receipt
}

// A Match is a right answer.
type Match struct {
	ID       ChallengeID
	Receipts []Receipt // of the challenge's messages that count against an address
}

// A CodeStore keeps at most one live challenge for each phone and purpose and decides by its own clock. Every
// method is atomic, and each fails with an error that wraps ErrUnavailable when the store cannot be asked.
type CodeStore interface {
	// Open opens a challenge, or renews the live one and keeps its code and its wrong tries. Of any
	// number of simultaneous calls exactly as many are accepted as the limits allow. A refused call is
	// a *ThrottledError and changes nothing.
	Open(ctx context.Context, o Opening) (Challenge, error)
	// Check compares: of any number of simultaneous wrong answers exactly Policy.MaxAttempts are
	// counted. A right answer uses nothing up. Its errors wrap ErrInvalidCode.
	Check(ctx context.Context, phone Key, p Purpose, d Digest) (Match, error)
	// Close ends the challenge, if it is still the phone's, and gives its messages back to the addresses.
	Close(ctx context.Context, phone Key, p Purpose, m Match) error
	// GiveBack undoes what a send counted. The challenge stays live.
	GiveBack(ctx context.Context, o Opening, c Challenge) error
	// Forget removes the phone's challenge for a login and its wrong tries. The times of its messages stay
	// for as long as they count.
	Forget(ctx context.Context, phone Key) error
}

// A Message is one text message. It prints without its number and its code.
type Message struct {
	ID      string // the same for every try to deliver this message, and for no other message
	To      phone.Number
	Channel string // "sms"
	Purpose Purpose
	Code    string
	Text    string
	Locale  string // a BCP 47 tag, or empty
}

// Format prints the message's identifier and the masked number.
func (m Message) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "message %s to %s", m.ID, m.To) }

// A Sender delivers messages. Send returns nil when the message was accepted for delivery, and
// an error without the message's number and code when it was not.
type Sender interface {
	Send(ctx context.Context, m Message) error
}
