package account

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// A Signer makes access tokens. The same inputs give the same token.
type Signer interface {
	Sign(user, session, id uuid.UUID, at time.Time) (token string, ttl time.Duration, err error)
}

// Options are the inputs of New.
type Options struct {
	Store        Store
	Signer       Signer
	Log          *slog.Logger
	RefreshTTL   time.Duration // life of a session, however often it is refreshed
	SignupLogsIn bool          // false: a new user gets no tokens
	DormantAfter time.Duration // a user unseen for that long loses the phone to a new one; 0 = never
	AuditTTL     time.Duration // life of an event
}

// A Service logs users in, keeps them logged in and lets go of them. It is safe for use by many goroutines.
type Service struct {
	store        Store
	signer       Signer
	log          *slog.Logger
	refreshTTL   time.Duration
	signupLogsIn bool
	dormantAfter time.Duration
	auditTTL     time.Duration
}

// New gives a service.
func New(o Options) *Service {
	return &Service{
		store: o.Store, signer: o.Signer, log: o.Log, refreshTTL: o.RefreshTTL,
		signupLogsIn: o.SignupLogsIn, dormantAfter: o.DormantAfter, auditTTL: o.AuditTTL,
	}
}

// Tokens are what a session is used with.
type Tokens struct {
	Access     string
	AccessTTL  time.Duration
	Refresh    string
	RefreshTTL time.Duration // to the latest end of the session
}

// A Login is what became of a right code.
type Login struct {
	User   User
	New    bool
	Tokens *Tokens // nil for a new user where signing up does not log in
}

// Login logs the phone's user in for a challenge that was answered right, and makes the user if there is
// none. The errors are ErrSpent and ErrUnavailable, which leave nothing behind, and ErrBanned, after which
// the challenge is spent.
func (s *Service) Login(ctx context.Context, p phone.Number, challenge uuid.UUID, c Client) (Login, error) {
	claim, err := s.claim(p)
	if err != nil {
		return Login{}, err
	}
	var session, newUser, access, event uuid.UUID
	for _, id := range []*uuid.UUID{&session, &newUser, &access, &event} {
		if *id, err = uuid.NewV7(); err != nil {
			return Login{}, fmt.Errorf("account: new login: %w", err)
		}
	}
	refresh := newRefreshToken(session)
	user, err := s.store.Login(ctx, NewSession{
		Claim: claim,
		ID:    session, Challenge: challenge, UserID: newUser,
		FamilyHash: refresh.familyHash(), RefreshHash: refresh.hash(), Client: c,
		TTL: s.refreshTTL, IdleTTL: idleTTL, LogsIn: s.signupLogsIn, Event: event,
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
	tokens, err := s.tokens(user.ID, access, refresh, s.refreshTTL)
	if err != nil {
		return Login{}, err
	}
	login.Tokens = &tokens
	return login, nil
}

// claim is the claim of a person to a phone, with an identifier for its event where it may leave one.
func (s *Service) claim(p phone.Number) (c Claim, err error) {
	c = Claim{Phone: p, DormantAfter: s.dormantAfter}
	if c.DormantAfter > 0 {
		if c.LossEvent, err = uuid.NewV7(); err != nil {
			return Claim{}, fmt.Errorf("account: new event: %w", err)
		}
	}
	return c, nil
}

// ByID gives a user. Its errors are ErrNotFound and ErrUnavailable.
func (s *Service) ByID(ctx context.Context, id uuid.UUID) (User, error) { return s.store.ByID(ctx, id) }

// BySession gives the user of a live session. Its errors are ErrNotFound, ErrBanned and ErrUnavailable.
func (s *Service) BySession(ctx context.Context, user, session uuid.UUID) (User, error) {
	u, err := s.store.BySession(ctx, user, session)
	if err == nil && !u.BannedAt.IsZero() {
		return User{}, ErrBanned
	}
	return u, err
}

// List gives a page of users and whether older ones follow. Its error is ErrUnavailable.
func (s *Service) List(ctx context.Context, p Page) (users []User, more bool, err error) {
	limit := p.Limit
	p.Limit++
	users, err = s.store.List(ctx, p)
	users, more = cut(users, limit)
	return users, more, err
}

// cut leaves what a page may have, and tells whether there was more.
func cut[T any](found []T, limit int) (page []T, more bool) {
	return found[:min(len(found), limit)], len(found) > limit
}

// maxSessions is how many sessions are shown. They are the last used ones, among which the present one is.
const maxSessions = 100

// Sessions gives the live sessions of a user, the last used first and at most a hundred. Its error is
// ErrUnavailable.
func (s *Service) Sessions(ctx context.Context, user uuid.UUID) ([]Session, error) {
	return s.store.Sessions(ctx, user, maxSessions)
}

// EndSession ends a live session of a user. Its errors are ErrNotFound and ErrUnavailable.
func (s *Service) EndSession(ctx context.Context, user, session uuid.UUID, by Actor) error {
	detail := make(map[string]any)
	if by.Session != session {
		detail["from_session"] = by.Session
	}
	e, err := by.event(LoggedOut, user, detail)
	if err != nil {
		return err
	}
	e.Session = session
	return s.store.EndSession(ctx, e)
}

// EndSessions ends all sessions of a user. Its errors are ErrNotFound, for the user, and ErrUnavailable.
func (s *Service) EndSessions(ctx context.Context, user uuid.UUID, by Actor) error {
	e, err := by.event(LoggedOut, user, map[string]any{"everywhere": true})
	if err != nil {
		return err
	}
	return s.store.EndSessions(ctx, e)
}

// SetBanned bans a user, which ends all sessions, or lifts the ban. Its errors are ErrNotFound and
// ErrUnavailable.
func (s *Service) SetBanned(ctx context.Context, user uuid.UUID, banned bool, by Actor) (User, error) {
	action := Unbanned
	if banned {
		action = Banned
	}
	e, err := by.event(action, user, map[string]any{})
	if err != nil {
		return User{}, err
	}
	return s.store.SetBanned(ctx, banned, e)
}

// ChangePhone gives a user a number that the user has proved to hold, and ends all sessions but the one
// that by is in. Its errors are ErrTaken, ErrNotFound, for that session, and ErrUnavailable.
func (s *Service) ChangePhone(ctx context.Context, user uuid.UUID, p phone.Number, by Actor) (User, error) {
	claim, err := s.claim(p)
	if err != nil {
		return User{}, err
	}
	e, err := by.event(PhoneChanged, user, map[string]any{})
	if err != nil {
		return User{}, err
	}
	return s.store.ChangePhone(ctx, claim, e)
}

// Delete removes a user with all sessions. Its errors are ErrNotFound, also for the session that by is in,
// and ErrUnavailable.
func (s *Service) Delete(ctx context.Context, user uuid.UUID, by Actor) error {
	e, err := by.event(Deleted, user, map[string]any{})
	if err != nil {
		return err
	}
	return s.store.Delete(ctx, e)
}
