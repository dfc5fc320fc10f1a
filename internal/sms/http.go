package sms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

const (
	maxAnswer   = 64 << 10         // Bytes of an answer that are read.
	idleConns   = 128              // Connections that are kept per host; net/http's default is 2.
	idleTimeout = 30 * time.Second // Shorter than the 60 s after which load balancers commonly hang up.
	dialTimeout = 2 * time.Second
)

var errNoAnswer = errors.New("no valid HTTP answer")

// newTransport returns a transport with connections of its own. It is used without an http.Client, which would follow
// redirects, and quote those that it does not follow.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
		ForceAttemptHTTP2:   true,
	}
}

// An answer is the complete answer of a service.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes the request and reads the whole answer. Its errors quote neither of them.
func call(t *http.Transport, r *http.Request) (answer, error) {
	r.Header.Set("User-Agent", "dekamond-otp")
	trace.Inject(r.Context(), r.Header)
	response, err := t.RoundTrip(r)
	if err != nil {
		return answer{}, cause(r.Context(), err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, cause(r.Context(), err)
	}
	if len(body) > maxAnswer {
		return answer{}, errNoAnswer
	}
	return answer{response.StatusCode, response.Header, body}, nil
}

// postForm posts a form. The names in h have the canonical form of http.Header; h may be nil.
func postForm(ctx context.Context, t *http.Transport, address string, h http.Header, form url.Values) (answer, error) {
	return post(ctx, t, address, h, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// postJSON posts a value as JSON, as postForm posts a form.
func postJSON(ctx context.Context, t *http.Transport, address string, h http.Header, value any) (answer, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	return post(ctx, t, address, h, "application/json", body)
}

func post(
	ctx context.Context, t *http.Transport, address string, h http.Header, contentType string, body []byte,
) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	maps.Copy(r.Header, h)
	r.Header.Set("Content-Type", contentType)
	return call(t, r)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

// baseURL returns the configured address, or else the published one, without a final slash.
func baseURL(configured, published string) string {
	return strings.TrimRight(cmp.Or(configured, published), "/")
}

// provesSecret reports whether the path of a callback ends in the secret. Without a secret it never does.
func provesSecret(c otp.Callback, secret string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// ok reports whether the status is 2xx.
func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// providerStatuses are the statuses of 4xx that say nothing about the message: wrong credentials, a wrong address, or a
// request to wait.
var providerStatuses = []int{
	http.StatusUnauthorized,
	http.StatusForbidden,
	http.StatusNotFound,
	http.StatusProxyAuthRequired,
	http.StatusRequestTimeout,
	http.StatusTooEarly,
	http.StatusTooManyRequests,
}

// failure returns what status and headers say; the provider adds what it knows from the body. Code and text are the
// service's; they are scrubbed of everything that looks like a number or a code.
func (a answer) failure(code, text string) *Failure {
	f := &Failure{Status: a.status, Code: scrubCode(code), Text: scrub(text), RetryAfter: retryAfter(a.header)}
	if a.status >= 400 && a.status <= 499 && !slices.Contains(providerStatuses, a.status) {
		f.Scope = ScopeMessage
	}
	return f
}

// throttled turns f into the failure of a 429, for services that throttle by another answer.
func (f *Failure) throttled() *Failure {
	f.Status, f.Scope = http.StatusTooManyRequests, ScopeProvider
	return f
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3), in seconds or as a date.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 && seconds < 1<<31 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// digits matches runs of digits, in any script, that could be a phone number or a code.
var digits = regexp.MustCompile(`\+?\p{Nd}(?:[ ().\-]{0,2}\p{Nd}){3,}`)

const maxText = 160 // Bytes of a service's explanation.

// scrub makes a service's text fit for the log.
func scrub(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.TrimSpace(digits.ReplaceAllString(text, "•••"))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// scrubCode returns what looks like the code of an error: a few letters and digits that cannot be a phone number.
func scrubCode(code string) string {
	foreign := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
	}
	phone := len(code) > 6 && strings.Trim(code, "+0123456789") == ""
	if len(code) > 40 || phone || strings.ContainsFunc(code, foreign) {
		return "unreadable"
	}
	return code
}

// cause returns the part of net/http's error that quotes neither the request nor the answer. An error such as
// "malformed HTTP response" includes the line that the provider sent, which may repeat our own.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate
	}
	return errNoAnswer
}
