package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// A Signer makes access tokens.
type Signer interface {
	Sign(user, session uuid.UUID) (token string, ttl time.Duration, err error)
}

// Options are the inputs of New.
type Options struct {
	Store        Store
	Signer       Signer
	RefreshTTL   time.Duration // life of a session
	SignupLogsIn bool          // false: a new user gets no tokens
}

// A Service logs users in. It is safe for use by many goroutines.
type Service struct {
	store        Store
	signer       Signer
	refreshTTL   time.Duration
	signupLogsIn bool
}

// New gives a service.
func New(o Options) *Service {
	return &Service{store: o.Store, signer: o.Signer, refreshTTL: o.RefreshTTL, signupLogsIn: o.SignupLogsIn}
}

// Tokens are what a session is used with.
type Tokens struct {
	Access     string
	AccessTTL  time.Duration
	Refresh    string
	RefreshTTL time.Duration
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
	session, err := uuid.NewV7()
	if err != nil {
		return Login{}, fmt.Errorf("account: new session: %w", err)
	}
	newUser, err := uuid.NewV7()
	if err != nil {
		return Login{}, fmt.Errorf("account: new user: %w", err)
	}
	refresh, hash := newRefreshToken(session)
	user, err := s.store.Login(ctx, NewSession{
		ID: session, Challenge: challenge, Phone: p, UserID: newUser,
		RefreshHash: hash, Client: c, TTL: s.refreshTTL, LogsIn: s.signupLogsIn,
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
	access, ttl, err := s.signer.Sign(user.ID, session)
	if err != nil {
		return Login{}, fmt.Errorf("account: %w", err)
	}
	login.Tokens = &Tokens{Access: access, AccessTTL: ttl, Refresh: refresh, RefreshTTL: s.refreshTTL}
	return login, nil
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
	if len(users) > limit {
		return users[:limit], true, err
	}
	return users, false, err
}

// newRefreshToken gives a token of 64 URL-safe characters, which are the session's identifier and 32
// random bytes, and the digest that the store keeps of those bytes.
func newRefreshToken(session uuid.UUID) (token string, hash []byte) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	sum := sha256.Sum256(secret)
	return base64.RawURLEncoding.EncodeToString(append(session[:], secret...)), sum[:]
}
