// Package account owns users and sessions: who a phone is, what a login gives, how long it lasts, and the
// record of what happened to both.
//
// A phone is one user, and a session is one login. The database decides who logs in: a session carries
// the challenge that it was made for, no two sessions carry the same one, and so a code is good for one
// login on any number of copies of the service. It decides who refreshes, too: a refresh token is spent by
// one conditional statement. Access tokens are made after those decisions, by a Signer, and are good
// without a store; what ends a session therefore shows at once where the store is asked, and elsewhere
// when the access token runs out.
//
// Whatever changes an account leaves an Event, written together with the change or not at all.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

var (
	// ErrNotFound means that there is no such user, or no such live session.
	ErrNotFound = errors.New("account: not found")
	// ErrSpent means that the challenge has made its session already.
	ErrSpent = errors.New("account: challenge spent")
	// ErrBanned means that the user may not log in.
	ErrBanned = errors.New("account: banned")
	// ErrTaken means that the phone is another user's.
	ErrTaken = errors.New("account: phone taken")
	// ErrRefreshToken means that the refresh token is not that of a live session.
	ErrRefreshToken = errors.New("account: invalid refresh token")
	// ErrReused means that the refresh token was spent before, and that its session has been ended for it.
	ErrReused = fmt.Errorf("%w: spent before", ErrRefreshToken)
	// ErrUnavailable means that the database could not be asked.
	ErrUnavailable = errors.New("account: store unavailable")
)

// A User is one person, whom a phone stands for.
type User struct {
	ID          uuid.UUID    // version 7: ordered by creation
	Phone       phone.Number // the zero Number once the phone has gone to another user
	CreatedAt   time.Time
	LastLoginAt time.Time // zero until tokens were given
	BannedAt    time.Time // zero = not banned
}

// A Client is the app that a person uses.
type Client struct {
	IP, UserAgent string
}

// A Session is one login, as it is shown to people.
type Session struct {
	ID         uuid.UUID
	CreatedAt  time.Time
	LastUsedAt time.Time // of the login or of the last refresh, as is Client
	Client     Client
}

// A Claim is a phone that a person has proved to hold.
type Claim struct {
	Phone        phone.Number
	DormantAfter time.Duration // another user who was not seen for that long loses the phone; 0 = never
	LossEvent    uuid.UUID     // the identifier of the event that this leaves
}

// A NewSession is a login that a Store is asked to record.
type NewSession struct {
	Claim
	ID                      uuid.UUID
	Challenge               uuid.UUID
	UserID                  uuid.UUID // for the phone's user, if it has none yet
	FamilyHash, RefreshHash []byte
	Client                  Client
	TTL                     time.Duration // life of the session
	IdleTTL                 time.Duration // its life if it is not refreshed
	LogsIn                  bool          // false: the session of a user that is new is ended from the start
	Event                   uuid.UUID     // the identifier of the event that this leaves
}

// A Rotation is one use of a refresh token. Tokens are known to a Store by their digests alone.
type Rotation struct {
	Session      uuid.UUID
	FamilyHash   []byte // of what the session's tokens have in common, so that a guess is no reuse
	SpentHash    []byte // of the token that is used
	NextHash     []byte // of its successor
	Seed         []byte // what the successor was derived with
	Client       Client
	IdleTTL      time.Duration // life of the session if it is not refreshed again
	RepeatWithin time.Duration // how long the spent token gives the same successor
	Event        uuid.UUID     // the identifier of the event that a reuse leaves
}

// A Rotated session is what the first use of a token made of it.
type Rotated struct {
	User uuid.UUID
	Seed []byte        // of that first use
	TTL  time.Duration // from that first use to the latest end of the session
}

// A Page asks for users, newest first.
type Page struct {
	Limit  int
	Before uuid.UUID // only users older than this one; uuid.Nil = from the newest
	Prefix string    // only phones that begin so: + and digits; empty = all
}

// A Store keeps users, sessions and events, by its own clock. Each method is atomic, and its errors wrap
// ErrUnavailable when the database cannot be asked. An Event that a method takes is recorded if the
// method changes anything, and with the change.
//
// A session is live until it is ended or expires. SetBanned ends all sessions of a user; one who was banned
// by a statement of the operator's keeps them, gets no tokens for them, and BySession tells of the ban.
type Store interface {
	// Login gives the phone's user, who is made if there is none, and records the session, ended from
	// the start if the user is banned. Of any number of calls with one challenge exactly one succeeds;
	// the others are ErrSpent and change nothing. It leaves SignedUp or LoggedIn, unless the user is
	// banned, and PhoneLost where a dormant user lost the phone.
	Login(ctx context.Context, s NewSession) (User, error)
	// Refresh spends the session's current token for its successor. The token spent last gives what it
	// gave, within RepeatWithin; every other one of the session's family ends the session, leaves
	// RefreshReused and is ErrReused. It is ErrNotFound where the family is not that of a live session, or
	// the user is banned.
	Refresh(ctx context.Context, r Rotation) (Rotated, error)
	// ByID gives a user, or ErrNotFound.
	ByID(ctx context.Context, id uuid.UUID) (User, error)
	// BySession gives the user of a session that is live, or ErrNotFound.
	BySession(ctx context.Context, user, session uuid.UUID) (User, error)
	// List gives at most p.Limit users.
	List(ctx context.Context, p Page) ([]User, error)
	// Sessions gives at most limit live sessions of a user, the last used first.
	Sessions(ctx context.Context, user uuid.UUID, limit int) ([]Session, error)
	// EndSession ends the event's session if it is a live one of its user, or is ErrNotFound.
	EndSession(ctx context.Context, e Event) error
	// EndSessions ends all sessions of the event's user, or is ErrNotFound. It always leaves the event.
	EndSessions(ctx context.Context, e Event) error
	// SetBanned bans the event's user, which ends all sessions, or lifts the ban, or is ErrNotFound. It
	// leaves the event where the user was not banned before, or was.
	SetBanned(ctx context.Context, banned bool, e Event) (User, error)
	// ChangePhone gives the event's user the phone and ends all sessions but the event's, in whose detail
	// it tells of both numbers. It changes nothing where the phone is the user's already. It is
	// ErrNotFound where the event's session is not live, and ErrTaken where the phone is another user's.
	ChangePhone(ctx context.Context, c Claim, e Event) (User, error)
	// Delete removes the event's user with all sessions. It is ErrNotFound where there is none, or where
	// the event has a session that is not live.
	Delete(ctx context.Context, e Event) error
	// Events gives at most p.Limit events.
	Events(ctx context.Context, p EventPage) ([]Event, error)
	// Record records an event, unless the newest of its action has the same detail.
	Record(ctx context.Context, e Event) (recorded bool, err error)
	// Sweep deletes what nothing needs any more, and nothing while another copy of the service does so.
	Sweep(ctx context.Context, b Retention) (Swept, error)
}
