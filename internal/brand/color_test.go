package brand

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestParseColor(t *testing.T) {
	for s, want := range map[string]Color{
		"#3f51d9":   "#3f51d9",
		"#FFCC00":   "#ffcc00",
		"#fff":      "",
		"3f51d9":    "",
		"#3f51dg":   "",
		"red":       "",
		"":          "",
		" #3f51d9":  "",
		"#3f51d9ff": "",
	} {
		if c, ok := ParseColor(s); ok != (want != "") || ok && c != want {
			t.Errorf("ParseColor(%q) = %s, %v; want %q", s, c, ok, want)
		}
	}
}

// TestContrast compares ratios with those of WebAIM's contrast checker.
func TestContrast(t *testing.T) {
	for _, tc := range []struct {
		a, b Color
		want float64
	}{
		{black, white, 21},
		{white, black, 21},
		{"#777777", white, 4.47},
		{"#767676", white, 4.54},
		{"#ffff00", white, 1.07},
		{"#0000ff", white, 8.59},
		{"#0000ff", black, 2.44},
		{"#3f51d9", "#3f51d9", 1},
	} {
		if got := contrast(tc.a, tc.b); math.Abs(got-tc.want) > 0.01 {
			t.Errorf("contrast(%s, %s) = %.2f; want %.2f", tc.a, tc.b, got, tc.want)
		}
	}
}

// TestEveryColorIsReadable checks nine values of each channel in both modes.
func TestEveryColorIsReadable(t *testing.T) {
	own := map[string]struct{ soft Color }{"light": {"#565c75"}, "dark": {"#a9b0cc"}}
	for name, m := range map[string]mode{"light": light, "dark": dark} {
		for n := range 9 * 9 * 9 {
			c := Color(fmt.Sprintf("#%02x%02x%02x", n%9*255/8, n/9%9*255/8, n/81*255/8))
			p := m.palette(c)
			for what, pair := range map[string][2]Color{
				"the accent on the page":     {p.accent, m.page},
				"the accent on the card":     {p.accent, m.card},
				"the accent on the tint":     {p.accent, p.tint},
				"the accent on the glow":     {p.accent, p.glow},
				"text on the button":         {p.onFill, p.fill},
				"text on the pressed button": {p.onFill, p.fillStrong},
				"soft text on the tint":      {own[name].soft, p.tint},
				"soft text on the glow":      {own[name].soft, p.glow},
			} {
				if got := contrast(pair[0], pair[1]); got < readable {
					t.Errorf("%s, %s: the contrast of %s is %.2f; want %v", c, name, what, got, readable)
				}
			}
			if p.fill != c || p.fillStrong == c {
				t.Errorf("%s, %s: the button is %s, and %s under the pointer", c, name, p.fill, p.fillStrong)
			}
		}
	}
}

// TestAccentStays checks that a colour that can be read is not changed, and that others keep their hue.
func TestAccentStays(t *testing.T) {
	for _, tc := range []struct{ c, light, dark Color }{
		{"#3f51d9", "#3f51d9", "#808ce6"},
		{"#ffff00", "#696900", "#ffff00"},
		{"#000000", "#000000", "#949494"},
		{"#ffffff", "#666666", "#ffffff"},
		{"#0000ff", "#0000ff", "#8585ff"},
	} {
		if l, d := light.palette(tc.c).accent, dark.palette(tc.c).accent; l != tc.light || d != tc.dark {
			t.Errorf("the accent of %s is %s in light and %s in dark; want %s and %s", tc.c, l, d, tc.light, tc.dark)
		}
	}
}

// TestModesAreThoseOfThePage compares the colours that accents are checked against with those of login.css.
func TestModesAreThoseOfThePage(t *testing.T) {
	text, err := os.ReadFile("../httpapi/pages/login/login.css")
	if err != nil {
		t.Fatal(err)
	}
	css := strings.ReplaceAll(string(text), "#fff;", "#ffffff;")
	day, night, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	for style, m := range map[string]mode{day: light, night: dark} {
		for name, want := range map[string]Color{"page": m.page, "card": m.card} {
			found := regexp.MustCompile(`--` + name + `: (#\w+);`).FindStringSubmatch(style)
			if found[1] != string(want) {
				t.Errorf("--%s is %s in login.css; want %s", name, found[1], want)
			}
		}
		for _, name := range regexp.MustCompile(`--[\w-]+`).FindAllString(m.palette(black).declarations(), -1) {
			if !strings.Contains(style, "\n"+name+": ") && !regexp.MustCompile(`\s`+name+`: `).MatchString(style) {
				t.Errorf("login.css has no %s to replace", name)
			}
		}
	}
}

func TestNoColor(t *testing.T) {
	if got := Stylesheet(""); bytes.Contains(got, []byte("--")) {
		t.Errorf("without a colour the stylesheet is %s; want none", got)
	}
	if got := string(TintIcon([]byte("#3f51d9 #fff"), "#3f51d9", "")); got != "#3f51d9 #fff" {
		t.Errorf("without a colour the icon is %s; want it unchanged", got)
	}
	if got := string(TintIcon([]byte("#3f51d9 #fff"), "#3f51d9", "#ffff00")); got != "#ffff00 #000000" {
		t.Errorf("in yellow the icon is %s; want black on yellow", got)
	}
}
