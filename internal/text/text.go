// Package text owns the words of a message: its language, its text and the lines by which a phone fills in the code.
// Package otp makes the codes, and package sms delivers the messages.
//
// A message begins with the code, so that a notification shows it, and because autofill uses the first number. Its text
// is the longest one that costs the fewest segments, because each segment is paid for.
//
// Templates are rendered once, by New. From then on a message is its code between constant pieces, so that a fault in
// a template keeps the service from starting, and never a person from logging in.
package text

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/language"
)

// Options are the inputs of New.
type Options struct {
	// App is the service's name, on one line. It may be empty: the texts do without it then.
	App string
	// Digits is the length of a code, from 6 on. A message is chosen for this length and for LongDigits.
	Digits int
	// LongDigits is the length of the codes that are longer than usual, up to 12. It may be the same as Digits.
	LongDigits int
	// TTL is how long a code is valid at most.
	TTL time.Duration
	// Origin is the login page's host, without a port. If it is empty, messages have no line for browsers.
	Origin string
	// AndroidHash is the 11 characters that identify the app to Android's SMS Retriever. If it is empty, messages have
	// no line for Android.
	AndroidHash string
	// Folder holds the operator's own templates. It may be empty.
	Folder string

	minutes int // that a text names
	digits  int // of the code that it is measured with
}

// check returns an error for an option that would break the form of every message.
func (o Options) check() error {
	switch {
	case o.Digits < 6 || o.LongDigits < o.Digits || o.LongDigits > 12:
		return fmt.Errorf("codes of %d and %d digits", o.Digits, o.LongDigits)
	case strings.ContainsFunc(o.App, unicode.IsControl):
		return errors.New("the app's name has a control character")
	case o.Origin != "" && !IsHost(o.Origin):
		return fmt.Errorf("%q is not a host alone: no scheme, no port, no path", o.Origin)
	case o.AndroidHash != "" && !IsAppHash(o.AndroidHash):
		return fmt.Errorf("%q is not an Android app's hash: 11 characters of base64", o.AndroidHash)
	}
	return nil
}

var (
	// An origin-bound code is bound to ("https", host, null), without a port (WICG sms-one-time-codes §3.2). Chrome's
	// parser reads only these characters.
	host = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
	hash = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)
)

// IsHost reports whether s is the host of an origin that a message can be bound to: without scheme, port and path.
func IsHost(s string) bool { return len(s) <= 253 && host.MatchString(s) }

// IsAppHash reports whether s has the form of the hash by which Android's SMS Retriever knows an app.
func IsAppHash(s string) bool { return hash.MatchString(s) }

const (
	login       = "login"
	phoneChange = "phone_change"

	fallback = "en"
)

var purposes = []string{login, phoneChange}

// Texts composes messages. It is safe for use by many goroutines.
type Texts struct {
	locales  []string        // sorted tags
	bases    []language.Base // their languages
	matcher  language.Matcher
	regions  sync.Map // the locale of each region that was asked for
	minutes  int      // that the texts may name, at most
	lengths  []int    // of codes, the usual one first
	messages map[key]message
}

type key struct {
	locale, purpose string
	minutes, digits int
}

// New renders every template, the shipped ones and those of o.Folder. Its error names the option, or the file and the
// template, that is at fault.
func New(o Options) (*Texts, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	files := make(map[string]templates)
	if err := load(files, shipped, "locales"); err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	if o.Folder != "" {
		if err := load(files, os.DirFS(o.Folder), "."); err != nil {
			return nil, fmt.Errorf("text: %s: %w", o.Folder, err)
		}
	}
	t := &Texts{
		locales:  slices.Sorted(maps.Keys(files)),
		minutes:  minutes(o.TTL),
		lengths:  slices.Compact([]int{o.Digits, o.LongDigits}),
		messages: make(map[key]message),
	}
	var tags []language.Tag
	for _, locale := range t.locales {
		tag := language.MustParse(locale)
		tags, t.bases = append(tags, tag), append(t.bases, base(tag))
		for _, purpose := range purposes {
			if err := t.prepare(o, files[locale], locale, purpose); err != nil {
				return nil, fmt.Errorf("text: %w", err)
			}
		}
	}
	t.matcher = language.NewMatcher(tags)
	return t, nil
}

// prepare chooses the messages of a locale for a purpose, for every life and length of a code.
func (t *Texts) prepare(o Options, file templates, locale, purpose string) (err error) {
	for n := range t.minutes {
		for _, digits := range t.lengths {
			o.minutes, o.digits = 1+n, digits
			if t.messages[key{locale, purpose, o.minutes, digits}], err = o.choose(file, purpose); err != nil {
				return err
			}
		}
	}
	return nil
}

// Compose returns the message for a purpose: login, or phone_change, whose code moves an account to the number. The
// locale is one that Locale returned; any other means English. life is how long the code is still valid. The message is
// the one for the length of the code, or for the usual length if the code has another one.
func (t *Texts) Compose(locale, purpose, code string, life time.Duration) string {
	n, digits := min(minutes(life+untilSent), t.minutes), len(code)
	if !slices.Contains(t.lengths, digits) {
		digits = t.lengths[0]
	}
	m, ok := t.messages[key{locale, purpose, n, digits}]
	if !ok {
		m = t.messages[key{fallback, purpose, n, digits}]
	}
	return strings.Join(m.pieces, code)
}

// untilSent is how much of a code's life may have passed before its message is composed.
const untilSent = 10 * time.Second

// minutes returns a life in whole minutes, at least one.
func minutes(life time.Duration) int { return max(1, int(life/time.Minute)) }

// A Cost describes a message that needs more than one segment or, with an Android hash, more than 140 bytes.
type Cost struct {
	Locale, Purpose string // the purpose is login or phone_change
	Digits          int    // of the shortest code with which it needs them
	Segments        int
	Characters      int // septets of the GSM alphabet, or UTF-16 units
	Bytes           int // of UTF-8
}

// Costs returns the messages of which no variant is short enough, sorted by locale and purpose.
func (t *Texts) Costs() []Cost {
	var costs []Cost
	for _, locale := range t.locales {
		for _, purpose := range purposes {
			for _, digits := range t.lengths {
				if m := t.messages[key{locale, purpose, t.minutes, digits}]; m.price > 1 {
					costs = append(costs, Cost{locale, purpose, digits, m.segments, m.characters, m.bytes})
					break
				}
			}
		}
	}
	return costs
}
