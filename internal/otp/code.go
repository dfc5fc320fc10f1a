package otp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"dekamond-otp/internal/phone"
)

// A Code is what a person typed, of the right shape. It does not print.
type Code struct{ digits string }

// Format keeps the code out of logs.
func (Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[code]") }

// ReadCode reads a code of the policy's length in ASCII, Persian or Arabic-Indic digits, with nothing
// else around it. Its only error is ErrCodeFormat.
func (s *Service) ReadCode(text string) (Code, error) {
	digits, ok := phone.Digits(text)
	if !ok || len(digits) != s.policy.Length {
		return Code{}, ErrCodeFormat
	}
	return Code{digits}, nil
}

// keys are the independent keys drawn from the one secret (RFC 5869).
type keys struct {
	phones, addresses, codes, digests *macs
	letters, tickets                  cipher.AEAD
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
		phones: newMACs(derive("phone")), addresses: newMACs(derive("address")), codes: newMACs(derive("code")), digests: newMACs(derive("digest")),
		letters: sealer("letter"), tickets: sealer("ticket"),
	}
}

// A letter is what a courier has to know of a message, besides the challenge.
type letter struct {
	To      string  `json:"to"` // E.164
	Region  string  `json:"region"`
	Channel string  `json:"channel"`
	Purpose Purpose `json:"purpose,omitempty"`
	Asked   string  `json:"asked,omitempty"` // the locale that the client asked for
	Locale  string  `json:"locale"`          // that of the text
	Parent  string  `json:"traceparent,omitempty"`
	State   string  `json:"tracestate,omitempty"`
}

func (k *keys) seal(l letter) ([]byte, error) {
	text, err := json.Marshal(l)
	return k.letters.Seal(nil, nil, text, nil), err
}

func (k *keys) unseal(sealed []byte) (*letter, error) {
	text, err := k.letters.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, err
	}
	l := new(letter)
	return l, json.Unmarshal(text, l)
}

// A ticket stands for one message of a challenge, in the hands of the client, to whom it says nothing.
type ticket struct {
	phone   Pseudonym
	purpose Purpose
	id      ChallengeID
	send    int
}

func (k *keys) ticket(t ticket) string {
	text := fmt.Appendf(t.id[:], "%d %s %s", t.send, t.phone, t.purpose)
	return encode(k.tickets.Seal(nil, nil, text, nil))
}

func (k *keys) readTicket(s string) (t ticket, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return ticket{}, false
	}
	text, err := k.tickets.Open(nil, nil, sealed, nil)
	if err != nil || len(text) < len(t.id) {
		return ticket{}, false
	}
	t.id = ChallengeID(text)
	fields := strings.Split(string(text[len(t.id):]), " ")
	if len(fields) != 3 {
		return ticket{}, false
	}
	t.send, err = strconv.Atoi(fields[0])
	t.phone, t.purpose = Pseudonym(fields[1]), Purpose(fields[2])
	return t, err == nil
}

func (k *keys) phone(p phone.Number) Pseudonym {
	return Pseudonym(encode(k.phones.of([]byte(p.E164()))[:16]))
}

// address stands for the whole /64 of an IPv6 address, which is what one subscriber is given (RFC 6177).
func (k *keys) address(a netip.Addr) Pseudonym {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		a = netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return Pseudonym(encode(k.addresses.of(a.AsSlice())[:16]))
}

func (k *keys) digest(p phone.Number, code string) Digest {
	return Digest(encode(k.digests.of([]byte(p.E164() + " " + code))))
}

// code derives the challenge's code. Each 8 bytes of the MAC are one draw; draws from the incomplete
// last range of codes are thrown away, so that every code is equally likely.
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

// macs give HMAC-SHA-256 under one key, which a hash of the pool has taken in already.
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
