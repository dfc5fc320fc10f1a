// Package otp owns the one-time code: what it is, how long it lives, who gets one, when a try counts, and that
// its message is delivered or reported.
// It leaves keeping codes and messages to a Store, delivery to a Router, and users and sessions to the caller
// of Verify.
//
// A code is never stored. It is derived from the service's secret, the challenge's identifier and the
// phone, so that a resend can send the same code again and a reader of the store learns nothing that
// logs anybody in.
//
// A request is accepted by one step of the store that opens the challenge and queues the message, sealed. Then
// a courier of this or any other copy delivers it. Who holds a queued message has to say so again and again, or
// else another courier takes it over: a message is lost by no crash, and may go out twice after one, with the
// same identifier.
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
	// ErrChannel means that no provider offers the channel for the number's region.
	ErrChannel = errors.New("otp: channel not available")
	// ErrUnknown means that nothing is known of a request or a message: its code is dead, or it never was.
	ErrUnknown = errors.New("otp: unknown")
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

// A Pseudonym stands for a phone or an address in a store: a keyed digest of it, in URL-safe characters.
type Pseudonym string

// A Digest stands for a code in a store: a keyed digest of phone and code, in URL-safe characters.
type Digest string

// A Receipt identifies a counted send. Its text is the store's own.
type Receipt string

// An Opening is a request for a message with a code.
type Opening struct {
	Phone, Address Pseudonym
	Purpose        Purpose
	ID             ChallengeID // used if the phone has no live challenge for the purpose
	Digest         Digest      // of the code that ID stands for
	Letter         []byte      // is queued; none for a test number: no message and no limits of messages, those of wrong tries remain
}

// A Challenge is what an Opening led to.
type Challenge struct {
	ID       ChallengeID   // the one that is live now: the Opening's own or an older one
	Send     int           // 1 for the challenge's first message
	ResendIn time.Duration // until the phone's own limits allow the next message
	Lease    Lease         // the queued message, in the hands of the caller
}

// A Match is a right answer.
type Match struct {
	ID       ChallengeID
	Receipts []Receipt // of the challenge's messages that count against an address
	Provider string    // that took the challenge's last message; empty if none has yet
}

// A State is what became of a message. Only a provider's report ends it: Sent may come after Failed, by a courier who
// was late with it.
type State string

// The states of a message.
const (
	Queued    State = "queued"
	Sent      State = "sent"      // a provider has it
	Failed    State = "failed"    // no provider takes it, or the one that took it could not deliver it
	Delivered State = "delivered" // the provider says that the phone has it
)

// A Status is what a person who waits for a message wants to know.
type Status struct {
	State    State
	ResendIn time.Duration // until the phone's own limits allow the next message; 0 = at once
}

// A Parcel is a queued message in somebody's hands.
type Lease struct {
	ID      ChallengeID
	Send    int
	Letter  []byte
	Until   time.Time // nobody else takes the parcel over before
	Expired bool      // its code has expired: there is nothing to do but to report it
	Ref     any       // the store's own; nil where the caller does not hold the message

	// In the copy that has written the letter:
	opened  *letter
	request context.Context // for the log
	since   time.Time       // it waits for a courier
}

// An Outcome is how the delivery of a parcel ended.
type Outcome struct {
	State  State // Sent or Failed
	Refund bool  // the send counts for nothing
	Handoff
	Region string // of the number
}

// Carried is who took a message.
type Handoff struct {
	Provider string
	ID       string // the provider's own; empty if it will not report on the message
}

// A Store keeps challenges and queued messages and decides by its own clock. Every method is atomic, and each
// fails with an error that wraps ErrUnavailable when the store cannot be asked.
type Store interface {
	CodeStore
	Outbox
}

// A CodeStore keeps at most one live challenge for each phone and purpose.
type CodeStore interface {
	// Open opens a challenge, or renews the live one and keeps its code and its wrong tries, and queues its
	// message. Of any number of simultaneous calls exactly as many are accepted as the limits allow. A refused
	// call is a *ThrottledError, or ErrUnavailable where the queue is full, and changes nothing.
	Open(ctx context.Context, o Opening) (Challenge, error)
	// Check compares: of any number of simultaneous wrong answers exactly Policy.MaxAttempts are
	// counted. A right answer uses nothing up. Its errors wrap ErrInvalidCode.
	Check(ctx context.Context, phone Pseudonym, p Purpose, d Digest) (Match, error)
	// Close ends the challenge, if it is still the phone's, and gives its messages back to the addresses.
	Close(ctx context.Context, phone Pseudonym, p Purpose, m Match) error
	// Forget removes the phone's challenge for a login and its wrong tries. The times of its messages stay
	// for as long as they count.
	Forget(ctx context.Context, phone Pseudonym) error
	// Status gives what became of one message of a challenge. Its error is ErrUnknown when that is not live.
	Status(ctx context.Context, phone Pseudonym, p Purpose, id ChallengeID, send int) (Status, error)
}

