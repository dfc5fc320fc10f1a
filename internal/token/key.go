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
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const minRSA = 2048 // bits; RFC 7518 §3.3

// Algorithms are the names of the algorithms that NewKey makes keys for, the default first.
var Algorithms = []string{"EdDSA", "ES256", "RS256"}

// A key signs and checks tokens with one algorithm.
type key struct {
	id            string // the thumbprint of the public key (RFC 7638); empty for a secret
	method        jwt.SigningMethod
	private       any
	public        any
	path          string // of its file
	worldReadable bool
	made          time.Time // orders keys by age
	since         time.Time // when it was published
}

// parseKey reads a private key in PEM, in any form that openssl writes: PKCS #8, SEC 1 or PKCS #1. The block of the
// key may follow a block of parameters.
func parseKey(text []byte) (*key, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
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
	return nil, errors.New("does not hold an unencrypted private key in PEM")
}

// newKey accepts an Ed25519 key, an elliptic curve key on P-256, and an RSA key of at least 2,048 bits.
func newKey(private any) (*key, error) {
	k := &key{private: private}
	switch private := private.(type) {
	case ed25519.PrivateKey:
		k.method, k.public = jwt.SigningMethodEdDSA, private.Public()
	case *ecdsa.PrivateKey:
		if private.Curve != elliptic.P256() {
			return nil, errors.New("is an elliptic curve key, and not on P-256")
		}
		k.method, k.public = es256{jwt.SigningMethodES256}, &private.PublicKey
	case *rsa.PrivateKey:
		if private.N.BitLen() < minRSA {
			return nil, fmt.Errorf("is an RSA key with less than %d bits", minRSA)
		}
		k.method, k.public = jwt.SigningMethodRS256, &private.PublicKey
	default:
		return nil, errors.New("is no Ed25519, P-256 or RSA key")
	}
	thumbprint, err := (&jose.JSONWebKey{Key: k.public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	k.id = base64.RawURLEncoding.EncodeToString(thumbprint)
	return k, nil
}

// jwk returns the public key as it is published.
func (k *key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.public, KeyID: k.id, Algorithm: k.method.Alg(), Use: "sig"}
}

// es256 signs without randomness (RFC 6979), so that the same text has the same signature.
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

// encodeNew makes a private key, and returns its identifier and its PEM file.
func encodeNew(algorithm string) (id string, text []byte, err error) {
	private, err := generate(algorithm)
	if err != nil {
		return "", nil, err
	}
	k, err := newKey(private)
	if err != nil {
		return "", nil, fmt.Errorf("token: the new key %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", nil, fmt.Errorf("token: %w", err)
	}
	return k.id, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
