package text

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

const (
	testCode     = "042137"
	testLongCode = "04213719"
	testOrigin   = "login.example.com"
	testHash     = "FA+9qCX9VSu" // the example of Google's documentation
)

var testApps = []string{"Dekamond", "", "Dekamond Login Services Europe"}

// options returns the usual options with the change of a test.
func options(change func(*Options)) Options {
	o := Options{App: "Dekamond", Digits: len(testCode), LongDigits: len(testLongCode), TTL: 2 * time.Minute}
	if change != nil {
		change(&o)
	}
	return o
}

func newTexts(t testing.TB, o Options) *Texts {
	t.Helper()
	texts, err := New(o)
	if err != nil {
		t.Fatalf("New(%+v): %v", o, err)
	}
	return texts
}

// all calls f with every message with the code.
func (t *Texts) all(code string, f func(locale, purpose, message string)) {
	for _, locale := range t.locales {
		f(locale, login, t.Compose(locale, login, code, time.Hour))
		f(locale, phoneChange, t.Compose(locale, phoneChange, code, time.Hour))
	}
}

func TestMessages(t *testing.T) {
	lines := func(o *Options) { o.Origin, o.AndroidHash = testOrigin, testHash }
	noName := func(o *Options) { o.App = "" }
	const move = "042137 is the Dekamond code to move an account to this number. Do not share it with anyone."
	tests := []struct {
		name    string
		options func(*Options)
		locale  string
		change  bool
		want    []string // lines
	}{
		{"plain", nil, "en", false, []string{"042137 is your Dekamond login code. Do not share it with anyone."}},
		{"no name", noName, "en", false, []string{"042137 is your login code. Do not share it with anyone."}},
		{"phone change", nil, "en", true, []string{move}},
		{"both lines", lines, "en", false, []string{
			"042137 is your Dekamond login code. Do not share it with anyone.",
			"FA+9qCX9VSu",
			"@login.example.com #042137",
		}},
		{"a line of its own", nil, "fa", false, []string{
			"042137",
			"کد ورود شما به Dekamond",
			"لطفاً آن را به کسی ندهید.",
		}},
		{"shortest", lines, "fa", false, []string{
			"042137",
			"کد ورود",
			"به کسی ندهید",
			"FA+9qCX9VSu",
			"@login.example.com #042137",
		}},
		{"no such locale", nil, "xx", true, []string{move}},
	}
	for _, tt := range tests {
		texts := newTexts(t, options(tt.options))
		got := texts.Compose(tt.locale, login, testCode, time.Hour)
		if tt.change {
			got = texts.Compose(tt.locale, phoneChange, testCode, time.Hour)
		}
		if want := strings.Join(tt.want, "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, want)
		}
	}
}

// TestShippedVariants checks every shipped variant, whether it is used or not.
func TestShippedVariants(t *testing.T) {
	files := make(map[string]templates)
	if err := load(files, shipped, "locales"); err != nil {
		t.Fatal(err)
	}
	want := []string{"ar", "de", "en", "es", "fa", "fr", "ru", "tr"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("got locales %v, want %v", got, want)
	}
	for locale, file := range files {
		for name, variant := range file {
			for _, app := range testApps {
				m, err := options(func(o *Options) { o.App, o.digits = app, len(testCode) }).render(variant)
				if err != nil {
					t.Fatal(err)
				}
				fail := func(fault string) {
					t.Errorf("%s %s, app %q: %s:\n%s", locale, name, app, fault, strings.Join(m.pieces, testCode))
				}
				checkForm(m, fail)
				checkWords(locale, name, app, m, fail)
			}
		}
	}
}

var untidy = regexp.MustCompile(`^\s|\s$|[ \n]{2}|\s[.,:;!?]|[ ]\n|\n[ ]|<no value>|\{|\}`)

