// Package phone owns phone numbers: it reads a number as people write it and returns one E.164 string for each phone,
// so that every key, row and log line refers to a phone by the same bytes.
//
// libphonenumber's metadata decides which numbers are valid. Forbidden characters are refused before it is asked,
// because libphonenumber is made to find numbers in free text and accepts letters, extensions and more. Characters that
// carry no digit, such as spaces, brackets and the invisible marks of pasted text, are removed. For countries that have
// changed their numbers, a table turns an old form into the one of today.
package phone

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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
	maxDigits = 15 // ITU-T E.164 §6: a number has at most 15 digits
	maxTyped  = 24 // a number with the prefixes for calls abroad, within the country and through a carrier
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

// In returns a Parser that reads national numbers as numbers of the region instead. It returns ok = false if the
// metadata has no such region.
func (p *Parser) In(region string) (in *Parser, ok bool) {
	region = strings.ToUpper(region)
	return &Parser{region: region, tests: p.tests}, phonenumbers.GetCountryCodeForRegion(region) != 0
}

// Parse reads a number that can receive a text message, in any way in which people write it. A number in a form that
// was replaced by another one is returned in the form of today. Its errors are ErrInvalid and ErrNoText.
func (p *Parser) Parse(s string) (Number, error) {
	digits, ok := normalize(s)
	if !ok || len(digits) > maxTyped {
		return Number{}, ErrInvalid
	}
	if test, ok := p.test(digits); ok {
		return Number{e164: test}, nil
	}
	n, err := p.read(digits)
	if err != nil {
		return Number{}, ErrInvalid
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	switch {
	case receivesTexts(n) && len(e164) <= len("+")+maxDigits:
		return Number{e164: e164, region: phonenumbers.GetRegionCodeForNumber(n)}, nil
	case phonenumbers.IsValidNumber(n):
		return Number{}, ErrNoText
	}
	return Number{}, ErrInvalid
}

// test returns the test number that digits mean. The metadata may call it invalid, but tells what is in front of it.
func (p *Parser) test(digits string) (e164 string, ok bool) {
	if len(p.tests) == 0 || p.tests[digits] {
		return digits, p.tests[digits]
	}
	n, err := phonenumbers.Parse(digits, p.region)
	if err != nil {
		return "", false
	}
	e164 = phonenumbers.Format(n, phonenumbers.E164)
	return e164, p.tests[e164]
}

// read returns the number that digits mean, in its form of today. Digits that begin with the calling code of the
// parser's region are international even without a plus, if they are no national number that receives texts.
func (p *Parser) read(digits string) (n *phonenumbers.PhoneNumber, err error) {
	n, err = phonenumbers.Parse(digits, p.region)
	if err == nil {
		n = today(n)
	}
	calling := strconv.Itoa(phonenumbers.GetCountryCodeForRegion(p.region)) // 0 without a region
	if err == nil && receivesTexts(n) || !strings.HasPrefix(digits, calling) {
		return n, err
	}
	if international, err := phonenumbers.Parse("+"+digits, ""); err == nil {
		if current := today(international); receivesTexts(current) {
			return current, nil
		}
	}
	return n, err
}

// today returns the form of today of a number that is written in an old one, and any other number as it is.
func today(n *phonenumbers.PhoneNumber) *phonenumbers.PhoneNumber {
	for _, current := range renumbered(phonenumbers.Format(n, phonenumbers.E164), true) {
		if today, err := phonenumbers.Parse(current, ""); err == nil && receivesTexts(today) {
			return today
		}
	}
	return n
}

// receivesTexts reports whether the metadata has the number, and it is not of a kind that receives no texts.
func receivesTexts(n *phonenumbers.PhoneNumber) bool {
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.PERSONAL_NUMBER, phonenumbers.VOIP:
		return true
	}
	return false
}

// normalize returns the ASCII digits of s, after a + if s is written internationally. It returns ok = false if s has a
// character that no number has, or no digit. A plus before a zero has no meaning, because no calling code begins with
// zero.
func normalize(s string) (digits string, ok bool) {
	digits, plus, ok := scan(s)
	if international, found := strings.CutPrefix(digits, "00"); found {
		return "+" + international, international != ""
	}
	if ok && plus && digits[0] != '0' {
		digits = "+" + digits
	}
	return digits, ok
}
