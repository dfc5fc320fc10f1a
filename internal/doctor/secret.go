package doctor

import (
	"regexp"
	"slices"
	"strings"

	"dekamond-otp/internal/config"
)

// leastSecret is the length in bytes below which a secret is tried out, leastRest that of one without the words in it.
const (
	leastSecret = 16
	leastRest   = 24
)

// phrase is parts with something between them, of which most are words in the phrases that people make up.
var (
	phrase = regexp.MustCompile(`^[A-Za-z0-9]+([-_ .,:/][A-Za-z0-9]+){3,}$`)
	word   = regexp.MustCompile(`^([A-Z]?[a-z]{1,14}|[A-Z]{1,14})$`)
)

// written are what secrets that were typed by hand are made of, too long to be in a random one by chance.
var written = []string{
	"secret", "password", "passwd", "changeme", "example", "default", "production", "development", "dekamond", "admin", "testing",
	"qwerty", "letmein", "welcome", "123456", "abcdef",
}

// examples are secrets of webhooks that the documents of Standard Webhooks and its libraries have.
var examples = []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}

// weakness says why a secret can be found by guessing, and nothing of it; it is "" where nothing speaks for that.
func weakness(s config.Secret) string {
	text := strings.TrimPrefix(s.Reveal(), "whsec_")
	switch {
	case len(text) < leastSecret:
		return "is short enough to be tried out"
	case slices.Contains(examples, text):
		return "is an example of some documentation"
	case config.Guessable(config.NewSecret(text)):
		return "repeats itself, or is one that everybody knows"
	case counted(text):
		return "follows the alphabet"
	case worded(text):
		return "is made of words"
	}
	return ""
}

// counted tells whether most characters are the one after the character before.
func counted(s string) bool {
	steps := 0
	for i := 1; i < len(s); i++ {
		if s[i] == s[i-1]+1 {
			steps++
		}
	}
	return steps > len(s)/2
}

func worded(s string) bool {
	if phrase.MatchString(s) {
		letters, all := 0, strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("-_ .,:/", r) })
		for _, part := range all {
			if word.MatchString(part) {
				letters += len(part)
			}
		}
		if letters*4 >= len(strings.Join(all, ""))*3 {
			return true
		}
	}
	rest := strings.ToLower(s)
	for _, part := range written {
		rest = strings.ReplaceAll(rest, part, "")
	}
	return len(rest) < len(s) && len(rest) < leastRest
}

// secrets looks at what the operator has made up.
func secrets(c *config.Config) (f findings) {
	type secret struct {
		name  string
		value config.Secret
	}
	all := []secret{
		{"OTP_SECRET", c.OTPSecret},
		{"JWT_SECRET", c.JWTSecret},
		{"HOOK_SECRET", c.HookSecret},
		{"SMS_WEBHOOK_SECRET", c.SMSWebhook.Secret},
		{"VONAGE_SIGNATURE_SECRET", c.Vonage.SignatureSecret},
	}
	for _, key := range c.AdminAPIKey {
		all = append(all, secret{"ADMIN_API_KEY", key})
	}
	const advice = "; make one with: openssl rand -base64 48"
	for i, s := range all {
		if s.value.IsZero() {
			continue
		}
		same := slices.IndexFunc(all[:i], func(other secret) bool { return other.value.Reveal() == s.value.Reveal() })
		switch weak := weakness(s.value); {
		case s.name == "VONAGE_SIGNATURE_SECRET" && same < 0: // Vonage has made it
		case same >= 0:
			f.add(Weak, s.name, "is the same as %s%s", all[same].name, advice)
		case weak != "":
			f.add(Weak, s.name, "%s%s", weak, advice)
		default:
			f.add(OK, s.name, "is long and shows no pattern")
		}
	}
	if c.OTPSecret.IsZero() {
		f.add(Note, "OTP_SECRET", "is made at the first start and kept in data/")
	}
	if c.JWTSecret.IsZero() && c.JWTKeys == "" {
		f.add(Note, "JWT_SECRET", "is made at the first start and kept in data/")
	}
	if len(c.AdminAPIKey) == 0 {
		f.add(Note, "ADMIN_API_KEY", "is not set: the admin calls answer 404")
	}
	return f
}
