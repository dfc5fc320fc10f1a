package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"dekamond-otp/internal/secret"
)

// A parser reads a value that is not empty. Its error says what the value must be, not what it is.
type parser[T any] = func(s string) (T, error)

func must(ok bool, be string) error {
	if ok {
		return nil
	}
	return errors.New("must " + be)
}

// list reads values with commas between. An empty one is as wrong as parse finds it.
func list[T any](parse parser[T]) parser[[]T] {
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

// or reads the word as the given value and everything else with parse.
func or[T any](word string, value T, parse parser[T]) parser[T] {
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

func hidden(parse parser[string]) parser[secret.Secret] {
	return func(s string) (secret.Secret, error) {
		s, err := parse(s)
		return secret.New(s), err
	}
}

func oneOf(known ...string) parser[string] {
	last := len(known) - 1
	be := "be " + strings.Join(known[:last], ", ") + " or " + known[last]
	return func(s string) (string, error) { return s, must(slices.Contains(known, s), be) }
}

func level(s string) (l slog.Level, err error) {
	if s, err = oneOf("debug", "info", "warn", "error")(s); err == nil {
		err = l.UnmarshalText([]byte(s))
	}
	return l, err
}

func yesNo(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	return b, must(err == nil, "be true or false")
}

func whole(least, most int) parser[int] {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		return n, must(err == nil && least <= n && n <= most, fmt.Sprintf("be a whole number from %d to %d", least, most))
	}
}

// seconds reads a duration without fractions of a second, which answers and tokens could not tell.
func seconds(least, most string) parser[time.Duration] {
	low, _ := time.ParseDuration(least)
	high, _ := time.ParseDuration(most)
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		ok := err == nil && low <= d && d <= high && d%time.Second == 0
		return d, must(ok, "be a duration from "+least+" to "+most+" in whole seconds")
	}
}

func limit(s string) (Limit, error) {
	events, window, _ := strings.Cut(s, "/")
	n, err := whole(1, 1000)(events)
	d, windowErr := seconds("1s", "24h")(window)
	return Limit{n, d}, must(err == nil && windowErr == nil, "be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h")
}

// testNumber has the shape of ITU-T E.164, not its numbering plan: store reviewers get an invented one.
var testNumber = regexp.MustCompile(`^(\+[1-9][0-9]{6,14}):([0-9]+)$`)

func testNumbers(s string) (map[string]string, error) {
	codes := make(map[string]string)
	for item := range strings.SplitSeq(s, ",") {
		m := testNumber.FindStringSubmatch(strings.TrimSpace(item))
		if m == nil || codes[m[1]] != "" {
			return nil, must(false, "be a list such as +15550001111:123456, with each number once")
		}
		codes[m[1]] = m[2]
	}
	return codes, nil
}

func region(s string) (string, error) {
	s = strings.ToUpper(s)
	return s, must(phonenumbers.GetSupportedRegions()[s], "be an ISO 3166 code of two letters")
}

func providers(s string) ([]string, error) {
	known := slices.Sorted(maps.Keys(Providers))
	names, err := list(oneOf(known...))(s)
	if err == nil {
		distinct := slices.Compact(slices.Sorted(slices.Values(names)))
		err = must(len(distinct) == len(names), "name each provider once at most")
	}
	return names, err
}

// routes reads REGION=provider,provider;…;*=provider.
func routes(s string) (map[string][]string, error) {
	routes := make(map[string][]string)
	for item := range strings.SplitSeq(strings.TrimSuffix(s, ";"), ";") {
		name, list, _ := strings.Cut(item, "=")
		code, err := or("*", "*", region)(strings.TrimSpace(name))
		if err != nil || routes[code] != nil {
			return nil, must(false, "be routes such as IR=kavenegar,smsir;*=twilio, with each region once")
		}
		if routes[code], err = providers(strings.TrimSpace(list)); err != nil {
			return nil, fmt.Errorf("after each = %w", err)
		}
	}
	return routes, nil
}

func anything(s string) (string, error) { return s, nil }

// base gives the URL without a slash at the end.
func base(s string) (string, error) {
	s, err := httpURL(strings.TrimRight(s, "/"))
	return s, must(err == nil && !strings.ContainsAny(s, "?#@"), "be a URL such as https://otp.example.com")
}

