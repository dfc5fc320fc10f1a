// Package account owns users and sessions: who a phone is, and what a login gives.
//
// A phone is one user, and a session is one login. The database decides who logs in: a session carries
// the challenge that it was made for, no two sessions carry the same one, and so a code is good for one
// login on any number of copies of the service. Tokens are made after that decision, by a Signer.
package account

import (
	"context"
	"errors"
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
	// ErrUnavailable means that the database could not be asked.
	ErrUnavailable = errors.New("account: store unavailable")
)

// A User is one phone.
type User struct {
	ID          uuid.UUID // version 7: ordered by creation
	Phone       phone.Number
	CreatedAt   time.Time
	LastLoginAt time.Time // zero until tokens were given
	BannedAt    time.Time // zero = not banned
}

// A Client is the app that a person logs in from.
type Client struct {
	IP, UserAgent string
}

// A NewSession is a login that a Store is asked to record.
type NewSession struct {
	ID          uuid.UUID
	Challenge   uuid.UUID
	Phone       phone.Number
	UserID      uuid.UUID // for the phone's user, if it has none yet
	RefreshHash []byte
	Client      Client
	TTL         time.Duration
	LogsIn      bool // false: the session of a user that is new is ended from the start
}

// A Page asks for users, newest first.
type Page struct {
	Limit  int
	Before uuid.UUID // only users older than this one; uuid.Nil = from the newest
	Prefix string    // only phones that begin so: + and digits; empty = all
}

// A Store keeps users and sessions, by its own clock. Each method is atomic, and its errors wrap
// ErrUnavailable when the database cannot be asked.
type Store interface {
	// Login gives the phone's user, who is made if there is none, and records the session, ended from
	// the start if the user is banned. Of any number of calls with one challenge exactly one succeeds;
	// the others are ErrSpent and change nothing.
	Login(ctx context.Context, s NewSession) (User, error)
	// ByID gives a user, or ErrNotFound.
	ByID(ctx context.Context, id uuid.UUID) (User, error)
	// BySession gives the user of a session that is live, or ErrNotFound.
	BySession(ctx context.Context, user, session uuid.UUID) (User, error)
	// List gives at most p.Limit users.
	List(ctx context.Context, p Page) ([]User, error)
}