// checkForm checks what holds for a message of any locale.
func checkForm(m message, fail func(string)) {
	text := strings.Join(m.pieces, testCode)
	rest, begins := strings.CutPrefix(text, testCode)
	if !begins {
		fail("does not begin with the code")
	}
	if strings.ContainsFunc(rest, unicode.IsNumber) {
		fail("another number")
	}
	if untidy.MatchString(text) {
		fail("untidy")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
		fail("an invisible character")
	}
}

// checkWords checks the name, the direction of lines, the script and the alphabet.
func checkWords(locale, name, app string, m message, fail func(string)) {
	text := strings.Join(m.pieces, testCode)
	isShortest := strings.HasSuffix(name, "_shortest")
	if strings.Contains(name, login) && !isShortest && !strings.Contains(text, app) {
		fail("no name")
	}
	notArabic := func(line string) bool { return !unicode.Is(unicode.Arabic, []rune(line)[0]) }
	if lines := strings.Split(text, "\n"); locale == "fa" || locale == "ar" {
		if lines[0] != testCode || slices.ContainsFunc(lines[1:], notArabic) {
			fail("no line of the code alone, or a line that does not run from right to left")
		}
	}
	words := strings.ReplaceAll(strings.TrimPrefix(text, testCode), app, "")
	checkScript(locale, strings.TrimSpace(words), fail)
	gsm := strings.Contains("de en es fr", locale) || locale == "tr" && strings.HasSuffix(name, "_short")
	if gsm != (m.characters == gsmLength(text)) {
		fail("the wrong alphabet")
	}
}

// checkScript looks for letters of other languages, some of which look like the right ones.
func checkScript(locale, text string, fail func(string)) {
	script, foreign := unicode.Latin, ""
	switch locale {
	case "fa":
		script, foreign = unicode.Arabic, "كيىةئؤإ" // Arabic kaf, yeh and what Persian writes otherwise
	case "ar":
		script, foreign = unicode.Arabic, "کیگچپژ" // Persian keheh, yeh and letters
	case "ru":
		script = unicode.Cyrillic
	}
	own := false
	for _, r := range text {
		own = own || unicode.Is(script, r)
		if unicode.IsLetter(r) && !unicode.Is(script, r) || strings.ContainsRune(foreign, r) {
			fail("a letter of another language: " + string(r))
		}
	}
	if !own {
		fail("no words")
	}
}

// gsmLength returns the length of a text in the GSM alphabet, or -1 if a character is not in it. It knows the letters
// of the shipped texts.
func gsmLength(text string) int {
	n := 0
	for _, r := range text {
		if r > unicode.MaxASCII && !strings.ContainsRune("äöüßÄÖÜéèàñÉ", r) {
			return -1
		}
		n++
	}
	return n
}

func TestMessagesFit(t *testing.T) {
	for _, app := range testApps {
		for _, origin := range []string{"", testOrigin} {
			for _, hash := range []string{"", testHash} {
				o := options(func(o *Options) { o.App, o.Origin, o.AndroidHash = app, origin, hash })
				checkCosts(t, o)
				if origin == "" && hash == "" && len(app) < 30 {
					wantFullest(t, o, newTexts(t, o))
				}
			}
		}
	}
}