var (
	pathSecretShape = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)
	appHashShape    = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)
	hostShape       = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*$`)
)

func pathSecret(s string) (string, error) {
	return s, must(pathSecretShape.MatchString(s), "be 16 to 128 letters, digits, - and _")
}

// appHash is the shape of what Android's SMS Retriever computes from package and certificate.
func appHash(s string) (string, error) {
	return s, must(appHashShape.MatchString(s), "be the 11 characters of the app's hash")
}

// host reads an origin, or its host alone.
func host(s string) (string, error) {
	s = strings.ToLower(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "https://"), "/")
	return s, must(hostShape.MatchString(s), "be an origin such as https://login.example.com, without a port")
}

const maxName = 40 // characters; a message has few

func name(s string) (string, error) {
	unfit := func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' } // the half space, without which Persian names are misspelt
	ok := utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, unfit)
	return s, must(ok, "be at most 40 printable characters")
}

func hostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	_, portErr := strconv.ParseUint(port, 10, 16)
	return s, must(err == nil && portErr == nil, "be host:port")
}

// prefix refuses IPv4 addresses in IPv6 form: clients' addresses are compared without it.
func prefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if addr, addrErr := netip.ParseAddr(s); addrErr == nil && addr.Zone() == "" {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return p.Masked(), must(err == nil && !p.Addr().Is4In6(), "be a CIDR or an address")
}

func httpURL(s string) (string, error) {
	u, err := url.Parse(s)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
	return s, must(ok, "be a URL of http or https")
}

// origin gives the origin as browsers send it (RFC 6454 §6.2): in lower case, with nothing after the host.
func origin(s string) (string, error) {
	s, err := httpURL(strings.ToLower(s))
	_, host, _ := strings.Cut(s, "://")
	return s, must(err == nil && !strings.ContainsAny(host, "/?#@*"), "be an origin such as https://example.com")
}

// databaseURL leaves the inside of a Postgres URL to the driver, which reads more than net/url does. In
// sqlite:PATH it refuses //, which some read as a relative path and some as an absolute one.
func databaseURL(s string) (string, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	inside, slashes := strings.CutPrefix(rest, "//")
	postgres := (scheme == "postgres" || scheme == "postgresql") && slashes
	sqlite := scheme == "sqlite" && !slashes
	return s, must((postgres || sqlite) && inside != "", "be postgres://… or sqlite:PATH")
}

func redisURL(s string) (string, error) {
	return s, must(redisHosts(s) > 0, "be redis://HOST or rediss://HOST, with commas between several hosts")
}

// redisHosts counts the hosts of a Redis URL; 0 means that it is none. net/url reads no list of hosts
// with ports, so each is checked in a URL of its own.
func redisHosts(s string) (n int) {
	scheme, rest, _ := strings.Cut(s, "://")
	if scheme != "redis" && scheme != "rediss" {
		return 0
	}
	hosts, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		hosts, path = rest[:i], rest[i:]
	}
	at := strings.LastIndex(hosts, "@") + 1
	for host := range strings.SplitSeq(hosts[at:], ",") {
		u, err := url.Parse(scheme + "://" + hosts[:at] + host + path)
		if err != nil || u.Hostname() == "" {
			return 0
		}
		n++
	}
	return n
}

func long(s string) (string, error) {
	return s, must(len(s) >= 32, "be at least 32 bytes long")
}

// folder refuses a key in place of the folder that holds it, since an error about the folder names it.
func folder(s string) (string, error) {
	return s, must(!strings.ContainsAny(s, "\r\n"), "be the path of a folder")
}

// strong refuses a secret that is long and yet found by guessing.
func strong(s string) (string, error) {
	if _, err := long(s); err != nil {
		return s, err
	}
	if secret.IsRepetitive(s) {
		return s, must(false, "not repeat a part of itself")
	}
	return s, must(!secret.IsKnown(s), "be a secret of your own, such as openssl rand -base64 48 makes")
}

// webhookSecret holds a whsec_ secret to the Standard Webhooks specification; any other is used as it is.
func webhookSecret(s string) (string, error) {
	text, standard := strings.CutPrefix(s, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	ok := err == nil && 24 <= len(key) && len(key) <= 64
	return s, must(ok || !standard, "be base64 of 24 to 64 bytes after whsec_")
}
