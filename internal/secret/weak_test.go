package secret

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestKnown checks that every known secret can be found: it is compared in lower case, and only with secrets of at
// least 32 bytes.
func TestKnown(t *testing.T) {
	for _, k := range known {
		if k != strings.ToLower(k) || len(k) < 32 {
			t.Errorf("%s is never compared", k)
		}
		if !IsKnown(k) || !IsKnown(strings.ToUpper(k)) {
			t.Errorf("IsKnown(%s) = false; want true in either case", k)
		}
	}
}

func TestWeakness(t *testing.T) {
	weak := []string{
		"short", "an-otp-secret-of-more-than-32-bytes", "correct horse battery staple and more",
		"MySuperSecretPassword1234567890!!", "this.is.the.key.of.our.service.2026",
		"abababababababababababababababab", "ghijklmnopqrstuvwxyzGHIJKLMNOPQRS",
		"abcdefghijklmnopqrstuvwxyzABCDEFGH", "0123456789abcdefghijklmnopqrstuvwxyz",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "change-me-0f83jf02jf92jf92hf92hf92h3f",
		"dekamond-otp-2026-production-secret-1",
	}
	for _, s := range weak {
		if Weakness(New(s)) == "" {
			t.Errorf("Weakness(%q) is empty; want a reason", s)
		}
	}
	for range 500 {
		b := make([]byte, 48)
		_, _ = rand.Read(b)
		for _, s := range []string{
			base64.StdEncoding.EncodeToString(b),
			base64.URLEncoding.EncodeToString(b),
			hex.EncodeToString(b[:32]),
			hex.EncodeToString(b[:16]),
			rand.Text() + rand.Text(),
			"whsec_" + base64.StdEncoding.EncodeToString(b[:24]),
			"sk-admin-" + hex.EncodeToString(b[:20]),
			fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16]),
		} {
			if why := Weakness(New(s)); why != "" {
				t.Fatalf("Weakness(%q) = %q; want no reason for a random secret", s, why)
			}
		}
	}
}
