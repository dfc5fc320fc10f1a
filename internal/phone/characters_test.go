package phone

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/runenames"
)

// TestDigitsOfEveryScript compares every decimal digit of Unicode with its name, such as BENGALI DIGIT THREE.
func TestDigitsOfEveryScript(t *testing.T) {
	values := []string{"ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"}
	named := 0
	for r := range rune(unicode.MaxRune) {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		got, ok := Digits(string(r))
		if !ok || len(got) != 1 {
			t.Errorf("Digits(%q) = %q, %v", r, got, ok)
			continue
		}
		name := runenames.Name(r)
		if name == "" { // the names may be those of an older Unicode
			continue
		}
		named++
		if !strings.HasSuffix(name, "DIGIT "+values[got[0]-'0']) {
			t.Errorf("Digits(%q) = %q; its name is %s", r, got, name)
		}
	}
	if named < 600 {
		t.Errorf("%d digits with a name; want those of some 65 scripts", named)
	}
}

func TestDigits(t *testing.T) {
	for in, want := range map[string]string{
		"233833":                   "233833",
		"233833 ":                  "233833",
		"233 833":                  "233833",
		"233-833":                  "233833",
		"\n\t 233–833\r\n":         "233833",
		"\u2066۲۳۳\u2069\u00a0۸۳۳": "233833",
		"(２３３)８３３":                 "233833",
		"০০৭":                      "007",
	} {
		if got, ok := Digits(in); !ok || got != want {
			t.Errorf("Digits(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", " ", "\u200b", "-", "12a", "12\x00", "1️⃣", "code: 123456", "12,3", "½", "\xff1"} {
		if got, ok := Digits(in); ok {
			t.Errorf("Digits(%q) = %q; want it refused", in, got)
		}
	}
}

// TestEveryCharacter checks by category what may stand in a number: spaces, dashes, brackets and invisible characters
// are ignored, letters and symbols are not.
func TestEveryCharacter(t *testing.T) {
	visible := []*unicode.RangeTable{unicode.Prepended_Concatenation_Mark}
	ignored := []*unicode.RangeTable{unicode.Z, unicode.Pd, unicode.Ps, unicode.Pe, unicode.Cf, unicode.White_Space}
	refused := []*unicode.RangeTable{unicode.L, unicode.So, unicode.Sc, unicode.Co, unicode.Nl, unicode.No}
	const exceptions = "\u115f\u1160\u3164\uffa0\u2800\U0001d159ーｰ➕➖" // fillers, strokes and signs
	for r := range rune(unicode.MaxRune) {
		_, ok := Digits("1" + string(r))
		switch {
		case unicode.In(r, visible...):
			if ok {
				t.Errorf("%U is ignored, although it is visible", r)
			}
		case unicode.In(r, ignored...), strings.ContainsRune(exceptions, r):
			if !ok {
				t.Errorf("%U is refused", r)
			}
		case unicode.In(r, refused...), unicode.Is(unicode.Cc, r):
			if ok && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
				t.Errorf("%U is accepted", r)
			}
		}
	}
}
