package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"testing"
)

// TestThumbprints checks the identifiers of keys against the examples of the standards, since tokens that were signed
// by an earlier version name their keys by them.
func TestThumbprints(t *testing.T) {
	decode := func(text string) []byte {
		t.Helper()
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	modulus := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc" +
		"_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ" +
		"R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF" +
		"TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	p256, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), decode("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		private any
		want    string
	}{
		"RSA, RFC 7638 §3.1": {
			&rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(decode(modulus)), E: 65537}},
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		},
		"Ed25519, RFC 8037 §A.3": {
			ed25519.NewKeyFromSeed(decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")),
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
		},
		"P-256, the key of RFC 7517 §A.2": {p256, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"},
	} {
		k, err := newKey(c.private)
		if err != nil || k.id != c.want {
			t.Errorf("%s: %+v, %v; want the identifier %s", name, k, err, c.want)
		}
	}
}
