package otp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"net/netip"
	"sync"

	"dekamond-otp/internal/phone"
)

// keys are the independent keys that are derived from the one secret (RFC 5869).
type keys struct {
	phones, addresses, codes, digests *macs
	letters, tickets, devices         cipher.AEAD
}

func deriveKeys(secret []byte) keys {
	derive := func(use string) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "dekamond-otp "+use, sha256.Size)
		if err != nil { // only for a key that is longer than 255 hashes
			panic(err)
		}
		return key
	}
	sealer := func(use string) cipher.AEAD {
		block, err := aes.NewCipher(derive(use))
		if err != nil { // only for a key of another length
			panic(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil { // only for another cipher
			panic(err)
		}
		return aead
	}
	return keys{
		phones:    newMACs(derive("phone")),
		addresses: newMACs(derive("address")),
		codes:     newMACs(derive("code")),
		digests:   newMACs(derive("digest")),
		letters:   sealer("letter"),
		tickets:   sealer("ticket"),
		devices:   sealer("device"),
	}
}

// code derives the challenge's code. Each 8 bytes of the MAC are one draw. The highest draws, beyond the last whole
// range of codes, are discarded, so that every code is equally likely.
func (k *keys) code(id ChallengeID, p phone.Number, length int) string {
	codes := uint64(math.Pow10(length))
	limit := math.MaxUint64 - math.MaxUint64%codes
	for round := byte(0); ; round++ {
		for draws := k.codes.of(id[:], []byte{round}, []byte(p.E164())); len(draws) > 0; draws = draws[8:] {
			if n := binary.BigEndian.Uint64(draws); n < limit {
				return fmt.Sprintf("%0*d", length, n%codes)
			}
		}
	}
}

func (k *keys) digest(p phone.Number, code string) Digest {
	return Digest(encode(k.digests.of([]byte(p.E164() + " " + code))))
}

func (k *keys) phone(p phone.Number) Pseudonym {
	return Pseudonym(encode(k.phones.of([]byte(p.E164()))[:16]))
}

// address returns the pseudonyms of an address. The IPv6 addresses of a /64 share one, because a subscriber is assigned
// at least a /64 and at most, usually, a /48 (RFC 6177).
func (k *keys) address(a netip.Addr) Address {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return Address{Narrow: k.network(a.AsSlice())}
	}
	network := netip.PrefixFrom(a, 64).Masked().Addr().AsSlice()
	return Address{Narrow: k.network(network), Wide: k.network(network[:6])}
}

func (k *keys) network(address []byte) Pseudonym {
	return Pseudonym(encode(k.addresses.of(address)[:16]))
}

// macs computes HMAC-SHA-256 under one key. It pools the hashes, because preparing one for a key costs as much as a
// short message.
type macs struct{ pool sync.Pool }

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (m *macs) of(parts ...[]byte) []byte {
	h := m.pool.Get().(hash.Hash)
	defer m.pool.Put(h)
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
