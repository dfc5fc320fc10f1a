package otp

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// A Limit allows Max events in every interval of length Window. The zero Limit allows everything.
type Limit struct {
	Max    int
	Window time.Duration
}

// A Policy holds the length and the lifetime of a code, and the limits. The settings OTP_… determine it.
type Policy struct {
	Length        int           // digits of a code, 6 to 10
	TTL           time.Duration // lifetime of a code, renewed by a resend up to MaxLife
	MaxAttempts   int           // wrong attempts at one code that each requester has
	ResendAfter   time.Duration // wait between two messages of one challenge; 0 = none
	PerPhone      Limit         // messages to one phone, for each known device and for all other requests
	PerAddress    Limit         // messages requested from one address; those of a code are refunded when it is used
	DailyAttempts int           // wrong attempts in a row after which a phone gets longer codes

	// TriesPerAddress limits the wrong attempts from one address. When an address uses a code, its own wrong attempts
	// at that code are refunded.
	TriesPerAddress Limit
}

const (
	// LongerBy is how many digits a code has more, once a phone has had Policy.DailyAttempts wrong attempts in a row.
	LongerBy = 2
	// MaxDailyAttempts closes a phone: so many wrong attempts in 24 hours (NIST SP 800-63B-4 §3.2.2). Known devices,
	// which have Policy.DailyAttempts of their own, are not counted and not closed.
	MaxDailyAttempts = 100
	// WideFactor is how many times the limit of an IPv6 /64 its /48 has.
	WideFactor = 10
	// DevicesFactor is how many times Policy.PerPhone all known devices of a phone have together, so that a phone whose
	// owner logs in again and again does not get any number of messages.
	DevicesFactor = 5
)

// MaxLife is how long a code lives at most from its first message, however often it is sent again (NIST SP 800-63B-4
// §3.1.3.1).
const MaxLife = 10 * time.Minute

// LeastLife returns how long a code lives at least that is sent again. A request that comes so late that the code would
// live for less gets a new one.
func (p Policy) LeastLife() time.Duration { return min(p.TTL, 2*time.Minute) }

// A ChallengeID identifies one code from its first message until it is used, burnt or expired. It is not secret.
type ChallengeID = uuid.UUID

// A Purpose is what a code is for. Each purpose has its own challenges, so a code that was requested for one purpose
// never works for another. The messages of all purposes count together. The wrong attempts at a change of phone count
// against the user who asked for it, and never against the phone's login.
type Purpose string

// ForLogin is the purpose of a login.
const ForLogin Purpose = ""

// ForPhoneChange returns the purpose of a change of the user's phone.
func ForPhoneChange(user uuid.UUID) Purpose { return Purpose(user.String()) }

// Name returns login or phone_change.
func (p Purpose) Name() string {
	if p == ForLogin {
		return "login"
	}
	return "phone_change"
}

// A Pseudonym is a keyed digest under which a store keeps a phone or an address, in URL-safe characters.
type Pseudonym string

// An Address is what the limits count a client address under. An IPv6 address counts with its /64 and with its /48; an
// IPv4 address has no Wide. The zero Address is not counted.
type Address struct{ Narrow, Wide Pseudonym }

// A DeviceID identifies a device that has logged in with the phone before, in URL-safe characters.
type DeviceID string

// A Place is where a store keeps one live challenge: that of a known device, or the open one, which all others share.
type Place struct {
	Phone   Pseudonym
	Purpose Purpose
	Device  DeviceID // empty: the open challenge
}

// Open returns the place of the phone's open challenge for the same purpose.
func (p Place) Open() Place { return Place{Phone: p.Phone, Purpose: p.Purpose} }

// A Digest is a keyed digest of a phone and a code, in URL-safe characters. A store compares codes by it.
type Digest string

// A Receipt identifies what was counted against an address or a user, so that it can be refunded. Only the store that
// issued it reads it.
type Receipt string

// An Opening asks a store for a challenge and a message. A known device has its own challenge and its own limits, which
// do not depend on the Address.
type Opening struct {
	Place
	Address    Address
	ID         ChallengeID // of the new challenge, unless a live one is renewed
	Digest     Digest      // of the new challenge's code
	LongDigest Digest      // of the code that is longer by LongerBy, which the store prefers where the phone needs it
	// Letter is the sealed message to queue. It is empty for a test number, which gets no message and is exempt from
	// all limits but Policy.MaxAttempts.
	Letter []byte
}