// checkCosts checks that a message has a Cost if it does not fit, and no Cost if it does.
func checkCosts(t *testing.T, o Options) {
	t.Helper()
	texts := newTexts(t, o)
	got, want := texts.Costs(), make(map[string]Cost)
	for _, code := range []string{testLongCode, testCode} { // a cost with the shorter code counts
		texts.all(code, func(locale, purpose, message string) {
			units := len([]rune(message)) // every shipped character is one unit
			limit := 70
			if gsmLength(message) >= 0 {
				limit = 160
			}
			if units > limit || o.AndroidHash != "" && len(message) > 140 {
				want[locale+purpose] = Cost{locale, purpose, len(code), Segments(message), units, len(message)}
			}
		})
	}
	for _, cost := range got {
		if len(o.App) < 30 && cost.Digits == o.Digits {
			t.Errorf("%+v: got the cost %+v with a usual code, want none", o, cost)
		}
		if cost != want[cost.Locale+cost.Purpose] {
			t.Errorf("%+v: got the cost %+v, want %+v", o, cost, want[cost.Locale+cost.Purpose])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%+v: got the costs %v, want %v", o, got, want)
	}
}

// wantFullest checks that every message is the longest variant.
func wantFullest(t *testing.T, o Options, texts *Texts) {
	t.Helper()
	files := make(map[string]templates)
	if err := load(files, shipped, "locales"); err != nil {
		t.Fatal(err)
	}
	o.digits = len(testCode)
	texts.all(testCode, func(locale, purpose, message string) {
		m, err := o.render(files[locale][purpose])
		if want := strings.Join(m.pieces, testCode); err != nil || message != want {
			t.Errorf("%s %s: got\n%s\nwant\n%s, %v", locale, purpose, message, want, err)
		}
	})
}

// TestLongCodes checks that the message for a longer code is chosen for its length, and not for that of a usual code.
func TestLongCodes(t *testing.T) {
	const full, short = " is your X login code. Do not share it with anyone.", ": your X login code. Do not share it."
	for _, tt := range []struct {
		app           int // characters of the name
		usual, longer string
	}{
		{102, "042137" + full, "04213719" + full},
		{103, "042137" + full, "04213719" + short},
		{105, "042137" + short, "04213719" + short},
	} {
		app := strings.Repeat("x", tt.app)
		texts := newTexts(t, options(func(o *Options) { o.App = app }))
		for code, want := range map[string]string{testCode: tt.usual, testLongCode: tt.longer} {
			want = strings.Replace(want, "X", app, 1)
			if got := texts.Compose("en", login, code, time.Hour); got != want {
				t.Errorf("a name of %d characters: got\n%s\nwant\n%s", tt.app, got, want)
			}
		}
	}
}

func TestCosts(t *testing.T) {
	host := "login." + strings.Repeat("x", 50) + ".example.com"
	got := newTexts(t, options(func(o *Options) { o.Origin = host })).Costs()
	want := []Cost{ // the last line has 78 characters
		{"ar", login, 6, 2, 55 + 78, 86 + 78},       // the long one
		{"ar", phoneChange, 6, 2, 42 + 78, 70 + 78}, // the short one: the long one needs three segments
	}
	if len(got) < 2 || !slices.Equal(got[:2], want[:2]) {
		t.Errorf("got %+v, want first %+v", got, want)
	}
	byMessage := func(a, b Cost) int { return strings.Compare(a.Locale+a.Purpose, b.Locale+b.Purpose) }
	if !slices.IsSortedFunc(got, byMessage) {
		t.Errorf("not sorted: %v", got)
	}
}

// readOriginBound parses a message by the steps of WICG sms-one-time-codes §3.2.
func readOriginBound(message string) (host, code string, err error) {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(message), "\n")
	line := lines[len(lines)-1]
	token := func(marker byte) string {
		if line == "" || line[0] != marker {
			return ""
		}
		end := strings.IndexAny(line, "\t\n\f\r ")
		if end < 0 {
			end = len(line)
		}
		t := line[1:end]
		line = line[end:]
		return t
	}
	if host = token('@'); host == "" {
		return "", "", errors.New("no host")
	}
	if line == "" || line[0] != ' ' {
		return "", "", errors.New("no space")
	}
	line = line[1:]
	if code = token('#'); code == "" {
		return "", "", errors.New("no code")
	}
	if line != "" {
		return "", "", errors.New("more after the code: " + line)
	}
	return host, code, nil
}

func TestPhonesReadTheCode(t *testing.T) {
	for _, app := range testApps {
		for _, hash := range []string{"", testHash} {
			texts := newTexts(t, options(func(o *Options) { o.App, o.Origin, o.AndroidHash = app, testOrigin, hash }))
			texts.all(testCode, func(locale, purpose, message string) {
				for _, fault := range readFaults(message, hash) {
					t.Errorf("%s %s: %s in\n%s", locale, purpose, fault, message)
				}
			})
		}
	}
}

