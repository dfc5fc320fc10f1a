package secret

import (
	"regexp"
	"slices"
	"strings"
)

const (
	leastDistinct = 8  // Different bytes of a secret; 32 random hexadecimal digits have 14.
	leastLength   = 16 // Bytes; a shorter secret is found by trying all of them.
	leastRest     = 24 // Bytes that are left once the words of written are taken out.
)

var (
	// placeholder matches the words by which documentation asks for a secret of the reader's own.
	placeholder = regexp.MustCompile(
		`(?i)(^|[^a-z0-9])(your|(change|replace).?(me|it|this)|in.?production)([^a-z0-9]|$)`)

	// phrase matches at least four parts with separators between them.
	phrase = regexp.MustCompile(`^[A-Za-z0-9]+([-_ .,:/][A-Za-z0-9]+){3,}$`)
	word   = regexp.MustCompile(`^([A-Z]?[a-z]{1,14}|[A-Z]{1,14})$`)
)

// written are words that people type into secrets; each is too long to stand in a random secret by chance.
var written = []string{
	"secret", "password", "passwd", "changeme", "example", "default", "production", "development", "dekamond", "admin",
	"testing", "qwerty", "letmein", "welcome", "123456", "abcdef",
}

// known are secrets of at least 32 bytes, in lower case, that documentation and tutorials use for tokens, and that
// are found in the settings of many services.
var known = []string{
	"a-string-secret-at-least-256-bits-long",                                  // jwt.io
	"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long", // jwt.io
	"404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
	"586e3272357538782f413f4428472b4b6250655368566b597033733676397924",
	"3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
	"my-32-character-ultra-secure-and-ultra-long-secret",
	"this is my custom secret key for authentication",
	"this is my custom secret key for authnetication",
	"secretkeysecretkeysecretkeysecretkeysecretkey123",
	"my-secret-key-that-is-at-least-32-bytes-long",
	"abcdefghijklmnopqrstuvwxyz0123456789",
	"abcdefghijklmnopqrstuvwxyz123456",
	"abcdefghijklmnopqrstuvwxyzabcdef",
	"0123456789abcdefghijklmnopqrstuvwxyz",
}

// examples are the webhook secrets in the documents of Standard Webhooks and of its libraries.
var examples = []string{"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}

// IsRepetitive reports whether s is made of a repeated part, or of few different bytes.
func IsRepetitive(s string) bool {
	distinct := make(map[byte]bool)
	for i := range len(s) {
		distinct[s[i]] = true
		if i > 0 && i <= len(s)/2 && strings.HasPrefix(s, s[i:]) {
			return true
		}
	}
	return len(distinct) < leastDistinct
}

// IsKnown reports whether s stands in well-known documentation, or is a placeholder that was never replaced.
func IsKnown(s string) bool {
	return slices.Contains(known, strings.ToLower(s)) || placeholder.MatchString(s)
}

// Weakness returns why the secret can be found by guessing, as the rest of a sentence about it, or "" if nothing
// suggests that. The text quotes no part of the secret.
func Weakness(s Secret) string {
	text := strings.TrimPrefix(s.Reveal(), "whsec_")
	switch {
	case len(text) < leastLength:
		return "is short enough to be found by trying"
	case slices.Contains(examples, text):
		return "is an example from some documentation"
	case IsRepetitive(text), IsKnown(text):
		return "is repetitive or publicly known"
	case isSequence(text):
		return "follows the alphabet"
	case isWorded(text):
		return "is made of words"
	}
	return ""
}

// isSequence reports whether most bytes of s follow the byte before them in the alphabet.
func isSequence(s string) bool {
	steps := 0
	for i := 1; i < len(s); i++ {
		if s[i] == s[i-1]+1 {
			steps++
		}
	}
	return steps > len(s)/2
}

// isWorded reports whether s is a phrase that consists mostly of words, or has little else than words of written.
func isWorded(s string) bool {
	if phrase.MatchString(s) {
		parts := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("-_ .,:/", r) })
		letters := 0
		for _, part := range parts {
			if word.MatchString(part) {
				letters += len(part)
			}
		}
		if letters*4 >= len(strings.Join(parts, ""))*3 {
			return true
		}
	}
	rest := strings.ToLower(s)
	for _, w := range written {
		rest = strings.ReplaceAll(rest, w, "")
	}
	return len(rest) < len(s) && len(rest) < leastRest
}
