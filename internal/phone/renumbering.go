package phone

import (
	"regexp"
	"strings"
)

// A renumbering says how the old form of a phone's number becomes the form in use today. libphonenumber accepts the old
// form as another number, or calls it invalid. Without the table, one SIM card would be two users, or none.
type renumbering struct {
	old     *regexp.Regexp // of the digits from the calling code on; it also matches the beginning of such a number
	current string         // in the notation of Regexp.Expand
	length  int            // how many digits a whole old number has
}

// renumberings are listed by the calling code of the old form.
var renumberings = map[string][]renumbering{
	// Argentina: a mobile has a 9 behind the calling code, which many omit, or a 15 behind the area code, or both. No
	// landline has the digits of a mobile: blocks of numbers are assigned to one of them (ITU-T operational bulletins).
	"54": {
		{regexp.MustCompile(`^54([1-8]\d*)$`), "549$1", 12},
		{regexp.MustCompile(`^549(\d{2,4}15\d*)$`), "54$1", 15}, // libphonenumber replaces the 15 by a 9
	},
	// Brazil: mobiles, which begin with 6 to 9 behind the area code, got a 9 in front from 2012 to 2016.
	"55": {{regexp.MustCompile(`^55(\d\d)([6-9]\d*)$`), "55${1}9$2", 12}},
	// Mexico: since 2019 a mobile has no 1 behind the calling code, and no 01, 044 or 045 within the country.
	"52": {
		{regexp.MustCompile(`^5201(\d*)$`), "52$1", 14},
		{regexp.MustCompile(`^521(\d*)$`), "52$1", 13},
		{regexp.MustCompile(`^5204[45](\d*)$`), "52$1", 15},
	},
	// Ivory Coast: since 31 January 2021 a mobile begins with the two digits of its operator.
	"225": {
		{regexp.MustCompile(`^225([04-9][0-3]\d*)$`), "22501$1", 11},
		{regexp.MustCompile(`^225([04-9][4-6]\d*)$`), "22505$1", 11},
		{regexp.MustCompile(`^225([04-9][7-9]\d*)$`), "22507$1", 11},
	},
	// Benin: since 30 November 2024 every number begins with 01.
	"229": {{regexp.MustCompile(`^229([2-9]\d*)$`), "22901$1", 11}},
	// Gabon: since November 2019 a 6 or a 7 replaces the 0 of a mobile. The 0 was often omitted.
	"241": {
		{regexp.MustCompile(`^2410([256]\d*)$`), "2416$1", 11},
		{regexp.MustCompile(`^2410([47]\d*)$`), "2417$1", 11},
		{regexp.MustCompile(`^241([256]\d*)$`), "2416$1", 10},
		{regexp.MustCompile(`^241([47]\d*)$`), "2417$1", 10},
	},
	// Kosovo: mobiles had the calling codes of Monaco and Slovenia until 2019.
	"377": {{regexp.MustCompile(`^377(4[45]\d*)$`), "383$1", 11}},
	"386": {{regexp.MustCompile(`^386(4[39]\d*)$`), "383$1", 11}},
	// Palestine: mobiles are reached under Israel's calling code, too.
	"972": {{regexp.MustCompile(`^972(5[69]\d*)$`), "970$1", 12}},
}

// renumbered returns the current forms of a number, or of the beginning of one, that is written in an old form. The
// number is given and returned with a plus. A number that is whole has one current form at most.
func renumbered(e164 string, whole bool) (current []string) {
	digits := strings.TrimPrefix(e164, "+")
	for n := 2; n <= min(maxCalling, len(digits)); n++ { // no country with a calling code of one digit is in the table
		for _, r := range renumberings[digits[:n]] {
			if len(digits) != r.length && (whole || len(digits) > r.length) {
				continue
			}
			if r.old.MatchString(digits) {
				current = append(current, "+"+r.old.ReplaceAllString(digits, r.current))
			}
		}
	}
	return current
}