var (
	chrome = regexp.MustCompile( // content/browser/sms/sms_parser.cc
		`(?:^|\s)@([a-zA-Z0-9.-]+) #([^#\s]+)(?: @([a-zA-Z0-9.-]+))?`,
	)
	number = regexp.MustCompile(`\d+`)
)

// readFaults reads a message as browsers and phones do, and returns what they would get wrong.
func readFaults(message, hash string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if host, code, err := readOriginBound(message); host != testOrigin || code != testCode || err != nil {
		fault("got %s, %s, %v", host, code, err)
	}
	got := chrome.FindStringSubmatch(message)
	if want := []string{testOrigin, testCode, ""}; len(got) != 4 || !slices.Equal(got[1:], want) {
		fault("Chrome reads %q", got)
	}
	if got := number.FindString(message); got != testCode {
		fault("the first number is %s", got)
	}
	lines := strings.Split(message, "\n")
	if hash != "" && lines[len(lines)-2] != hash {
		fault("no line of the hash alone before the last")
	}
	return faults
}

func TestCodesOfEveryLength(t *testing.T) {
	for digits := 6; digits <= 12; digits++ {
		code := "987654321012"[:digits]
		texts := newTexts(t, options(func(o *Options) {
			o.Digits, o.LongDigits, o.Origin = min(digits, 10), digits, testOrigin
		}))
		got := texts.Compose("en", login, code, time.Hour)
		want := code + " is your Dekamond login code. Do not share it with anyone.\n@login.example.com #" + code
		if got != want {
			t.Errorf("%d digits: got\n%s\nwant\n%s", digits, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string // part of the error; empty without one
	}{
		{"few digits", func(o *Options) { o.Digits = 5 }, "codes of 5 and 8 digits"},
		{"fewer long digits", func(o *Options) { o.LongDigits = 5 }, "codes of 6 and 5 digits"},
		{"many digits", func(o *Options) { o.LongDigits = 13 }, "codes of 6 and 13 digits"},
		{"line in the name", func(o *Options) { o.App = "Dekamond\nLogin" }, "the app's name has a control character"},
		{"bytes in the name", func(o *Options) { o.App = "Deka\xffmond" }, "not UTF-8"},
		{"Persian name", func(o *Options) { o.App = "دکاموند" }, ""},
		{"one label", func(o *Options) { o.Origin = "localhost" }, ""},
		{"port", func(o *Options) { o.Origin = "login.example.com:8443" }, "not a host alone"},
		{"scheme", func(o *Options) { o.Origin = "https://login.example.com" }, "not a host alone"},
		{"path", func(o *Options) { o.Origin = "example.com/login" }, "not a host alone"},
		{"final dot", func(o *Options) { o.Origin = "example.com." }, "not a host alone"},
		{"line in the host", func(o *Options) { o.Origin = "example.com\n" }, "not a host alone"},
		{"long host", func(o *Options) { o.Origin = strings.Repeat("a.", 127) + "com" }, "not a host alone"},
		{"short hash", func(o *Options) { o.AndroidHash = "FA+9qCX9VS" }, "not an Android app's hash"},
		{"hash of other letters", func(o *Options) { o.AndroidHash = "FA-9qCX9VSu" }, "not an Android app's hash"},
	}
	for _, tt := range tests {
		_, err := New(options(tt.change))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	texts := newTexts(b, options(func(o *Options) { o.Origin = testOrigin }))
	b.ReportAllocs()
	for b.Loop() {
		texts.Compose("fa", login, testCode, time.Hour)
	}
}

func BenchmarkNew(b *testing.B) {
	o := options(nil)
	for b.Loop() {
		newTexts(b, o)
	}
}
