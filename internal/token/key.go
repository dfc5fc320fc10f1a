package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const minRSA = 2048 // bits; RFC 7518 §3.3

// Algorithms are those that NewKey makes keys for, the default first.
var Algorithms = []string{"EdDSA", "ES256", "RS256"}

// A key signs and checks tokens with one algorithm.
type key struct {
	id      string // the thumbprint of the public key (RFC 7638); empty for a secret
	method  jwt.SigningMethod
	private any
	public  any
	jwk     jwk
	path    string    // of its file
	others  bool      // can read it
	made    time.Time // orders keys by age
	since   time.Time // when it was published
}

// parseKey reads a private key in PEM: PKCS #8, or what openssl wrote before it, SEC 1 and PKCS #1.
func parseKey(text []byte) (*key, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) { // openssl may write parameters first
		for _, parse := range []func([]byte) (any, error){
			x509.ParsePKCS8PrivateKey,
			func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
			func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		} {
			if private, err := parse(block.Bytes); err == nil {
				return newKey(private)
			}
		}
	}
	return nil, errors.New("holds no private key in PEM, or an encrypted one")
}

func newKey(private any) (*key, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	switch private := private.(type) {
	case ed25519.PrivateKey:
		public := private.Public().(ed25519.PublicKey)
		return assemble(jwt.SigningMethodEdDSA, private, public, jwk{Kty: "OKP", Crv: "Ed25519", X: b64(public)})
	case *ecdsa.PrivateKey:
		point, err := private.PublicKey.Bytes() // 4, X, Y
		if err != nil || private.Curve != elliptic.P256() {
			return nil, errors.New("is an elliptic curve key, and not on P-256")
		}
		return assemble(es256{jwt.SigningMethodES256}, private, &private.PublicKey, jwk{Kty: "EC", Crv: "P-256", X: b64(point[1:33]), Y: b64(point[33:])})
	case *rsa.PrivateKey:
		if private.N.BitLen() < minRSA {
			return nil, fmt.Errorf("is an RSA key with less than %d bits", minRSA)
		}
		e := binary.BigEndian.AppendUint32(nil, uint32(private.E))
		for e[0] == 0 {
			e = e[1:]
		}
		return assemble(jwt.SigningMethodRS256, private, &private.PublicKey, jwk{Kty: "RSA", N: b64(private.N.Bytes()), E: b64(e)})
	}
	return nil, errors.New("is no Ed25519, P-256 or RSA key")
}

// A jwk is a public key (RFC 7517, RFC 7518 §6, RFC 8037 §2). With the required members alone, which are in
// the order of their names, it is what its thumbprint is the hash of (RFC 7638 §3.2).
type jwk struct {
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	E   string `json:"e,omitempty"`
	Kid string `json:"kid,omitempty"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	Use string `json:"use,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

func assemble(method jwt.SigningMethod, private, public any, j jwk) (*key, error) {
	required, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(required)
	j.Alg, j.Use, j.Kid = method.Alg(), "sig", base64.RawURLEncoding.EncodeToString(hash[:])
	return &key{id: j.Kid, method: method, private: private, public: public, jwk: j}, nil
}

// es256 signs as RFC 6979 has it: the same text gives the same signature.
type es256 struct{ *jwt.SigningMethodECDSA }

func (es256) Sign(text string, private any) ([]byte, error) {
	hash := sha256.Sum256([]byte(text))
	der, err := private.(*ecdsa.PrivateKey).Sign(nil, hash[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var s struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		return nil, err
	}
	raw := make([]byte, 64) // R and S (RFC 7518 §3.4)
	s.R.FillBytes(raw[:32])
	s.S.FillBytes(raw[32:])
	return raw, nil
}

// generate makes a private key for one of Algorithms.
func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 3072)
	}
	return nil, fmt.Errorf("token: no algorithm %s", algorithm)
}
