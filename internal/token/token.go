// Package token owns access tokens: JSON Web Tokens (RFC 7519) that say which user and session a request
// belongs to, and the keys that sign them. It knows no user and no store, so that a token can be checked
// without either.
//
// The algorithm is pinned to the key: a token's own header chooses among the keys that are there, by kid, and
// nothing else. Every claim that is issued is required. The same grant gives the same token, byte
// for byte, whatever the algorithm, so that a refresh that is asked for twice has one answer.
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
)

// ErrInvalid means that the token is not one of ours, or is not valid any more.
var ErrInvalid = errors.New("token: invalid")

const (
	minSecret = 32              // bytes; RFC 7518 §3.2 asks for a key as long as the hash
	maxToken  = 4 << 10         // bytes; ours have less than 1 KiB
	leeway    = 5 * time.Second // between the clocks of two copies
)

// Options are the inputs of NewIssuer.
type Options struct {
	Secret           []byte        // of HS256, at least 32 bytes; beside Folder it signs until a key of that may
	Folder           string        // of PEM files with private keys; empty: Secret signs
	Grace            time.Duration // how long a new key of the folder is published before it signs
	Issuer, Audience string
	TTL              time.Duration
	Log              *slog.Logger
}

// An Issuer makes and checks access tokens. It is safe for use by many goroutines.
type Issuer struct {
	options Options
	secret  *key // nil: there is none
	keys    atomic.Pointer[keyring]
	parser  *jwt.Parser
}

// NewIssuer gives an issuer that signs with the newest key of the folder, or with the secret.
func NewIssuer(o Options) (*Issuer, error) {
	i := &Issuer{options: o, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"HS256", "EdDSA", "ES256", "RS256"}), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
		jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
	)}
	switch {
	case len(o.Secret) >= minSecret:
		i.secret = &key{method: jwt.SigningMethodHS256, private: o.Secret, public: o.Secret}
	case len(o.Secret) > 0 || o.Folder == "":
		return nil, fmt.Errorf("token: the secret is shorter than %d bytes", minSecret)
	}
	i.keys.Store(new(keyring))
	if o.Folder != "" {
		if err := i.reload(time.Now(), false); err != nil {
			return nil, err
		}
	}
	return i, nil
}

type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"` // OpenID Connect Front-Channel Logout 1.0 §3
}

// UnmarshalJSON refuses a time that is no number (RFC 7519 §2), which the library reads out of a string.
func (c *claims) UnmarshalJSON(text []byte) error {
	var times struct{ Exp, Nbf, Iat *float64 }
	if err := json.Unmarshal(text, &times); err != nil {
		return err
	}
	type plain claims
	return json.Unmarshal(text, (*plain)(c))
}

// Sign gives a token with the identifier for the user's session, issued at a time, and how long it is
// valid from then.
func (i *Issuer) Sign(user, session, id uuid.UUID, at time.Time) (token string, ttl time.Duration, err error) {
	k := i.signing(at)
	t := jwt.NewWithClaims(k.method, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: i.options.Issuer, Audience: jwt.ClaimStrings{i.options.Audience}, Subject: user.String(), ID: id.String(),
			IssuedAt: jwt.NewNumericDate(at), ExpiresAt: jwt.NewNumericDate(at.Add(i.options.TTL)),
		},
		Session: session.String(),
	})
	if k.id != "" {
		t.Header["kid"] = k.id
	}
	token, err = t.SignedString(k.private)
	if err != nil {
		return "", 0, fmt.Errorf("token: %w", err)
	}
	return token, i.options.TTL, nil
}

// Verify gives the user and session of a valid token. Its only error is ErrInvalid.
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

// signing is the key that signs what is issued at a time.
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

// public gives the key that the token has to be signed with.
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
