package phone

import (
	"regexp"
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
		code, _ := strconv.Atoi(calling)
		found = append(found, behind(calling, national, phonenumbers.GetRegionCodeForCountryCode(code))...)
	}
	if code := phonenumbers.GetCountryCodeForRegion(p.region); code != 0 && !isInternational {
		found = append(found, behind(strconv.Itoa(code), digits, p.region)...)
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

// behind returns the beginnings of E.164 numbers of the region that begin with the calling code and the beginning of a
// national number, which may have the national prefix of the region in front.
func behind(calling, national, region string) []string {
	found := []string{"+" + calling + national}
	m, ok := metadataOf(region)
	if !ok {
		return found
	}
	if number, ok := strings.CutPrefix(national, m.GetNationalPrefix()); ok {
		found = append(found, "+"+calling+number)
	}
	if pattern := m.GetNationalPrefixForParsing(); pattern != "" {
		prefix := regexp.MustCompile("^(?:" + ofBeginning(pattern) + ")")
		found = append(found, "+"+calling+transform(national, prefix, m.GetNationalPrefixTransformRule()))
	}
	return found
}

// ofBeginning returns the pattern of a national prefix for the beginning of a number. Some patterns describe the digits
// behind the prefix, too, as a number of them, or up to the end.
func ofBeginning(pattern string) string {
	return strings.ReplaceAll(countedDigits.ReplaceAllString(pattern, `\d*`), "$", "")
}

var countedDigits = regexp.MustCompile(`\\d\{[\d,]+\}`)

// transform removes the prefix from a national number as libphonenumber does: if the last group of the prefix has
// matched, the rule replaces the prefix, for example by the 9 of a mobile in Argentina.
func transform(national string, prefix *regexp.Regexp, rule string) string {
	match := prefix.FindStringSubmatchIndex(national)
	if match == nil {
		return national
	}
	replacement := ""
	if rule != "" && match[len(match)-1] >= 0 {
		replacement = string(prefix.ExpandString(nil, ruleGroup.ReplaceAllString(rule, "$${$1}"), national, match))
	}
	return replacement + national[match[1]:]
}

// ruleGroup is a group in a rule of libphonenumber, where digits may follow it.
var ruleGroup = regexp.MustCompile(`\$(\d)`)

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
