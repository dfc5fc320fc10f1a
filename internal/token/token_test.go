package token

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

var (
	secret  = []byte("0123456789abcdef0123456789abcdef")
	user    = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	session = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8058")
)

func newIssuer(t testing.TB, change func(*Options)) *Issuer {
	t.Helper()
	o := Options{Secret: secret, Issuer: "issuer", Audience: "audience", TTL: 15 * time.Minute}
	if change != nil {
		change(&o)
	}
	i, err := NewIssuer(o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func sign(t testing.TB, i *Issuer) string {
	t.Helper()
	token, ttl, err := i.Sign(user, session)
	if err != nil || ttl != 15*time.Minute {
		t.Fatalf("Sign: %v, %v; want 15m", ttl, err)
	}
	return token
}

func TestSignAndVerify(t *testing.T) {
	i := newIssuer(t, nil)
	gotUser, gotSession, err := i.Verify(sign(t, i))
	if gotUser != user || gotSession != session || err != nil {
		t.Errorf("Verify: %v, %v, %v; want %v, %v", gotUser, gotSession, err, user, session)
	}
	if first, second := sign(t, i), sign(t, i); first == second {
		t.Error("two tokens are the same; want a jti of its own in each")
	}
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer(t, nil)
		token := sign(t, i)
		time.Sleep(15*time.Minute + leeway - time.Second)
		if _, _, err := i.Verify(token); err != nil {
			t.Errorf("within the leeway: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, _, err := i.Verify(token); !errors.Is(err, ErrInvalid) {
			t.Errorf("after it: %v; want ErrInvalid", err)
		}
	})
}

func TestVerifyRefuses(t *testing.T) {
	i := newIssuer(t, nil)
	valid := jwt.MapClaims{
		"iss": "issuer", "aud": "audience", "sub": user.String(), "sid": session.String(), "jti": "id",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
	with := func(name string, value any) string {
		c := maps.Clone(valid)
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
		return signed(t, jwt.SigningMethodHS256, c, secret)
	}
	if _, _, err := i.Verify(with("aud", "audience")); err != nil {
		t.Fatalf("the table's own token: %v", err)
	}
	_, private, _ := ed25519.GenerateKey(nil)
	whole := sign(t, i)
	parts := strings.Split(whole, ".")
	for name, token := range map[string]string{
		"empty":              "",
		"no token":           "a.b.c",
		"no iss":             with("iss", nil),
		"other iss":          with("iss", "other"),
		"no aud":             with("aud", nil),
		"other aud":          with("aud", "other"),
		"no sub":             with("sub", nil),
		"sub no identifier":  with("sub", "admin"),
		"no exp":             with("exp", nil),
		"expired":            with("exp", time.Now().Add(-time.Minute).Unix()),
		"exp no number":      with("exp", "tomorrow"),
		"no iat":             with("iat", nil),
		"issued in future":   with("iat", time.Now().Add(time.Minute).Unix()),
		"not before future":  with("nbf", time.Now().Add(time.Minute).Unix()),
		"no jti":             with("jti", nil),
		"no sid":             with("sid", nil),
		"other secret":       sign(t, newIssuer(t, func(o *Options) { o.Secret = []byte(strings.Repeat("x", 32)) })),
		"alg none":           signed(t, jwt.SigningMethodNone, valid, jwt.UnsafeAllowNoneSignatureType),
		"alg HS512":          signed(t, jwt.SigningMethodHS512, valid, secret),
		"alg EdDSA":          signed(t, jwt.SigningMethodEdDSA, valid, crypto.PrivateKey(private)),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"changed payload":    parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x"}`)) + "." + parts[2],
		"padded":             whole + "=",
		"with bytes after":   whole + ".x",
		"of another service": sign(t, newIssuer(t, func(o *Options) { o.Issuer = "other" })),
	} {
		if _, _, err := i.Verify(token); !errors.Is(err, ErrInvalid) {
			t.Errorf("Verify of a token %s: %v; want ErrInvalid", name, err)
		}
	}
}

func signed(t testing.TB, m jwt.SigningMethod, c jwt.MapClaims, key any) string {
	t.Helper()
	token, err := jwt.NewWithClaims(m, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestShortSecret(t *testing.T) {
	if _, err := NewIssuer(Options{Secret: secret[:31]}); err == nil {
		t.Error("NewIssuer took a secret of 31 bytes")
	}
}

func BenchmarkSign(b *testing.B) {
	i := newIssuer(b, nil)
	for b.Loop() {
		sign(b, i)
	}
}

func BenchmarkVerify(b *testing.B) {
	i := newIssuer(b, nil)
	token := sign(b, i)
	for b.Loop() {
		if _, _, err := i.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
