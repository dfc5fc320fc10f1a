package phone

import (
	"strings"
	"unicode"
)

// Digits returns the digits of s in ASCII. It reads decimal digits of every script (the Unicode category Nd), and
// ignores white space, invisible characters, and the marks with which people divide numbers. It returns ok = false if s
// has any other character, or no digit.
func Digits(s string) (ascii string, ok bool) {
	ascii, _, ok = scan(s)
	return ascii, ok
}

// scan returns the digits of s as Digits does, and whether a plus stands before the first one.
func scan(s string) (ascii string, plus, ok bool) {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		d, isDigit := digit(r)
		switch {
		case isDigit:
			b.WriteByte(d)
		case isPlus(r):
			plus = plus || b.Len() == 0
		case !isIgnored(r):
			return "", false, false
		}
	}
	return b.String(), plus, b.Len() > 0
}

// digit returns the ASCII digit with the value of r. Unicode has the ten digits of a script in a row, from zero to nine
// (Unicode Standard §4.6), so that each range of the category Nd consists of whole rows.
func digit(r rune) (ascii byte, ok bool) {
	if r <= unicode.MaxASCII {
		return byte(r), r >= '0' && r <= '9'
	}
	for _, row := range unicode.Nd.R16 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return byte(r-rune(row.Lo))%10 + '0', true
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r >= rune(row.Lo) && r <= rune(row.Hi) {
			return byte(r-rune(row.Lo))%10 + '0', true
		}
	}
	return 0, false
}

// isPlus reports whether r is a plus sign. The heavy one is an emoji too, and people write it before their numbers.
func isPlus(r rune) bool { return strings.ContainsRune("+＋﹢⁺₊˖﬩➕", r) }

// isIgnored reports whether r may stand anywhere in a number without a meaning.
func isIgnored(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Z, r) ||
		unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe) || strings.ContainsRune(separators, r) ||
		isInvisible(r)
}

// separators divide numbers beside the dashes (Unicode category Pd) and the brackets (Ps and Pe): the dots, slashes and
// strokes that libphonenumber ignores, the middle dots, the heavy minus that is an emoji too, and the brackets that
// Unicode counts among the quotation marks.
const separators = "./~·・･−➖ーｰ˗⁃⁻₋⁓∼．／～" + "⸂⸃⸄⸅⸉⸊⸌⸍⸜⸝"

// isInvisible reports whether a person cannot see r: a mark that directs or joins text, a filler, or a blank. Unicode
// calls all of them but two Default_Ignorable_Code_Point (UAX #44 §5.7). Arabic signs that enclose a number are such
// marks in form, but are visible.
func isInvisible(r rune) bool {
	switch {
	case r == '\u2800', r == '\U0001d159': // the blank of Braille and the null notehead, which are symbols
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
