package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/text"
)

func level(s string) (l slog.Level, err error) {
	if s, err = either("debug", "info", "warn", "error")(s); err == nil {
		err = l.UnmarshalText([]byte(s))
	}
	return l, err
}

func limit(s string) (Limit, error) {
	events, window, _ := strings.Cut(s, "/")
	n, err := whole(1, 1000)(events)
	d, windowErr := seconds("1s", "24h")(window)
	const be = "be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h"
	return Limit{n, d}, setting.ErrorUnless(err == nil && windowErr == nil, be)
}

// testNumber has the form of ITU-T E.164 without its numbering plan: store reviewers get an invented number.
var testNumber = regexp.MustCompile(`^(\+[1-9][0-9]{6,14}):([0-9]+)$`)

func testNumbers(s string) (map[string]string, error) {
	codes := make(map[string]string)
	for item := range strings.SplitSeq(s, ",") {
		m := testNumber.FindStringSubmatch(strings.TrimSpace(item))
		if m == nil || codes[m[1]] != "" {
			return nil, setting.ErrorUnless(false, "be a list such as +15550001111:123456, with each number once")
		}
		codes[m[1]] = m[2]
	}
	return codes, nil
}

func region(s string) (string, error) {
	s = strings.ToUpper(s)
	return s, setting.ErrorUnless(phonenumbers.GetSupportedRegions()[s], "be an ISO 3166 code of two letters")
}

func (r *reader) providerNames(s string) ([]string, error) {
	var known []string
	for _, p := range r.providers {
		known = append(known, p.Name)
	}
	slices.Sort(known)
	names, err := setting.List(either(known...))(s)
	if err == nil {
		distinct := slices.Compact(slices.Sorted(slices.Values(names)))
		err = setting.ErrorUnless(len(distinct) == len(names), "name each provider once at most")
	}
	return names, err
}

// routes reads REGION=provider,provider;…;*=provider.
func (r *reader) routes(s string) (map[string][]string, error) {
	routes := make(map[string][]string)
	for item := range strings.SplitSeq(strings.TrimSuffix(s, ";"), ";") {
		name, list, _ := strings.Cut(item, "=")
		code, err := setting.Or("*", "*", region)(strings.TrimSpace(name))
		if err != nil || routes[code] != nil {
			const be = "be routes such as IR=kavenegar,smsir;*=twilio, with each region once"
			return nil, setting.ErrorUnless(false, be)
		}
		if routes[code], err = r.providerNames(strings.TrimSpace(list)); err != nil {
			return nil, fmt.Errorf("%w, in the list after each =", err)
		}
	}
	return routes, nil
}

// baseURL returns the URL without a slash at its end.
func baseURL(s string) (string, error) {
	s, err := setting.URL(strings.TrimRight(s, "/"))
	ok := err == nil && !strings.ContainsAny(s, "?#@")
	return s, setting.ErrorUnless(ok, "be a URL such as https://otp.example.com")
}

var pathSecretShape = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)

func pathSecret(s string) (string, error) {
	return s, setting.ErrorUnless(pathSecretShape.MatchString(s), "be 16 to 128 letters, digits, - and _")
}

func appHash(s string) (string, error) {
	return s, setting.ErrorUnless(text.IsAppHash(s), "be the 11 characters of the app's hash")
}

// originHost reads an origin, or its host alone, and returns the host.
func originHost(s string) (string, error) {
	s = strings.ToLower(s)
	s = strings.TrimSuffix(strings.TrimPrefix(s, "https://"), "/")
	return s, setting.ErrorUnless(text.IsHost(s), "be an origin such as https://login.example.com, without a port")
}

const maxName = 40 // Characters; a message has few.

// appName takes the zero-width non-joiner too, without which Persian names are misspelt.
func appName(s string) (string, error) {
	unfit := func(r rune) bool { return !unicode.IsPrint(r) && r != '\u200c' }
	ok := utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, unfit)
	return s, setting.ErrorUnless(ok, "be at most 40 printable characters")
}

// prefix refuses IPv4 addresses in IPv6 form, because clients' addresses are compared in IPv4 form.
func prefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if addr, addrErr := netip.ParseAddr(s); addrErr == nil && addr.Zone() == "" {
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return p.Masked(), setting.ErrorUnless(err == nil && !p.Addr().Is4In6(), "be a CIDR or an address")
}

// originShape is what a browser sends as Origin (RFC 6454 §7), in lower case. Apps have schemes of their own, such as
// capacitor://localhost.
var originShape = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[a-z0-9._-]+(:[0-9]+)?$|^https?://\[[0-9a-f:]+\](:[0-9]+)?$`)

