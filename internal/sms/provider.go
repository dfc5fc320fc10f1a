package sms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
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

// A Provider hands messages to one messaging service. It is safe for use by many goroutines, asks the
// service once for each Send, and bounds the wait by ctx alone.
type Provider interface {
	// Channels are those that the provider offers, the preferred one first.
	Channels() []string
	// Send gives the service's identifier of the message, by which delivery reports name it, or "" where
	// there is none. Errors are a *Failure where the service said no, and otherwise what kept it from
	// answering; none quotes the number, the code or a credential.
	Send(ctx context.Context, m otp.Message) (id string, err error)
}

// A Reporter reads the delivery reports of a provider.
type Reporter interface {
	// Read gives the reports of a callback that say the last word on a message: none of the steps between.
	// Its errors are otp.ErrForged and otp.ErrCallback.
	Read(c otp.Callback) ([]otp.Report, error)
}

// A Failure is a service's no.
type Failure struct {
	Status     int           // of the HTTP answer; 0 where there was none
	Code       string        // the service's own
	Text       string        // the service's explanation, scrubbed
	RetryAfter time.Duration // how long the service wants to be left alone; 0 = it did not say
	Rejected   bool          // the number is what is wrong: no other provider would do better
	Refused    bool          // it is this message, its number or its country that the provider does not take; it does others
}

// refusal is a provider's no to what it need not ask its service.
func refusal(text string) *Failure { return &Failure{Text: text, Refused: true} }

// Error is like: answered 400, code 21211: The 'To' number ••• is not valid.
func (f *Failure) Error() string {
	if f.Status == 0 && f.Code == "" {
		return f.Text
	}
	s := "answered"
	if f.Status != 0 {
		s += " " + strconv.Itoa(f.Status)
	}
	if f.Code != "" {
		s += ", code " + f.Code
	}
	if f.Text != "" {
		s += ": " + f.Text
	}
	return s
}

// Unwrap is otp.ErrRejected for a rejected number.
func (f *Failure) Unwrap() error {
	if f.Rejected {
		return otp.ErrUndeliverable
	}
	return nil
}

// private keeps a provider's credentials out of logs. It is embedded in every provider that has some.
type private struct{}

// Format prints no field.
func (private) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[provider]") }

const (
	maxAnswer   = 64 << 10         // bytes of an answer that are read
	idleConns   = 128              // kept; net/http keeps 2 a host
	idleTimeout = 30 * time.Second // below the 60 s after which load balancers commonly hang up
	dialTimeout = 2 * time.Second
)

var errNoAnswer = errors.New("no valid HTTP answer")

// newTransport gives connections of a provider's own. It is not used through an http.Client, which follows
// redirects, and parses and quotes those that it does not follow.
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

// An answer is a service's whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask makes the call and reads the answer to its end. Its errors quote neither.
func ask(t *http.Transport, r *http.Request) (answer, error) {
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

// postForm makes a call with a form, and with headers of its own, named as http.Header names them.
func postForm(ctx context.Context, t *http.Transport, address string, h http.Header, form url.Values) (answer, error) {
	return post(ctx, t, address, h, "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// postJSON is postForm for a value as JSON.
func postJSON(ctx context.Context, t *http.Transport, address string, h http.Header, value any) (answer, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	return post(ctx, t, address, h, "application/json", body)
}

func post(ctx context.Context, t *http.Transport, address string, h http.Header, contentType string, body []byte) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	maps.Copy(r.Header, h)
	r.Header.Set("Content-Type", contentType)
	return ask(t, r)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// baseURL is the provider's own address, unless the options have another, without a slash at the end.
func baseURL(option, own string) string { return strings.TrimRight(cmp.Or(option, own), "/") }

// bySecret tells whether a callback proves itself by the secret in its path. Without a secret none does.
func bySecret(c otp.Callback, secret string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// ok tells whether the status is one of success.
func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// failure gives what the status and the headers say; the provider adds what it knows from the body. The
// texts of a service are scrubbed of the message's number and code, and of everything that looks like one.
func (a answer) failure(code, text string) *Failure {
	return &Failure{
		Status: a.status, Code: scrubCode(code), Text: scrub(text), RetryAfter: retryAfter(a.header),
		Refused: a.status >= 400 && a.status <= 499 && !slices.Contains(forAll, a.status),
	}
}

// forAll are the statuses of 4xx that say nothing of the one message: wrong credentials or address, and not now.
var forAll = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusProxyAuthRequired,
	http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
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

// numbers are runs of digits, in any script, that could be a phone number or a code.
var numbers = regexp.MustCompile(`\+?\p{Nd}(?:[ ().\-]{0,2}\p{Nd}){3,}`)

const maxText = 160 // bytes of a service's explanation

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
	text = strings.TrimSpace(numbers.ReplaceAllString(text, "•••"))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// scrubCode lets through what looks like a service's code for an error: few letters and digits, and no number that
// could be a phone's.
func scrubCode(code string) string {
	if len(code) > 40 || len(code) > 6 && strings.Trim(code, "+0123456789") == "" || strings.ContainsFunc(code, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
	}) {
		return "unreadable"
	}
	return code
}

// cause keeps of net/http's error only what quotes neither the request nor the answer: "malformed HTTP
// response" comes with the line that the provider sent, which may be our own.
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
