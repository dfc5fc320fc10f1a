package config

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// A Secret is a string that does not print: fmt, slog and the encoders write [secret] in its place. It
// holds a pointer because fmt reads an unexported struct field without asking the Secret, and prints a
// pointer there as an address. The zero Secret is one that is not set.
type Secret struct{ v *string }

// NewSecret hides s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal is the string itself, and empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero tells whether there is nothing to hide.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Format hides the secret under every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret in the log.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from JSON and every other encoder that knows texts.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