// origin returns an origin in lower case, as browsers send it.
func origin(s string) (string, error) {
	s = strings.ToLower(s)
	return s, setting.ErrorUnless(originShape.MatchString(s), "be an origin such as https://example.com")
}

// postgresParameters are the parts of a Postgres URL that are settings of their own, too, with their names in the query
// of a URL (PostgreSQL manual, libpq, Environment Variables).
var postgresParameters = map[string]string{
	"PGDATABASE": "dbname",
	"PGHOST":     "host",
	"PGPASSWORD": "password",
	"PGPORT":     "port",
	"PGSSLMODE":  "sslmode",
	"PGUSER":     "user",
}

func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// hasPart reports whether a Postgres URL has a part, which is one of postgresParameters.
func hasPart(text, part string) bool {
	_, inside, _ := strings.Cut(text, "://")
	inside, query, _ := strings.Cut(inside, "?")
	if strings.Contains("&"+query, "&"+postgresParameters[part]+"=") {
		return true
	}
	authority, database, _ := strings.Cut(inside, "/")
	credentials, hosts, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		credentials, hosts = "", authority
	}
	user, password, _ := strings.Cut(credentials, ":")
	parts := map[string]string{"PGDATABASE": database, "PGHOST": hosts, "PGPASSWORD": password, "PGUSER": user}
	return parts[part] != ""
}

// databaseURL leaves the rest of a Postgres URL to the driver, which reads more than net/url does. In sqlite:PATH it
// refuses //, which some programs read as a relative path and some as an absolute one.
func databaseURL(s string) (string, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	inside, slashes := strings.CutPrefix(rest, "//")
	postgres := isPostgres(s)
	sqlite := scheme == "sqlite" && !slashes
	authority, _, _ := strings.Cut(inside, "/")
	twice := strings.Count(authority, "@") > 1 // the driver takes what is behind the first @ for the host
	if postgres && (twice || hasRawCredentials(inside)) {
		return s, setting.ErrorUnless(false, escape+"; or leave the password out of it, and set PGPASSWORD")
	}
	return s, setting.ErrorUnless((postgres || sqlite) && inside != "", "be postgres://… or sqlite:PATH")
}

const escape = "be a URL whose user and password are escaped: / is %2F, ? is %3F, # is %23, % is %25, @ is %40"

// hasRawCredentials reports whether the text behind the // of a URL has a user or a password that was pasted without
// escaping it. Such a character ends the part in which the credentials are, so that the @ behind them is found in a
// later part, where no URL of a store has one, apart from the value of a parameter.
func hasRawCredentials(inside string) bool {
	end := len(inside)
	if i := strings.IndexAny(inside, "/?#"); i >= 0 {
		end = i
	}
	authority, rest := inside[:end], inside[end:]
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		_, err := url.Parse("//" + authority[:at] + "@host")
		return err != nil
	}
	path, query, _ := strings.Cut(rest, "?")
	if strings.ContainsAny(path, "#@") || strings.Contains(query, "#") {
		return strings.Contains(rest, "@")
	}
	for parameter := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(parameter, "="); strings.Contains(name, "@") {
			return true
		}
	}
	return false
}

func redisURL(s string) (string, error) {
	if _, inside, _ := strings.Cut(s, "://"); hasRawCredentials(inside) {
		return s, setting.ErrorUnless(false, escape)
	}
	const be = "be redis://HOST or rediss://HOST, with commas between several hosts"
	return s, setting.ErrorUnless(redisHosts(s) > 0, be)
}

// redisHosts returns the number of hosts in a Redis URL; 0 if it is not one. Each host is checked in a URL of its own,
// because net/url reads no list of hosts with ports.
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
	return s, setting.ErrorUnless(len(s) >= 32, "be at least 32 bytes long")
}

// strong refuses a secret that is long and yet found by guessing.
func strong(s string) (string, error) {
	if _, err := long(s); err != nil {
		return s, err
	}
	if secret.IsRepetitive(s) {
		return s, setting.ErrorUnless(false, "not repeat a part of itself")
	}
	const be = "be a secret of your own, such as openssl rand -base64 48 makes"
	return s, setting.ErrorUnless(!secret.IsKnown(s), be)
}

// folder refuses a key in place of the folder that holds it, because an error about the folder would quote the key.
func folder(s string) (string, error) {
	return s, setting.ErrorUnless(!strings.ContainsAny(s, "\r\n"), "be the path of a folder")
}

// file refuses the text of a file in place of its path.
func file(s string) (string, error) {
	return s, setting.ErrorUnless(!strings.ContainsAny(s, "\r\n<"), "be the path of a file")
}

func color(s string) (brand.Color, error) {
	c, ok := brand.ParseColor(s)
	return c, setting.ErrorUnless(ok, "be a colour such as #3f51d9")
}
