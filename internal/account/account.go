// Package account owns users, their sessions, and the audit log of both. It leaves the proof that a person holds a
// phone to its callers, storage to a Store, and the form of access tokens to a Signer.
//
// A phone belongs to at most one user, and a session is one login. The database decides who logs in: a session carries
// the challenge that it was made for, no two sessions carry the same one, and so a code is good for one login on any
// number of copies of the service. The database also decides who refreshes: one conditional statement spends a refresh
// token. Access tokens are signed after these decisions and are valid without a store. The end of a session is
// therefore seen at once by a service that asks the store, and by others when the access token expires.
//
// Every change of an account is recorded as an Event, which is written together with the change or not at all.
package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

var (
	// ErrNotFound means that the user, or the live session, does not exist.
	ErrNotFound = errors.New("account: not found")
	// ErrSpent means that the challenge has made a session already.
	ErrSpent = errors.New("account: challenge spent")
	// ErrBanned means that the user is banned.
	ErrBanned = errors.New("account: banned")
	// ErrTaken means that the phone belongs to another user.
	ErrTaken = errors.New("account: phone taken")
	// ErrRefreshToken means that the refresh token does not belong to a live session.
	ErrRefreshToken = errors.New("account: invalid refresh token")
	// ErrReused means that the refresh token was spent before. Its session has been ended for that reason.
	ErrReused = fmt.Errorf("%w: spent before", ErrRefreshToken)
	// ErrUnavailable means that the database did not answer.
	ErrUnavailable = errors.New("account: store unavailable")
)

// A Client is the app that a request comes from.
type Client struct {
	IP, UserAgent string
}

// A Store keeps users, sessions and events. Times are those of the store's clock. Each method is atomic, and its errors
// wrap ErrUnavailable if the database does not answer. The Event that a method takes, or whose identifier it takes, is
// recorded together with the change, and not recorded if nothing changes.
//
// A session is live until it is ended or expires. SetBanned ends all sessions of a user. If the operator bans a user by
// a statement in the database instead, the sessions stay live: Refresh treats them as not found, and BySession returns
// the banned user.
type Store interface {
	// Login returns the phone's user, which it creates if the phone has none, and records the session. The session of a
	// banned user is ended from the start. Of any number of calls with the same challenge exactly one succeeds; the
	// others change nothing and return ErrSpent. Login records SignedUp or LoggedIn unless the user is banned, and
	// PhoneLost for a dormant user that loses the phone.
	Login(ctx context.Context, s NewSession) (User, error)
	// Refresh spends the session's current token. The token spent last, whose successor is the current token, returns
	// the result of its first use again; both prolong the session. Every other use of a token of the session's family
	// ends the session, records RefreshReused and returns ErrReused. Refresh returns ErrNotFound if no live session has
	// the family, or if the user is banned.
	Refresh(ctx context.Context, r Rotation) (Rotated, error)
	// ByID returns a user, or ErrNotFound.
	ByID(ctx context.Context, id uuid.UUID) (User, error)
	// BySession returns the user of a live session, or ErrNotFound.
	BySession(ctx context.Context, user, session uuid.UUID) (User, error)
	// List returns at most p.Limit users.
	List(ctx context.Context, p Page) ([]User, error)
	// Sessions returns at most limit live sessions of a user, the last used first.
	Sessions(ctx context.Context, user uuid.UUID, limit int) ([]Session, error)
	// EndSession ends the event's session. It returns ErrNotFound if that is not a live session of the event's user.
	EndSession(ctx context.Context, e Event) error
	// EndSessions ends all sessions of the event's user, or returns ErrNotFound. It records the event even if the user
	// has no live session.
	EndSessions(ctx context.Context, e Event) error
	// SetBanned bans the event's user and ends all sessions, or lifts the ban. It returns ErrNotFound if the user does
	// not exist. It records the event only if this changes whether the user is banned.
	SetBanned(ctx context.Context, banned bool, e Event) (User, error)
	// ChangePhone gives the event's user the phone and ends all sessions except the event's. The recorded
	// detail names both phones, masked. Nothing changes if the phone is the user's already. ChangePhone returns
	// ErrNotFound if the event's session is not live, and ErrTaken if the phone belongs to another user.
	ChangePhone(ctx context.Context, c Claim, e Event) (User, error)
	// Delete removes the event's user and all sessions. It returns ErrNotFound if the user does not exist, or if the
	// event has a session that is not live.
	Delete(ctx context.Context, e Event) error
	// Events returns at most p.Limit events.
	Events(ctx context.Context, p EventPage) ([]Event, error)
	// Record records an event unless the newest event with its action has the same detail.
	Record(ctx context.Context, e Event) (recorded bool, err error)
	// Sweep deletes rows that are no longer needed. It deletes nothing while another copy of the service sweeps.
	Sweep(ctx context.Context, r Retention) (Swept, error)
}
