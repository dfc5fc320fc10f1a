// Package phone owns phone numbers: it reads a number as people write it and returns one E.164 string for each phone,
// so that every key, row and log line refers to a phone by the same bytes.
//
// libphonenumber's metadata decides which numbers are valid. Forbidden characters are refused before it is asked,
// because libphonenumber is made to find numbers in free text and accepts letters, extensions and more.
package phone

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

var (
	// ErrInvalid means that the text is not a phone number.
	ErrInvalid = errors.New("phone: not a valid number")
	// ErrNoText means that the number is valid, but cannot receive a text message. It wraps ErrInvalid.
	ErrNoText = fmt.Errorf("%w: it cannot receive a text message", ErrInvalid)
)

const (
	maxInput  = 64 // bytes; enough for any way to write a number, with two bytes for a Persian digit
	maxDigits = 15 // ITU-T E.164 §6: a number has at most 15 digits
)

// A Number is a phone. The zero Number stands for no phone. Compare E164, not Numbers: a Number from Stored has no
// region, and therefore is not == to the Number that Parse returns for the same phone.
type Number struct {
	e164, region string
}

// E164 returns the number as + and 7 to 15 digits.
func (n Number) E164() string { return n.e164 }

// Region returns the ISO 3166 code of the number's region, or "001" for a number of no single country. It returns ""
// for a test number and for a Number from Stored.
func (n Number) Region() string { return n.region }

// String returns the number with its middle masked: +98912•••67. Only E164 returns the whole number.
func (n Number) String() string {
	if len(n.e164) < 8 {
		return "•••"
	}
	return n.e164[:len(n.e164)-7] + "•••" + n.e164[len(n.e164)-2:]
}

// LogValue masks the number in the log.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// Stored returns the Number of an E.164 string that a store has kept. The string must come from E164.
func Stored(e164 string) Number { return Number{e164: e164} }

// A Parser reads numbers. It is safe for use by many goroutines.
type Parser struct {
	region string
	tests  map[string]bool
}

// NewParser returns a Parser that reads national numbers as numbers of the region, an ISO 3166 code; with an empty
// region it reads international numbers alone. The test numbers, in E.164 form, are accepted although libphonenumber
// calls them invalid.
func NewParser(region string, tests ...string) *Parser {
	p := &Parser{region: region, tests: make(map[string]bool, len(tests))}
	for _, t := range tests {
		p.tests[t] = true
	}
	return p
}

// Parse reads a number that can receive a text message. Its errors are ErrInvalid and ErrNoText.
func (p *Parser) Parse(s string) (Number, error) {
	digits, ok := normalize(s)
	if !ok || len(digits) < 4 {
		return Number{}, ErrInvalid
	}
	if p.tests[digits] {
		return Number{e164: digits}, nil
	}
	n, err := phonenumbers.Parse(digits, p.region)
	if err != nil {
		return Number{}, ErrInvalid
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if len(e164) > len("+")+maxDigits {
		return Number{}, ErrInvalid
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.PERSONAL_NUMBER, phonenumbers.VOIP:
		return Number{e164: e164, region: phonenumbers.GetRegionCodeForNumber(n)}, nil
	case phonenumbers.UNKNOWN: // the metadata has no such number
		return Number{}, ErrInvalid
	default:
		return Number{}, ErrNoText
	}
}

// Prefix reads the beginning of a number, as an operator types it into a search, and returns the beginning of its
// E.164 form: with the region IR, "0912" becomes "+98912". Its only error is ErrInvalid.
func (p *Parser) Prefix(s string) (string, error) {
	digits, ok := normalize(s)
	if !ok {
		return "", ErrInvalid
	}
	switch code := phonenumbers.GetCountryCodeForRegion(p.region); {
	case digits[0] == '+':
	case digits[0] == '0' && code != 0:
		digits = fmt.Sprintf("+%d%s", code, digits[1:])
	default:
		digits = "+" + digits
	}
	if len(digits) < len("+1") || len(digits) > len("+")+maxDigits {
		return "", ErrInvalid
	}
	return digits, nil
}

// Digits returns s in ASCII digits. It returns ok = false if s is empty or has a character other than ASCII, Persian
// and Arabic-Indic digits.
func Digits(s string) (ascii string, ok bool) {
	var b strings.Builder
	for _, r := range s {
		d, ok := digit(r)
		if !ok {
			return "", false
		}
		b.WriteByte(d)
	}
	return b.String(), b.Len() > 0
}

// normalize returns the ASCII digits of s, after a + if s is written internationally. It returns ok = false if a
// character is not a digit, a sign or a separator of phone numbers.
func normalize(s string) (digits string, ok bool) {
	if len(s) > maxInput {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		d, isDigit := digit(r)
		switch {
		case isDigit:
			b.WriteByte(d)
		case r == '+' && b.Len() == 0:
			b.WriteByte('+')
		case isSeparator(r):
		default:
			return "", false
		}
	}
	digits = b.String()
	if international, found := strings.CutPrefix(digits, "00"); found {
		digits = "+" + international
	}
	return digits, strings.TrimPrefix(digits, "+") != ""
}

func digit(r rune) (ascii byte, ok bool) {
	switch {
	case r >= '0' && r <= '9':
		return byte(r), true
	case r >= '۰' && r <= '۹': // Persian
		return byte(r-'۰') + '0', true
	case r >= '٠' && r <= '٩': // Arabic-Indic
		return byte(r-'٠') + '0', true
	}
	return 0, false
}

func isSeparator(r rune) bool {
	switch r {
	case ' ', '\u00a0', '-', '\u2010', '\u2011', '\u2012', '\u2013', '\u2014', '\u2212', '(', ')', '[', ']', '.', '/':
		return true
	}
	return false
}
