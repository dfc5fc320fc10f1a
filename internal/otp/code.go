package otp

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

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
	phoneKey, addressKey, codeKey, digestKey []byte
}

func deriveKeys(secret []byte) keys {
	derive := func(use string) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "dekamond-otp "+use, sha256.Size)
		if err != nil { // only for a key that is longer than 255 hashes
			panic(err)
		}
		return key
	}
	return keys{phoneKey: derive("phone"), addressKey: derive("address"), codeKey: derive("code"), digestKey: derive("digest")}
}

func (k *keys) phone(p phone.Number) Key { return Key(encode(mac(k.phoneKey, []byte(p.E164()))[:16])) }

// address stands for the whole /64 of an IPv6 address, which is what one subscriber is given (RFC 6177).
func (k *keys) address(a netip.Addr) Key {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		a = netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return Key(encode(mac(k.addressKey, a.AsSlice())[:16]))
}

func (k *keys) digest(p phone.Number, code string) Digest {
	return Digest(encode(mac(k.digestKey, []byte(p.E164()+" "+code))))
}

// code derives the challenge's code. Each 8 bytes of the MAC are one draw; draws from the incomplete
// last range of codes are thrown away, so that every code is equally likely.
func (k *keys) code(id ChallengeID, p phone.Number, length int) string {
	codes := uint64(math.Pow10(length))
	limit := math.MaxUint64 - math.MaxUint64%codes
	for round := byte(0); ; round++ {
		for draws := mac(k.codeKey, id[:], []byte{round}, []byte(p.E164())); len(draws) > 0; draws = draws[8:] {
			if n := binary.BigEndian.Uint64(draws); n < limit {
				return fmt.Sprintf("%0*d", length, n%codes)
			}
		}
	}
}

// text is the message. It begins with the code, so that a notification shows it, and fits one segment
// of 160 GSM 03.38 characters.
func text(code string, p Purpose, ttl time.Duration) string {
	n, unit := int(ttl/time.Second), "second"
	if ttl%time.Minute == 0 {
		n, unit = int(ttl/time.Minute), "minute"
	}
	if n != 1 {
		unit += "s"
	}
	use := "your login code"
	if p != ForLogin {
		use = "the code to move an account to this number"
	}
	return fmt.Sprintf("%s is %s. It works for %d %s. Do not share it with anyone.", code, use, n, unit)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
