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

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/phone"
)

// repeatWithin is how long a client that lost the answer, or asks twice, gets exactly the same answer again. After that
// it gets the same refresh token, and an access token that has not expired in the meantime.
const repeatWithin = 10 * time.Second

// A Rotation is one use of a refresh token. A Store knows tokens by their hashes alone.
type Rotation struct {
	Session    uuid.UUID
	FamilyHash []byte // Of the part that all tokens of the session share, so that a guess is not taken for a reuse.
	SpentHash  []byte // Of the token that is used.
	NextHash   []byte // Of its successor.
	Seed       []byte // The successor is derived from it and from the token.
	Client     Client
	IdleTTL    time.Duration // Life of the session if it is not refreshed again.
	Event      uuid.UUID     // The identifier of the event of a reuse.
}

// Reuse returns the event that the rotation causes if its token was spent before.
func (r Rotation) Reuse(user uuid.UUID) Event {
	return Event{
		ID:      r.Event,
		Action:  RefreshReused,
		User:    user,
		Session: r.Session,
		Actor:   System,
		Client:  r.Client,
		Detail:  "{}",
	}
}

// A Rotated is the result of a use of a refresh token whose successor was not used yet.
type Rotated struct {
	User  uuid.UUID
	Phone phone.Number  // The user's phone now; the zero Number if it has gone to another user.
	Seed  []byte        // Of the first use.
	Since time.Duration // From the first use to this one.
	TTL   time.Duration // From the first use to the latest end of the session.
}

// A refreshToken refreshes a session once. All tokens of a session share the family, which is never stored in the
// clear.
// Only a client that has held a token of the session can therefore present a spent one. The session's identifier alone,
// which is no secret, does not suffice to end it.
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

// String returns the token as the client holds it: 86 URL-safe characters.
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

// A seed is what one use of a token adds to it. The first use stores its seed, so that a repetition derives the same
// tokens. A reader of the database cannot derive a token, because the database holds none. A thief of a token cannot
// derive its successor, because the token holds no salt.
type seed struct {
	access uuid.UUID // of the access token, whose time is that of the identifier
	salt   [32]byte
}

func newSeed(c *clock.Clock) (s seed, err error) {
	if s.access, err = c.NewID(); err != nil {
		return seed{}, fmt.Errorf("account: new token: %w", err)
	}
	_, _ = rand.Read(s.salt[:]) // never fails
	return s, nil
}

func (s seed) bytes() []byte { return append(s.access[:], s.salt[:]...) }

func parseSeed(b []byte) (s seed, err error) {
	if len(b) != len(s.access)+len(s.salt) {
		return seed{}, errors.New("account: the stored seed of a session has another length")
	}
	n := copy(s.access[:], b)
	copy(s.salt[:], b[n:])
	return s, nil
}

// successor returns the token that replaces t in a use with the seed.
func (t refreshToken) successor(s seed) refreshToken {
	next := refreshToken{session: t.session, family: t.family}
	mac := hmac.New(sha256.New, t.secret[:])
	mac.Write(s.bytes())
	mac.Sum(next.secret[:0])
	return next
}

// Refresh exchanges a refresh token for an access token and the next refresh token, its successor. Until the successor
// is used, the same token returns the same successor again, so that a client that lost the answer or asked twice stays
// logged in, however late it asks again; within ten seconds the access token is the same, too. A use of a token whose
// successor was used ends the session. Its errors are ErrRefreshToken, ErrReused and ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, token string, c Client) (Tokens, error) {
	spent, ok := parseRefreshToken(token)
	if !ok {
		return Tokens{}, ErrRefreshToken
	}
	fresh, err := newSeed(s.clock)
	if err != nil {
		return Tokens{}, err
	}
	event, err := s.clock.NewID()
	if err != nil {
		return Tokens{}, fmt.Errorf("account: new event: %w", err)
	}
	rotated, err := s.store.Refresh(ctx, Rotation{
		Session:    spent.session,
		FamilyHash: spent.familyHash(),
		SpentHash:  spent.hash(),
		NextHash:   spent.successor(fresh).hash(),
		Seed:       fresh.bytes(),
		Client:     c,
		IdleTTL:    idleTTL,
		Event:      event,
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return Tokens{}, ErrRefreshToken
	case errors.Is(err, ErrReused):
		s.log.WarnContext(ctx, "session ended: its spent refresh token was used again",
			"session", spent.session, "client", c.IP)
		return Tokens{}, err
	case err != nil:
		return Tokens{}, err
	}
	first, err := parseSeed(rotated.Seed)
	if err != nil {
		return Tokens{}, err
	}
	access, ttl := first.access, rotated.TTL
	if rotated.Since >= repeatWithin {
		access, ttl = fresh.access, rotated.TTL-rotated.Since
	}
	return s.tokens(rotated.User, rotated.Phone, access, spent.successor(first), ttl)
}

// tokens signs the access token with the identifier access, and returns it with the refresh token, which lasts for ttl.
func (s *Service) tokens(
	user uuid.UUID, p phone.Number, access uuid.UUID, refresh refreshToken, ttl time.Duration,
) (Tokens, error) {
	signed, accessTTL, err := s.signer.Sign(user, p, refresh.session, access, issuedAt(access))
	if err != nil {
		return Tokens{}, fmt.Errorf("account: %w", err)
	}
	return Tokens{Access: signed, AccessTTL: accessTTL, Refresh: refresh.String(), RefreshTTL: ttl}, nil
}