// A Challenge is the result of an Opening.
type Challenge struct {
	ID        ChallengeID   // of the live challenge: a new one or the one that was live before
	Length    int           // digits of its code
	Send      int           // number of this message in the challenge, from 1
	ExpiresIn time.Duration // life of the code
	ResendIn  time.Duration // until the phone's limits allow the next message
	Lease     Lease         // on the queued message; its Ref is nil if the caller has none
}

// An Attempt is a code that was typed. A wrong one counts against the known device, if there is one, or else against
// the request, or else against all attempts without a request.
type Attempt struct {
	Place
	Address Address     // not counted for a known device
	Request ChallengeID // the challenge of the request that the client names; uuid.Nil if it names none
	Send    int         // number of that request in its challenge
	Digest  Digest
	Length  int // digits of the code
}

// Unlocked is what kept a phone from codes and logins before it was unlocked.
type Unlocked struct {
	Wrong int       // attempts in a row, or within a day if there were more
	Since time.Time // when the oldest of them was made, or else the oldest message; zero if there was neither
	Sends int       // messages that the limit of the phone counted
}

// A Match is the challenge that a right code answers.
type Match struct {
	Place
	ID       ChallengeID
	Receipts []Receipt // of the challenge's messages
	Tries    int       // wrong attempts at the challenge that count against the address of the right one
	Charged  []Receipt // of the right attempt, if the store has counted it as a wrong one; Close and Release refund it
	Provider string    // accepted the challenge's last message; empty if none has yet
}

// A Store keeps challenges and queued messages, and measures time by its own clock. Every method is atomic. Each fails
// with an error that wraps ErrUnavailable if the store cannot be reached or returns an unexpected reply.
type Store interface {
	CodeStore
	Outbox
}

// A CodeStore keeps at most one live challenge in each Place, and those that were replaced before they expired: they
// stay live for the requests that they answered.
type CodeStore interface {
	// Open opens a challenge and queues its message. If the place has a live challenge, Open renews it and keeps its
	// code and its wrong attempts. It replaces one whose attempts without a request are used up, one that is too short
	// for the phone, and one to which MaxLife leaves less than Policy.LeastLife. Of any number of simultaneous calls,
	// exactly as many are accepted as the limits allow. A refused call changes nothing and returns a *ThrottledError,
	// or ErrUnavailable if the queue is full.
	Open(ctx context.Context, o Opening) (Challenge, error)
	// Check compares a code with the challenge of the request, or else with the live one of the place. The code of a
	// known device is also compared with the phone's open challenge. However many wrong codes arrive at once, no more
	// than Policy.MaxAttempts are counted for one requester and challenge. A right code is not used up. The errors are
	// ErrUnavailable, those that wrap ErrInvalidCode, a *ThrottledError if the address has no attempts left, and
	// ErrCodeFormat for a code that is too long for the phone. Only ErrWrong costs an attempt, and a
	// *ThrottledError may, where a store keeps addresses apart from phones.
	Check(ctx context.Context, a Attempt) (Match, error)
	// Close removes the challenge of the match, if it is still live, and ends the row of wrong attempts. It refunds the
	// challenge's messages to their addresses, and to the address of the attempt its wrong attempts.
	Close(ctx context.Context, a Attempt, m Match) error
	// Release leaves the challenge of the match as it is, and refunds the attempt if it is Charged.
	Release(ctx context.Context, m Match) error
	// Forget removes all challenges of the phone for a login, and its counts of wrong attempts. The times of its
	// messages are kept for as long as the limits count them.
	Forget(ctx context.Context, phone Pseudonym) error
	// Unlock forgets the phone's wrong attempts and the times of its messages, apart from those of known devices, and
	// returns what it forgot. A live code stays.
	Unlock(ctx context.Context, phone Pseudonym) (Unlocked, error)
	// Status returns the state of one message. It fails with ErrUnknown if the challenge is not live for that request.
	Status(ctx context.Context, p Place, id ChallengeID, send int) (Status, error)
}
