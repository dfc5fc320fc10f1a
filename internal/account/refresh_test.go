package account

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

func TestRefreshToken(t *testing.T) {
	session := uuid.Must(uuid.NewV7())
	token, other := newRefreshToken(session), newRefreshToken(session)
	text := token.String()
	if got, ok := parseRefreshToken(text); !ok || got != token || len(text) != 86 {
		t.Errorf("parseRefreshToken(%s): %v, %t; want the token, of 86 characters", text, got, ok)
	}
	if token.secret == other.secret || token.family == other.family {
		t.Error("two tokens have the same secrets")
	}
	for _, wrong := range []string{
		"",
		text[:85],
		text + "A",
		text[:85] + "=",
		text[:85] + "_",
		" " + text[1:],
		text[:40] + "\n" + text[41:],
		text[:40] + "+" + text[41:],
		strings.Repeat("é", 43),
		base64.StdEncoding.EncodeToString(make([]byte, 64)),
	} {
		if _, ok := parseRefreshToken(wrong); ok && wrong != text {
			t.Errorf("parseRefreshToken accepted %q", wrong)
		}
	}
}

// TestSuccessor checks that a successor depends on both the token and the stored seed.
func TestSuccessor(t *testing.T) {
	token := newRefreshToken(uuid.Must(uuid.NewV7()))
	first, err := newSeed(nil)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := parseSeed(first.bytes())
	if err != nil || stored != first {
		t.Fatalf("parseSeed: %v, %v; want %v", stored, err, first)
	}
	next := token.successor(first)
	if token.successor(stored) != next {
		t.Error("the same use has two successors")
	}
	if next.session != token.session || next.family != token.family || next.secret == token.secret {
		t.Errorf("successor %v of %v; want the same session and family, and another secret", next, token)
	}
	salted, renamed := first, first
	salted.salt[31] ^= 1
	renamed.access[15] ^= 1
	forged := token
	forged.secret[0] ^= 1
	for what, got := range map[string]refreshToken{
		"salt":         token.successor(salted),
		"access token": token.successor(renamed),
		"secret":       forged.successor(first),
		"generation":   next.successor(first),
	} {
		if got.secret == next.secret {
			t.Errorf("with another %s the successor is the same", what)
		}
	}
	for _, b := range [][]byte{nil, first.bytes()[:47], append(first.bytes(), 0)} {
		if _, err := parseSeed(b); err == nil {
			t.Errorf("parseSeed accepted %d bytes", len(b))
		}
	}
}

// A repeatedStore returns the first result of Refresh again, as if the first use had been since ago.
type repeatedStore struct {
	Store
	first *Rotated
	since time.Duration
}

func (s *repeatedStore) Refresh(_ context.Context, r Rotation) (Rotated, error) {
	if s.first == nil {
		s.first = &Rotated{Seed: r.Seed, TTL: 10 * time.Hour}
	}
	again := *s.first
	again.Since = s.since
	return again, nil
}

// An openSigner returns the identifier and the time of an access token as its text.
type openSigner struct{}

func (openSigner) Sign(
	_ uuid.UUID, _ phone.Number, _, id uuid.UUID, at time.Time,
) (token string, ttl time.Duration, err error) {
	return id.String() + " " + at.String(), time.Minute, nil
}

// TestRefreshRepeated checks that a repetition returns the same refresh token however late it is, and the same access
// token only as long as that one is young.
func TestRefreshRepeated(t *testing.T) {
	store := new(repeatedStore)
	s := New(Options{Store: store, Signer: openSigner{}})
	token := newRefreshToken(uuid.Must(uuid.NewV7())).String()
	first, err := s.Refresh(t.Context(), token, Client{})
	if err != nil {
		t.Fatal(err)
	}
	for since, same := range map[time.Duration]bool{
		time.Millisecond:              true,
		repeatWithin - 1:              true,
		repeatWithin:                  false,
		time.Hour:                     false,
		10*time.Hour - 30*time.Second: false,
	} {
		store.since = since
		again, err := s.Refresh(t.Context(), token, Client{})
		if err != nil || again.Refresh != first.Refresh {
			t.Errorf("after %v: %v, %v; want the refresh token of %v", since, again, err, first)
		}
		if same && again != first {
			t.Errorf("after %v: %v; want %v again", since, again, first)
		}
		if !same && (again.Access == first.Access || again.RefreshTTL != first.RefreshTTL-since) {
			t.Errorf("after %v: %v; want a new access token and what is left of the session", since, again)
		}
	}
}
