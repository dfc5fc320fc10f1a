package config

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/spelling"
)

// The places that names are found in.
const (
	File        = ".env"
	Environment = "environment"
)

// A Misspelling is a name that is no setting, and probably was meant to be one.
type Misspelling struct {
	Name  string // In quotes if it has spaces or other characters that no name has.
	Place string // File or Environment.
	Near  string // The setting that it resembles, or "".
}

// String returns a line that begins like one of setting.Faults.
func (m Misspelling) String() string {
	place := m.Place
	if place == Environment {
		place = "the " + place
	}
	return m.Name + ": in " + place + " is no setting" + m.Question()
}

// Question returns "; do you mean NAME?", or "" if the name resembles no setting.
func (m Misspelling) Question() string {
	if m.Near == "" {
		return ""
	}
	return "; do you mean " + m.Near + "?"
}

// foreign are beginnings of names that other programs read, such as Docker Compose and the Go runtime. A name that
// begins so counts if it resembles a setting, such as PGPASWORD.
var foreign = []string{
	"AWS_",
	"COMPOSE_",
	"DOCKER_",
	"GO",
	"HTTPS_PROXY",
	"HTTP_PROXY",
	"KUBERNETES_",
	"NO_PROXY",
	"OTEL_",
	"PG",
	"POSTGRES_",
	"PUBLISH",
	"SSL_CERT_",
	"TZ",
}

// serviceLink matches the names that Kubernetes and Docker set for a service of any name, such as REDIS_SERVICE_HOST,
// OTP_PORT and OTP_PORT_1628_TCP_ADDR.
var serviceLink = regexp.MustCompile(
	`^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`,
)

// shared are first words of settings that many other programs have settings with.
var shared = []string{"APP", "DATABASE", "HTTP", "REDIS"}

// Misspelt returns the names that are probably misspelt settings, in order, each once. A .env file belongs to the
// service, so every unknown name in it counts, except the foreign ones. The environment belongs to others too. A name
// in it counts if it resembles a setting, or if it begins with a word that only this service uses, such as OTP.
func Misspelt(file, environment []string, providers []setting.Provider) (found []Misspelling) {
	settings, own := Names(providers), ownWords(providers)
	add := func(name, place string) {
		shown, near := resolve(name, settings)
		plain := strings.ToUpper(shown)
		isForeign := slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(plain, prefix) })
		if slices.Contains(settings, name) || isForeign && near == "" {
			return
		}
		first, _, several := strings.Cut(plain, "_")
		counts := near != "" || place == File || several && slices.Contains(own, first)
		if !counts || place == Environment && serviceLink.MatchString(plain) {
			return
		}
		if strings.ContainsFunc(shown, isOutsideNames) {
			shown = strconv.Quote(shown)
		}
		found = append(found, Misspelling{shown, place, near})
	}
	for _, name := range file {
		add(name, File)
	}
	for _, name := range environment {
		if !slices.Contains(file, name) {
			add(name, Environment)
		}
	}
	slices.SortFunc(found, func(a, b Misspelling) int {
		return cmp.Or(strings.Compare(a.Place, b.Place), strings.Compare(a.Name, b.Name))
	})
	return slices.Compact(found)
}

// ownWords returns the first words that at least three settings have in common, such as OTP, without those that other
// programs share, and without those of providers, which other programs use too.
func ownWords(providers []setting.Provider) (words []string) {
	count := make(map[string]int)
	for _, p := range providers {
		for _, v := range p.Variables {
			first, _, _ := strings.Cut(v.Name, "_")
			count[first]--
		}
	}
	for _, name := range Names(providers) {
		first, _, _ := strings.Cut(name, "_")
		if count[first]++; count[first] == 3 && !slices.Contains(shared, first) {
			words = append(words, first)
		}
	}
	return words
}

// resolve returns the part of a name that can be shown, and the setting that it resembles, or "". If a name has a
// character that no name has, a value could be behind it, so that the rest is not shown, unless the name has exactly
// the letters of a setting. Nor is the rest of a name shown that resembles no setting and has small and large letters:
// it could be the end of a secret that was pasted in several lines.
func resolve(name string, settings []string) (shown, near string) {
	for _, s := range settings {
		if letters(name) == letters(s) {
			return name, s
		}
	}
	shown = strings.TrimSpace(name)
	rest := ""
	if i := strings.IndexFunc(shown, isOutsideNames); i >= 0 {
		shown, rest = shown[:i], "…"
	}
	near = nearest(shown, settings)
	if mixed := shown != strings.ToUpper(shown) && shown != strings.ToLower(shown); mixed && near == "" {
		shown, rest = shown[:min(len(shown), 3)], "…"
	}
	return shown + rest, near
}

