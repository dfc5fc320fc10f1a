// Package token owns access tokens, JSON Web Tokens (RFC 7519) that name the user and the session of a request, and
// the keys that sign them. It knows no user and no store, so that a token can be checked without either.
//
// The algorithm belongs to the key: a token's header only chooses one of the known keys, by its kid. A token that lacks
// any of the claims that Sign sets is refused. The same grant has the same token, byte for byte, with every algorithm,
// so that a refresh that is asked for twice has one answer.
package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/phone"
)

// ErrInvalid means that the token was not issued by this service, or has expired.
var ErrInvalid = errors.New("token: invalid")

const (
	minSecret = 32              // bytes; RFC 7518 §3.2 asks for a key as long as the hash
	maxToken  = 4 << 10         // bytes; issued tokens have less than 1 KiB
	leeway    = 5 * time.Second // for exp, between the clocks of two copies
	nbfLeeway = time.Minute     // for nbf; RFC 7519 §4.1.5 allows a few minutes
)

// Options are the inputs of NewIssuer.
type Options struct {
	// Secret is the key of HS256, at least 32 bytes. With a Folder it is optional, and signs until a key of the folder
	// has been published for the grace period.
	Secret []byte
	// Folder holds private keys in PEM files. Without one, Secret signs.
	Folder string
	// Grace is how long a new key of the folder is published before it signs.
	Grace time.Duration
	// Issuer and Audience are the claims iss and aud.
	Issuer, Audience string
	// TTL is how long a token is valid.
	TTL time.Duration
	// Phone adds the user's phone to each token.
	Phone bool
	Clock *clock.Clock // tells whether a token has expired; nil: that of this machine
	Log   *slog.Logger
}

// An Issuer makes and checks access tokens. It is safe for use by many goroutines.
type Issuer struct {
	options Options
	secret  *key // nil without one
	keys    atomic.Pointer[keyring]
	parser  *jwt.Parser
}

// NewIssuer returns an Issuer. It fails if the secret is too short, or if the folder cannot be read, holds a faulty
// file or holds no key.
func NewIssuer(o Options) (*Issuer, error) {
	i := &Issuer{
		options: o,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{"HS256", "EdDSA", "ES256", "RS256"}),
			jwt.WithLeeway(leeway),
			jwt.WithStrictDecoding(),
			jwt.WithIssuer(o.Issuer),
			jwt.WithAudience(o.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(o.Clock.Now),
		),
	}
	switch {
	case len(o.Secret) >= minSecret:
		i.secret = &key{method: jwt.SigningMethodHS256, private: o.Secret, public: o.Secret}
	case len(o.Secret) > 0 || o.Folder == "":
		return nil, fmt.Errorf("token: the secret is shorter than %d bytes", minSecret)
	}
	i.keys.Store(new(keyring))
	if o.Folder != "" {
		if err := i.reload(o.Clock.Now(), false); err != nil {
			return nil, err
		}
	}
	return i, nil
}

type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"` // OpenID Connect Front-Channel Logout 1.0 §3

	// The phone in E.164 form, and true beside it, because a code proved it (OpenID Connect Core 1.0 §5.1).
	Phone         string `json:"phone_number,omitempty"`
	PhoneVerified bool   `json:"phone_number_verified,omitempty"`
}

// UnmarshalJSON refuses a time in a string, which the library accepts: a time is a number (RFC 7519 §2).
func (c *claims) UnmarshalJSON(text []byte) error {
	var times struct{ Exp, Nbf, Iat *float64 }
	if err := json.Unmarshal(text, &times); err != nil {
		return err
	}
	type plain claims
	return json.Unmarshal(text, (*plain)(c))
}

// GetNotBefore returns the time from which the token is valid, earlier by what is missing to nbfLeeway.
func (c claims) GetNotBefore() (*jwt.NumericDate, error) {
	if c.NotBefore == nil {
		return nil, nil
	}
	return jwt.NewNumericDate(c.NotBefore.Add(leeway - nbfLeeway)), nil
}

// Sign returns a token for the user's session, with id as its jti and at as its time of issue, and how long it is valid
// from then on. The phone is in it if the options say so and the user has one.
func (i *Issuer) Sign(
	user uuid.UUID, p phone.Number, session, id uuid.UUID, at time.Time,
) (token string, ttl time.Duration, err error) {
	k := i.signing(at)
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    i.options.Issuer,
			Audience:  jwt.ClaimStrings{i.options.Audience},
			Subject:   user.String(),
			ID:        id.String(),
			IssuedAt:  jwt.NewNumericDate(at),
			ExpiresAt: jwt.NewNumericDate(at.Add(i.options.TTL)),
		},
		Session: session.String(),
	}
	if i.options.Phone && p != (phone.Number{}) {
		c.Phone, c.PhoneVerified = p.E164(), true
	}
	t := jwt.NewWithClaims(k.method, c)
	if k.id != "" {
		t.Header["kid"] = k.id
	}
	token, err = t.SignedString(k.private)
	if err != nil {
		return "", 0, fmt.Errorf("token: %w", err)
	}
	return token, i.options.TTL, nil
}

// Verify returns the user and the session of a valid token. Its only error is ErrInvalid. When a token says that it was
// issued (iat) does not matter, because the clock of the copy that issued it may be ahead of the one here.
func (i *Issuer) Verify(token string) (user, session uuid.UUID, err error) {
	if len(token) > maxToken {
		return uuid.Nil, uuid.Nil, ErrInvalid
	}
	var c claims
	if _, err := i.parser.ParseWithClaims(token, &c, i.public); err != nil {
		return uuid.Nil, uuid.Nil, ErrInvalid
	}
	user, userErr := uuid.Parse(c.Subject)
	session, sessionErr := uuid.Parse(c.Session)
	if userErr != nil || sessionErr != nil || c.ID == "" || c.IssuedAt == nil {
		return uuid.Nil, uuid.Nil, ErrInvalid
	}
	return user, session, nil
}

// signing returns the key for tokens that are issued at a time.
func (i *Issuer) signing(at time.Time) *key {
	keys := i.keys.Load()
	if k := keys.ready(at, i.options.Grace); k != nil {
		return k
	}
	if i.secret != nil {
		return i.secret
	}
	return keys.first()
}

// public returns the public key, or the secret, that the token must be signed with.
func (i *Issuer) public(t *jwt.Token) (any, error) {
	k := i.secret
	if id, named := t.Header["kid"]; named {
		id, _ := id.(string)
		k = i.keys.Load().byID(id)
	}
	if k == nil || k.method.Alg() != t.Method.Alg() {
		return nil, ErrInvalid
	}
	return k.public, nil
}
