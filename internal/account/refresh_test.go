package account

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/uuid"
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
	first, err := newSeed()
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
