package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	// idleTTL is the life of a session that is not refreshed.
	idleTTL = 14 * 24 * time.Hour
	// repeatWithin is how long a client that lost the answer, or asks twice, gets the same answer again.
	repeatWithin = 10 * time.Second
)

// A refreshToken is what a client refreshes its session with, once. Its family is the same in all tokens of
// a session and never stored in clear: only who has held one of them can present a spent one, and
// who merely knows a session's identifier cannot end it.
type refreshToken struct {
	session uuid.UUID
	family  [16]byte
	secret  [32]byte
}

func newRefreshToken(session uuid.UUID) refreshToken {
	t := refreshToken{session: session}
	_, _ = rand.Read(t.family[:]) // never fails
	_, _ = rand.Read(t.secret[:])
	return t
}

// String is the token as the client holds it: 86 URL-safe characters.
func (t refreshToken) String() string {
	return base64.RawURLEncoding.EncodeToString(append(append(t.session[:], t.family[:]...), t.secret[:]...))
}

func parseRefreshToken(text string) (t refreshToken, ok bool) {
	const size = len(t.session) + len(t.family) + len(t.secret)
	if len(text) != base64.RawURLEncoding.EncodedLen(size) {
		return refreshToken{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return refreshToken{}, false
	}
	n := copy(t.session[:], b)
	n += copy(t.family[:], b[n:])
	copy(t.secret[:], b[n:])
	return t, true
}

func (t refreshToken) familyHash() []byte { h := sha256.Sum256(t.family[:]); return h[:] }
func (t refreshToken) hash() []byte       { h := sha256.Sum256(t.secret[:]); return h[:] }

// A seed is what one use of a token adds to it: the identifier of the access token that it gives, whose
// time is that token's, and a salt. The first use stores its seed, and whoever repeats the use derives the
// same tokens. The database alone gives none of them away, for it has no token, and a token alone
// does not lead to its successor, for it has no salt.
type seed struct {
	access uuid.UUID
	salt   [32]byte
}

func newSeed() (s seed, err error) {
	if s.access, err = uuid.NewV7(); err != nil {
		return seed{}, fmt.Errorf("account: new token: %w", err)
	}
	_, _ = rand.Read(s.salt[:]) // never fails
	return s, nil
}

func (s seed) bytes() []byte { return append(s.access[:], s.salt[:]...) }

func parseSeed(b []byte) (s seed, err error) {
	if len(b) != len(s.access)+len(s.salt) {
		return seed{}, errors.New("account: the stored seed of a session is not whole")
	}
	n := copy(s.access[:], b)
	copy(s.salt[:], b[n:])
	return s, nil
}

// successor is the token that t is spent for.
func (t refreshToken) successor(s seed) refreshToken {
	next := refreshToken{session: t.session, family: t.family}
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write(s.bytes())
	mac.Sum(next.secret[:0])
	return next
}

// Reuse is the event that the rotation leaves if its token was spent before.
func (r Rotation) Reuse(user uuid.UUID) Event {
	return Event{ID: r.Event, Action: RefreshReused, User: user, Session: r.Session, Actor: System, Client: r.Client, Detail: "{}"}
}

// Refresh spends a refresh token for an access token and the next refresh token. Spent again within ten
// seconds, it gives the very same two again, so that a client that lost the answer or asked twice stays
// logged in; later, it ends the session. Its errors are ErrRefreshToken, ErrReused and ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, token string, c Client) (Tokens, error) {
	spent, ok := parseRefreshToken(token)
	if !ok {
		return Tokens{}, ErrRefreshToken
	}
	fresh, err := newSeed()
	if err != nil {
		return Tokens{}, err
	}
	event, err := uuid.NewV7()
	if err != nil {
		return Tokens{}, fmt.Errorf("account: new event: %w", err)
	}
	rotated, err := s.store.Refresh(ctx, Rotation{
		Session: spent.session, FamilyHash: spent.familyHash(), SpentHash: spent.hash(),
		NextHash: spent.successor(fresh).hash(), Seed: fresh.bytes(), Client: c,
		IdleTTL: idleTTL, RepeatWithin: repeatWithin, Event: event,
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return Tokens{}, ErrRefreshToken
	case errors.Is(err, ErrReused):
		s.log.WarnContext(ctx, "session ended: its spent refresh token was used again", "session", spent.session, "client", c.IP)
		return Tokens{}, err
	case err != nil:
		return Tokens{}, err
	}
	first, err := parseSeed(rotated.Seed)
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(rotated.User, first.access, spent.successor(first), rotated.TTL)
}

// tokens are the two tokens of a session.
func (s *Service) tokens(user, access uuid.UUID, refresh refreshToken, ttl time.Duration) (Tokens, error) {
	signed, accessTTL, err := s.signer.Sign(user, refresh.session, access, issuedAt(access))
	if err != nil {
		return Tokens{}, fmt.Errorf("account: %w", err)
	}
	return Tokens{Access: signed, AccessTTL: accessTTL, Refresh: refresh.String(), RefreshTTL: ttl}, nil
}
