package phone

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// A Search selects phones. The zero Search selects all of them.
type Search struct {
	Prefixes []string // The phone begins with one of them, each a plus and digits. None of them begins with another.
	Suffix   string   // The phone ends with these digits, at least MinSuffix of them.
}

// MinSuffix is the least number of last digits that a Search has. Stores keep an index of so many.
const MinSuffix = 4

const maxCalling = 3 // digits of a calling code (ITU-T E.164 §6.2.1)

// Search reads what an operator types to find a phone: a number in any form that Parse reads, the beginning of one, or
// a * and the last digits, at least MinSuffix of them. Several beginnings may be meant: with the region RU, "8916" are
// numbers that begin with +7916, and ones that begin with +8916. The only error is ErrInvalid.
func (p *Parser) Search(s string) (Search, error) {
	if last, ok := cutStar(s); ok {
		digits, ok := Digits(last)
		if !ok || len(digits) < MinSuffix || len(digits) > maxDigits {
			return Search{}, ErrInvalid
		}
		return Search{Suffix: digits}, nil
	}
	digits, ok := normalize(s)
	if !ok || len(digits) > maxTyped {
		return Search{}, ErrInvalid
	}
	var prefixes []string
	for _, beginning := range p.beginnings(digits) {
		prefixes = append(append(prefixes, beginning), renumbered(beginning, false)...)
	}
	if n, err := p.Parse(s); err == nil { // which does more than to remove a prefix
		prefixes = append(prefixes, n.E164())
	}
	prefixes = shortest(prefixes)
	if len(prefixes) == 0 {
		return Search{}, ErrInvalid
	}
	return Search{Prefixes: prefixes}, nil
}

// cutStar returns what follows the * at the beginning of s. Persian and Arabic keyboards may have a star of their own.
func cutStar(s string) (last string, ok bool) {
	s = strings.TrimLeftFunc(s, isIgnored)
	last = strings.TrimLeft(s, "*٭＊﹡")
	return last, last != s
}

// beginnings returns the beginnings of E.164 numbers that digits can mean: digits from the calling code on, or national
// ones of the parser's region, in both cases with the national prefix or without it.
func (p *Parser) beginnings(digits string) []string {
	international, isInternational := strings.CutPrefix(digits, "+")
	var found []string
	calling, national := splitCalling(international)
	if calling != "" || len(international) < maxCalling {
		found = append(found, "+"+international, withoutPrefix(calling, national))
	}
	if code := phonenumbers.GetCountryCodeForRegion(p.region); code != 0 && !isInternational {
		calling := strconv.Itoa(code)
		found = append(found, "+"+calling+digits, withoutPrefix(calling, digits))
	}
	return found
}

// splitCalling splits digits into a calling code and a national number. The calling code is empty if there is none.
func splitCalling(digits string) (calling, national string) {
	for n := 1; n <= min(maxCalling, len(digits)); n++ {
		code, err := strconv.Atoi(digits[:n])
		if err == nil && len(phonenumbers.GetRegionCodesForCountryCode(code)) > 0 {
			return digits[:n], digits[n:]
		}
	}
	return "", digits
}

// withoutPrefix returns the beginning of an E.164 number, without the national prefix if the national number has one.
func withoutPrefix(calling, national string) string {
	code, _ := strconv.Atoi(calling)
	region := phonenumbers.GetRegionCodeForCountryCode(code)
	return "+" + calling + strings.TrimPrefix(national, phonenumbers.GetNddPrefixForRegion(region, true))
}

// shortest returns the prefixes, sorted, without those that cannot begin a number or that begin with another one.
func shortest(prefixes []string) (kept []string) {
	slices.Sort(prefixes)
	for _, prefix := range prefixes {
		isPossible := len(prefix) > len("+") && len(prefix) <= len("+")+maxDigits && prefix[1] != '0'
		isCovered := len(kept) > 0 && strings.HasPrefix(prefix, kept[len(kept)-1])
		if isPossible && !isCovered {
			kept = append(kept, prefix)
		}
	}
	return kept
}
