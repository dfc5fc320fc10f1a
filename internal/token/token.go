// Package token owns access tokens: JSON Web Tokens (RFC 7519) that say which user and session a request
// belongs to. It knows no user and no store, so that a token can be checked without either.
//
// The algorithm is pinned: a token's own header never chooses it. Every claim that is issued is required.
package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// ErrInvalid means that the token is not one of ours, or is not valid any more.
var ErrInvalid = errors.New("token: invalid")

const (
	minSecret = 32              // bytes; RFC 7518 §3.2 asks for a key as long as the hash
	leeway    = 5 * time.Second // between the clocks of two copies
)

// Options are the inputs of NewIssuer.
type Options struct {
	Secret           []byte // at least 32 bytes
	Issuer, Audience string
	TTL              time.Duration
}

// An Issuer makes and checks access tokens. It is safe for use by many goroutines.
type Issuer struct {
	secret           []byte
	issuer, audience string
	ttl              time.Duration
	parser           *jwt.Parser
}

// NewIssuer gives an issuer of HS256 tokens.
func NewIssuer(o Options) (*Issuer, error) {
	if len(o.Secret) < minSecret {
		return nil, fmt.Errorf("token: the secret is shorter than %d bytes", minSecret)
	}
	return &Issuer{
		secret: o.Secret, issuer: o.Issuer, audience: o.Audience, ttl: o.TTL,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithLeeway(leeway), jwt.WithStrictDecoding(),
			jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		),
	}, nil
}

type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"` // OpenID Connect Front-Channel Logout 1.0 §3
}

// Sign gives a token for the user's session and how long it is valid.
func (i *Issuer) Sign(user, session uuid.UUID) (token string, ttl time.Duration, err error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", 0, fmt.Errorf("token: %w", err)
	}
	now := time.Now()
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: i.issuer, Audience: jwt.ClaimStrings{i.audience}, Subject: user.String(), ID: id.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(i.ttl)),
		},
		Session: session.String(),
	}).SignedString(i.secret)
	if err != nil {
		return "", 0, fmt.Errorf("token: %w", err)
	}
	return token, i.ttl, nil
}

// Verify gives the user and session of a valid token. Its only error is ErrInvalid.
func (i *Issuer) Verify(token string) (user, session uuid.UUID, err error) {
	var c claims
	if _, err := i.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return i.secret, nil }); err != nil {
		return uuid.Nil, uuid.Nil, ErrInvalid
	}
	user, userErr := uuid.Parse(c.Subject)
	session, sessionErr := uuid.Parse(c.Session)
	if userErr != nil || sessionErr != nil || c.ID == "" || c.IssuedAt == nil {
		return uuid.Nil, uuid.Nil, ErrInvalid
	}
	return user, session, nil
}
