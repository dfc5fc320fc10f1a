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
	MaxAttempts   int           // wrong attempts that burn a challenge
	ResendAfter   time.Duration // wait between two messages of one challenge; 0 = none
	PerPhone      Limit         // messages to one phone
	PerAddress    Limit         // messages requested from one address (IPv6: one /64), refunded when the phone verifies
	DailyAttempts int           // wrong attempts for one phone in 24 hours (NIST SP 800-63B-4 §3.2.2)
}

// MaxLife is how long a code lives at most from its first message, however often it is sent again (NIST SP 800-63B-4
// §3.1.3.1).
const MaxLife = 10 * time.Minute

// LeastLife returns how long a code lives at least that is sent again. A request that comes so late that the code would
// live for less gets a new one.
func (p Policy) LeastLife() time.Duration { return min(p.TTL, 2*time.Minute) }

// A ChallengeID identifies one code from its first message until it is used, burnt or expired. It is not secret.
type ChallengeID = uuid.UUID

// A Purpose is what a code is for. Each purpose has its own challenges, so a code that was requested for one purpose
// never works for another. The limits of a Policy count the messages and attempts of all purposes together.
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

// A Digest is a keyed digest of a phone and a code, in URL-safe characters. A store compares codes by it.
type Digest string

// A Receipt identifies a send that was counted against an address, so that it can be refunded. Only the store that
// issued it reads it.
type Receipt string

// An Opening asks a store for a challenge and a message.
type Opening struct {
	Phone, Address Pseudonym
	Purpose        Purpose
	ID             ChallengeID // of the new challenge, unless the phone has a live one for this purpose
	Digest         Digest      // of the new challenge's code
	// Letter is the sealed message to queue. It is empty for a test number, which gets no message and is exempt from
	// all limits but Policy.MaxAttempts.
	Letter []byte
}

// A Challenge is the result of an Opening.
type Challenge struct {
	ID        ChallengeID   // of the live challenge: a new one or the one that was live before
	Send      int           // number of this message in the challenge, from 1
	ExpiresIn time.Duration // life of the code
	ResendIn  time.Duration // until the phone's limits allow the next message
	Lease     Lease         // on the queued message; its Ref is nil if the caller has none
}

// Unlocked is what kept a phone from codes and logins before it was unlocked.
type Unlocked struct {
	Wrong int       // attempts within a day
	Since time.Time // when the oldest of them was made, or else the oldest message; zero if there was neither
	Sends int       // messages that the limit of the phone counted
}

// A Match is the challenge that a right code answers.
type Match struct {
	ID       ChallengeID
	Receipts []Receipt // of the challenge's messages that count against an address
	Provider string    // accepted the challenge's last message; empty if none has yet
}

// A Store keeps challenges and queued messages, and measures time by its own clock. Every method is atomic. Each fails
// with an error that wraps ErrUnavailable if the store cannot be reached or returns an unexpected reply.
type Store interface {
	CodeStore
	Outbox
}

// A CodeStore keeps at most one live challenge for each phone and purpose.
type CodeStore interface {
	// Open opens a challenge and queues its message. If the phone has a live challenge for the purpose, Open renews
	// that one and keeps its code and its wrong attempts, unless MaxLife leaves it less than Policy.LeastLife. Of any
	// number of simultaneous calls, exactly as many are accepted as the limits allow. A refused call changes nothing
	// and returns a *ThrottledError, or ErrUnavailable if the queue is full.
	Open(ctx context.Context, o Opening) (Challenge, error)
	// Check compares a code with the live challenge's. However many wrong codes arrive at once, no more than
	// Policy.MaxAttempts are counted for one challenge. A right code is not used up. The errors are ErrUnavailable and
	// those that wrap ErrInvalidCode.
	Check(ctx context.Context, phone Pseudonym, p Purpose, d Digest) (Match, error)
	// Close removes the challenge if it is still the phone's live one, and refunds its messages to the addresses.
	Close(ctx context.Context, phone Pseudonym, p Purpose, m Match) error
	// Forget removes the phone's challenge for a login and its count of wrong attempts. The times of its messages are
	// kept for as long as the limits count them.
	Forget(ctx context.Context, phone Pseudonym) error
	// Unlock forgets the phone's wrong attempts of a day and the times of its messages, and returns what it forgot. A
	// live code stays.
	Unlock(ctx context.Context, phone Pseudonym) (Unlocked, error)
	// Status returns the state of one message. It fails with ErrUnknown if the challenge is not live.
	Status(ctx context.Context, phone Pseudonym, p Purpose, id ChallengeID, send int) (Status, error)
}
