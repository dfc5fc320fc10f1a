// Package secret owns what every secret of the service has in common: that it never prints, how the secrets of
// development are made and kept on disk, and what makes a secret weak. It leaves which settings are secrets to the
// packages that read them.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// A Secret is a string that does not print: fmt, slog and every encoder write [secret] in its place. It holds a
// pointer because fmt reads an unexported struct field without calling its methods, and prints a pointer there as an
// address. The zero Secret is not set.
type Secret struct{ v *string }

// New returns a Secret that hides s.
func New(s string) Secret { return Secret{&s} }

// Reveal returns the hidden string; it is empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero reports whether the hidden string is empty.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Format writes [secret] under every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText keeps the string out of JSON and of every other encoder that honours encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