func isOutsideNames(r rune) bool { return !isLetterOrDigit(r) && r != '_' && r != '-' && r != '.' }

func isLetterOrDigit(r rune) bool {
	return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
}

// letters returns the letters, in upper case, and the digits of a name.
func letters(name string) string { return strings.Join(wordsOf(name), "") }

// wordsOf splits a name at everything that is neither a letter nor a digit, and returns its words in upper case.
func wordsOf(name string) []string {
	return strings.FieldsFunc(strings.ToUpper(name), func(r rune) bool { return !isLetterOrDigit(r) })
}

// nearest returns the setting that a name resembles most, or "" if it resembles none. Of several that it resembles
// equally, the one with the longest common beginning is returned.
func nearest(name string, settings []string) (near string) {
	least, longest := 0, 0
	for _, s := range settings {
		faults, resembles := resemblance(name, s)
		begins := commonBeginning(strings.ToUpper(name), s)
		if resembles && (near == "" || faults < least || faults == least && begins > longest) {
			near, least, longest = s, faults, begins
		}
	}
	return near
}

func commonBeginning(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// resemblance reports whether a name could be meant to be a setting, and the number of its faults. Other programs have
// names that differ from a setting in few letters, such as DATABASE_SSL and APP_HOME. Therefore names are compared word
// by word. A short word may have one fault, a short name one fault that is no replaced letter, and others two faults. A
// word between others may be missing or too many, unless the first word is shared with other programs.
func resemblance(name, setting string) (faults int, resembles bool) {
	const (
		short     = 4 // letters of a short word
		shortName = 9 // bytes; a short name has fewer
		tooMany   = 3 // faults
	)
	a, b := wordsOf(name), wordsOf(setting)
	if strings.HasPrefix(setting, "PG") && !strings.HasPrefix(letters(name), "PG") { // DATABASE is not PGDATABASE
		return tooMany, false
	}
	if len(a) != len(b) {
		x, y := letters(name), letters(setting)
		if len(x) == len(y) && spelling.Distance(x, y) == 1 { // such as OTPLENGHT
			return 1, true
		}
		return tooMany, !slices.Contains(shared, b[0]) && (hasWordMore(a, b) || hasWordMore(b, a))
	}
	isShort := len(setting) < shortName
	for i := range a {
		d := spelling.Distance(a[i], b[i])
		if one, other := singular(a[i]), singular(b[i]); one == other {
			d = min(d, 1)
		}
		if d > 1 && min(len(a[i]), len(b[i])) <= short {
			d = tooMany
		}
		faults += d
	}
	switch {
	case faults <= 1:
		x, y := letters(name), letters(setting)
		replaced := len(x) == len(y) && !isPermuted(x, y)
		return faults, !isShort || !replaced
	case faults == 2 && !isShort:
		return faults, true
	}
	return tooMany, isCut(a, b) || isCut(b, a)
}

// singular returns PROXY for PROXIES.
func singular(word string) string {
	if stem, ok := strings.CutSuffix(word, "IES"); ok {
		return stem + "Y"
	}
	return word
}

// hasWordMore reports whether a is b with one word more between others, such as OTP_CODE_LENGTH.
func hasWordMore(a, b []string) bool {
	if len(a) != len(b)+1 {
		return false
	}
	for i := 1; i < len(b); i++ {
		if slices.Equal(slices.Delete(slices.Clone(a), i, i+1), b) {
			return true
		}
	}
	return false
}

// isCut reports whether a is b with up to three letters missing at the end, such as OTP_LEN.
func isCut(a, b []string) bool {
	last := len(a) - 1
	rest, ok := strings.CutPrefix(b[last], a[last])
	return ok && len(rest) <= 3 && len(a[last]) >= 3 && slices.Equal(a[:last], b[:last])
}

func isPermuted(a, b string) bool {
	x, y := []byte(a), []byte(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
