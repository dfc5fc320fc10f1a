package account

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

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
		"", text[:85], text + "A", text[:85] + "=", text[:85] + "_", " " + text[1:], text[:40] + "\n" + text[41:], text[:40] + "+" + text[41:],
		strings.Repeat("é", 43), base64.StdEncoding.EncodeToString(make([]byte, 64)),
	} {
		if _, ok := parseRefreshToken(wrong); ok && wrong != text {
			t.Errorf("parseRefreshToken took %q", wrong)
		}
	}
}

// TestSuccessor holds that a successor comes of the token and the stored seed together, and of neither alone.
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
		t.Errorf("successor %v of %v; want the session and family, and another secret", next, token)
	}
	salted, renamed := first, first
	salted.salt[31] ^= 1
	renamed.access[15] ^= 1
	forged := token
	forged.secret[0] ^= 1
	for what, got := range map[string]refreshToken{
		"salt": token.successor(salted), "access token": token.successor(renamed), "secret": forged.successor(first), "generation": next.successor(first),
	} {
		if got.secret == next.secret {
			t.Errorf("another %s has the same successor", what)
		}
	}
	for _, b := range [][]byte{nil, first.bytes()[:47], append(first.bytes(), 0)} {
		if _, err := parseSeed(b); err == nil {
			t.Errorf("parseSeed took %d bytes", len(b))
		}
	}
}

func TestTimesOfIdentifiers(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	id := uuid.Must(uuid.NewV7())
	if at := issuedAt(id); at.Before(before) || time.Since(at) > time.Minute || at.Location() != time.UTC {
		t.Errorf("issuedAt: %v; want %v, in UTC", at, before)
	}
	at := issuedAt(id)
	for _, tc := range []struct {
		p  EventPage
		in bool
	}{
		{EventPage{}, true},
		{EventPage{From: at, To: at.Add(time.Millisecond)}, true},
		{EventPage{From: at.Add(time.Millisecond)}, false},
		{EventPage{To: at}, false},
		{EventPage{Before: id}, false},
		{EventPage{Before: uuid.Max}, true},
		{EventPage{Before: uuid.Max, To: at}, false},
		{EventPage{From: time.Unix(-1, 0), To: time.Unix(0, 0)}, false},
		{EventPage{To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, true},
	} {
		low, high := tc.p.Bounds()
		if in := low.String() <= id.String() && id.String() < high.String(); in != tc.in {
			t.Errorf("%+v: from %s to %s has %s: %t; want %t", tc.p, low, high, id, in, tc.in)
		}
	}
}