// An Outbox keeps the messages of accepted requests until they are settled. A message whose code was used or burnt
// is dropped.
type Outbox interface {
	// Claim gives up to n messages that nobody has held for a while.
	Claim(ctx context.Context, n int) ([]Lease, error)
	// Hold keeps a message in the caller's hands until the time that it gives. Its errors are ErrLost, ErrLate, and
	// ErrNotLive for one that it has dropped.
	Renew(ctx context.Context, p Lease) (until time.Time, err error)
	// Settle ends a message. Whoever holds it may say that it Failed; the error is ErrLost for others. Sent always
	// holds. It may be called again.
	Settle(ctx context.Context, p Lease, o Outcome) error
	// Report takes a provider's last word on a message that was settled as Sent, once, and gives the message's
	// identifier and region. Its error is ErrUnknown for a message that is not known, or no more.
	Report(ctx context.Context, c Handoff, delivered bool) (message, region string, err error)
}

var (
	// ErrLost means that a parcel is in other hands by now.
	ErrLost = errors.New("otp: parcel lost to another courier")
	// ErrLate means that the code of a parcel has expired before it was delivered.
	ErrExpired = errors.New("otp: the code has expired")
)

// Channels of a message.
const (
	SMS      = "sms"
	WhatsApp = "whatsapp"
	Telegram = "telegram"
	Voice    = "voice"
)

// A Message is one message with a code. It prints without its number and its code.
type Message struct {
	ID      string // the challenge's identifier and Send: the same for every try to deliver this message, and for no other
	Send    int    // 1 for the challenge's first message
	To      phone.Number
	Region  string // of the number: an ISO 3166 code, or 001
	Channel string
	Purpose Purpose
	Code    string
	Text    string        // what the person reads, with the code in it
	Locale  string        // a BCP 47 tag: the one that was asked for, or else that of the text
	TTL     time.Duration // life of the code
}

// Format prints the message's identifier and the masked number.
func (m Message) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "message %s to %s", m.ID, m.To) }

// A Callback is a call in which a provider says what became of messages. Nothing of it is checked.
type Callback struct {
	URL         string // as the provider was told it: PUBLIC_URL, the path and the query
	Secret      string // the part of the path that follows the provider's name; often empty
	ContentType string
	Header      func(name string) string
	Query       string // without the question mark
	Body        []byte
}

// A Report is a provider's last word on a message.
type Report struct {
	ID        string // the provider's identifier of the message
	Delivered bool   // false: it never will be
}

var (
	// ErrRejected means that no provider takes this message: the number cannot get it, or they do not send to it.
	ErrUndeliverable = errors.New("otp: the number is rejected")
	// ErrForged means that a callback does not prove that it is the provider's.
	ErrForged = errors.New("otp: not a callback of the provider")
	// ErrCallback means that a callback is the provider's and cannot be read.
	ErrCallback = errors.New("otp: unreadable callback")
)

// A Router finds a provider for each message.
type Router interface {
	// Channels are those that there are for numbers of the region, the preferred one first.
	Channels(region string) []string
	// Carry hands the message to a provider. It goes on trying until ctx is done, and before each try asks whether it
	// still may. An error that wraps ErrRejected is final. No error has the number or the code in it.
	Send(ctx context.Context, m Message, may func() error) (Handoff, error)
}

// Texts are what messages say.
type Texts interface {
	// Locale chooses a language: the one asked for, one that the client accepts (RFC 9110 §12.5.4), or that of
	// the number's region.
	Locale(asked, accepted, region string) string
	// Compose gives the text in a language that Locale gave.
	Compose(locale, purpose, code string) string
}

// A Metrics counts what happens. Regions are those of phone.Number; outcomes are a few fixed words.
type Metrics interface {
	// Requested counts a request for a code.
	CountRequest(outcome, region string)
	// Message counts a message by what became of it: sent, failed, delivered or verified. The provider is "none" where
	// none took the message.
	CountMessage(event, provider, region string)
	// Checked counts an answer with a code.
	CountAttempt(outcome, region string)
	// Delay counts how long it took from the first request for a code to the right answer.
	ObserveDelay(provider string, d time.Duration)
}

// outcomes are what a Metrics calls the errors of Request and Verify.
var outcomes = []struct {
	err  error
	name string
}{
	{ErrResendTooSoon, "resend_too_soon"},
	{ErrPhoneLimit, "phone_limit"},
	{ErrAddressLimit, "address_limit"},
	{ErrDailyLimit, "daily_limit"},
	{ErrRegion, "destination_not_allowed"},
	{ErrChannel, "channel"},
	{ErrNotLive, "not_live"},
	{ErrWrong, "wrong"},
	{ErrBurnt, "burnt"},
	{ErrClosed, "closed"},
}

func outcome(err error) string {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return "unavailable"
}
