package setting

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/secret"
)

// A Parser reads a value that is not empty. Its error says what the value must be, not what it is.
type Parser[T any] = func(s string) (T, error)

// ErrorUnless returns nil if ok, and otherwise an error that reads "must " followed by what.
func ErrorUnless(ok bool, what string) error {
	if ok {
		return nil
	}
	return errors.New("must " + what)
}

// Any takes every text.
func Any(s string) (string, error) { return s, nil }

// List reads values with commas between them. Each value, even an empty one, is read by parse.
func List[T any](parse Parser[T]) Parser[[]T] {
	return func(s string) (values []T, err error) {
		for item := range strings.SplitSeq(s, ",") {
			value, err := parse(strings.TrimSpace(item))
			if err != nil {
				return nil, fmt.Errorf("each %w", err)
			}
			values = append(values, value)
		}
		return values, nil
	}
}

// Or reads word as value, and everything else by parse.
func Or[T any](word string, value T, parse Parser[T]) Parser[T] {
	return func(s string) (T, error) {
		if s == word {
			return value, nil
		}
		parsed, err := parse(s)
		if err != nil {
			err = fmt.Errorf("%w, or %s", err, word)
		}
		return parsed, err
	}
}

// Secret hides what parse returns.
func Secret(parse Parser[string]) Parser[secret.Secret] {
	return func(s string) (secret.Secret, error) {
		s, err := parse(s)
		return secret.New(s), err
	}
}

// OneOf takes the known words alone, of which there must be two at least.
func OneOf(known ...string) Parser[string] {
	last := len(known) - 1
	be := "be " + strings.Join(known[:last], ", ") + " or " + known[last]
	return func(s string) (string, error) { return s, ErrorUnless(slices.Contains(known, s), be) }
}

// Bool reads what strconv.ParseBool does.
func Bool(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	return b, ErrorUnless(err == nil, "be true or false")
}

// Int reads a whole number from least to most.
func Int(least, most int) Parser[int] {
	be := fmt.Sprintf("be a whole number from %d to %d", least, most)
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		return n, ErrorUnless(err == nil && least <= n && n <= most, be)
	}
}

// Duration reads a duration from least to most, both in the form of time.ParseDuration.
func Duration(least, most string) Parser[time.Duration] {
	return multiple(least, most, time.Nanosecond, "")
}

// Seconds is Duration without fractions of a second, which answers and tokens could not express.
func Seconds(least, most string) Parser[time.Duration] {
	return multiple(least, most, time.Second, " in whole seconds")
}

// multiple reads a duration that is a multiple of a unit. The words complete the sentence that says so.
func multiple(least, most string, unit time.Duration, words string) Parser[time.Duration] {
	low, _ := time.ParseDuration(least)
	high, _ := time.ParseDuration(most)
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		ok := err == nil && low <= d && d <= high && d%unit == 0
		return d, ErrorUnless(ok, "be a duration from "+least+" to "+most+words)
	}
}

// byteUnits are the units of Bytes, in lower case.
var byteUnits = map[string]int{
	"":    1,
	"k":   1 << 10,
	"kb":  1 << 10,
	"kib": 1 << 10,
	"m":   1 << 20,
	"mb":  1 << 20,
	"mib": 1 << 20,
}

// Bytes reads a size from least to most bytes: a whole number of bytes, of KiB or of MiB. As in other servers, k and KB
// stand for KiB.
func Bytes(least, most int) Parser[int] {
	be := fmt.Sprintf("be a size from %d to %d KiB, such as %dKiB", least>>10, most>>10, least>>10)
	return func(s string) (int, error) {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseUint(s[:digits], 10, 32)
		unit, known := byteUnits[strings.ToLower(strings.TrimSpace(s[digits:]))]
		size := int(n) * unit
		return size, ErrorUnless(err == nil && known && least <= size && size <= most, be)
	}
}

// HostPort takes host:port; the host may be empty, the port is a number.
func HostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return s, ErrorUnless(err == nil && portErr == nil, "be host:port")
}

// URL takes a URL of http or https with a host.
func URL(s string) (string, error) {
	u, err := url.Parse(s)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
	return s, ErrorUnless(ok, "be a URL of http or https")
}
