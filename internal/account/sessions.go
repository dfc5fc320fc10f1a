package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// idleTTL is the life of a session that is not refreshed.
const idleTTL = 14 * 24 * time.Hour

// A Session is one login, as it is shown to its user and to admins.
type Session struct {
	ID         uuid.UUID
	CreatedAt  time.Time
	LastUsedAt time.Time // When the session was last refreshed, or else its login.
	Client     Client    // The client at that time.
}

// A NewSession is a login for a Store to record.
type NewSession struct {
	Claim
	ID                      uuid.UUID
	Challenge               uuid.UUID
	UserID                  uuid.UUID // Of the user that is created if the phone has none.
	FamilyHash, RefreshHash []byte    // Of the session's first refresh token.
	Client                  Client
	TTL                     time.Duration // Life of the session.
	IdleTTL                 time.Duration // Its life if it is not refreshed.
	LogsIn                  bool          // If false, the session of a new user is ended from the start.
	Event                   uuid.UUID     // The identifier of the event of the login.
}

// Tokens are the access token and the refresh token of a session.
type Tokens struct {
	Access     string
	AccessTTL  time.Duration
	Refresh    string
	RefreshTTL time.Duration // Until the latest end of the session.
}

// A Login is the result of a login.
type Login struct {
	User   User
	New    bool    // Whether the login has created the user.
	Tokens *Tokens // Nil for a new user if SignupLogsIn is false.
}

// Login logs in the phone's user, which it creates if the phone has none, for a challenge that was answered correctly.
// Its errors are ErrSpent, after which nothing is recorded, ErrBanned, after which the challenge is spent, and
// ErrUnavailable, after which the login may have been recorded.
func (s *Service) Login(ctx context.Context, p phone.Number, challenge uuid.UUID, c Client) (Login, error) {
	claim, err := s.newClaim(p)
	if err != nil {
		return Login{}, err
	}
	var session, newUser, access, event uuid.UUID
	for _, id := range []*uuid.UUID{&session, &newUser, &access, &event} {
		if *id, err = s.clock.NewID(); err != nil {
			return Login{}, fmt.Errorf("account: new login: %w", err)
		}
	}
	refresh := newRefreshToken(session)
	user, err := s.store.Login(ctx, NewSession{
		Claim:       claim,
		ID:          session,
		Challenge:   challenge,
		UserID:      newUser,
		FamilyHash:  refresh.familyHash(),
		RefreshHash: refresh.hash(),
		Client:      c,
		TTL:         s.refreshTTL,
		IdleTTL:     idleTTL,
		LogsIn:      s.signupLogsIn,
		Event:       event,
	})
	if err != nil {
		return Login{}, err
	}
	if !user.BannedAt.IsZero() {
		return Login{}, ErrBanned
	}
	login := Login{User: user, New: user.ID == newUser}
	if login.New && !s.signupLogsIn {
		return login, nil
	}
	tokens, err := s.tokens(user.ID, user.Phone, access, refresh, s.refreshTTL)
	if err != nil {
		return Login{}, err
	}
	login.Tokens = &tokens
	return login, nil
}

// BySession returns the user of a live session. Its errors are ErrNotFound, ErrBanned and ErrUnavailable.
func (s *Service) BySession(ctx context.Context, user, session uuid.UUID) (User, error) {
	u, err := s.store.BySession(ctx, user, session)
	if err == nil && !u.BannedAt.IsZero() {
		return User{}, ErrBanned
	}
	return u, err
}

// maxSessions is how many sessions are shown. The caller's own session is among them, because it is one of the last
// used.
const maxSessions = 100

// Sessions returns at most 100 live sessions of a user, the last used first. Its error is ErrUnavailable.
func (s *Service) Sessions(ctx context.Context, user uuid.UUID) ([]Session, error) {
	return s.store.Sessions(ctx, user, maxSessions)
}

// EndSession ends a live session of a user. Its errors are ErrNotFound and ErrUnavailable.
func (s *Service) EndSession(ctx context.Context, user, session uuid.UUID, actor Actor) error {
	detail := make(map[string]any)
	if actor.Session != session {
		detail["from_session"] = actor.Session
	}
	e, err := s.event(actor, LoggedOut, user, detail)
	if err != nil {
		return err
	}
	e.Session = session
	return s.store.EndSession(ctx, e)
}

// EndSessions ends all sessions of a user. Its errors are ErrNotFound, for the user, and ErrUnavailable.
func (s *Service) EndSessions(ctx context.Context, user uuid.UUID, actor Actor) error {
	e, err := s.event(actor, LoggedOut, user, map[string]any{"everywhere": true})
	if err != nil {
		return err
	}
	return s.store.EndSessions(ctx, e)
}
