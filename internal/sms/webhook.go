package sms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	// Standard Webhooks 1.0.0 recommends 15 to 30 s, for events that nobody waits for.
	defaultTimeout = 5 * time.Second

	// A kept connection serves again once its answer was read to the end. What is longer or slower than
	// this costs the connection instead.
	drainBytes = 4 << 10
	drainTime  = 100 * time.Millisecond

	idleConns   = 128              // kept; net/http keeps 2 a host
	idleTimeout = 30 * time.Second // below the 60 s after which load balancers commonly hang up
)

// WebhookOptions are the inputs of NewWebhook.
type WebhookOptions struct {
	URL     string        // http or https; user and password in it are sent as basic auth
	Secret  string        // whsec_ and the base64 of 24 to 64 bytes, or any other text, used as it is; empty = unsigned, for development
	Timeout time.Duration // until the status of the answer; 0 = 5 s
}

// Webhook delivers messages to an HTTP endpoint, signed as Standard Webhooks 1.0.0 says. It is safe for
// use by many goroutines and does not print.
type Webhook struct {
	url       string
	key       []byte // empty = unsigned
	timeout   time.Duration
	transport *http.Transport
}

// NewWebhook gives a webhook with connections of its own. Its error names every faulty option and
// quotes none.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	urlErr := checkURL(o.URL)
	key, secretErr := readSecret(o.Secret)
	if err := errors.Join(urlErr, secretErr); err != nil {
		return nil, err
	}
	timeout := cmp.Or(o.Timeout, defaultTimeout)
	return &Webhook{
		url: o.URL, key: key, timeout: timeout,
		transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout: timeout,
			MaxIdleConnsPerHost: idleConns,
			IdleConnTimeout:     idleTimeout,
			ForceAttemptHTTP2:   true,
			DisableCompression:  true, // the answer's body is thrown away
		},
	}, nil
}

// Format keeps the URL and the secret out of logs.
func (*Webhook) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[webhook]") }

// Send posts {"id","to","channel","code","text","locale"}, all of them strings and always there, and
// "purpose" where it is another one than a login. It returns nil for an answer of 2xx whose status came
// within the timeout. Its errors wrap the context's when that or the timeout ended the call; none quotes
// the message, the answer, or more of the URL than its host.
func (w *Webhook) Send(ctx context.Context, m otp.Message) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, err := w.request(ctx, m)
	if err != nil {
		return fmt.Errorf("sms: webhook: %w", cause(ctx, err))
	}
	// Not through an http.Client: it follows redirects, and parses and quotes those it does not follow.
	answer, err := w.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("sms: webhook: %w", cause(ctx, err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols { // its body ends with the connection, not with ctx
		defer time.AfterFunc(drainTime, cancel).Stop()
		_, _ = io.CopyN(io.Discard, answer.Body, drainBytes) // the status has decided
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("sms: webhook answered %d", answer.StatusCode)
	}
	return nil
}

func (w *Webhook) request(ctx context.Context, m otp.Message) (*http.Request, error) {
	purpose := ""
	if m.Purpose != otp.ForLogin {
		purpose = m.Purpose.Name()
	}
	body, err := json.Marshal(struct {
		ID      string `json:"id"`
		To      string `json:"to"`
		Channel string `json:"channel"`
		Code    string `json:"code"`
		Text    string `json:"text"`
		Locale  string `json:"locale"`
		Purpose string `json:"purpose,omitempty"`
	}{m.ID, m.To.E164(), m.Channel, m.Code, m.Text, m.Locale, purpose})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "dekamond-otp")
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", timestamp)
	if len(w.key) > 0 {
		req.Header.Set("webhook-signature", sign(w.key, m.ID, timestamp, body))
	}
	return req, nil
}

// sign gives a webhook-signature (Standard Webhooks 1.0.0, Signature scheme).
func sign(key []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

var errNoAnswer = errors.New("no valid HTTP answer")

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

// checkURL does not wrap the parser's error, which quotes the URL.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("sms: webhook URL: not http:// or https:// and a host")
	}
	return nil
}

func readSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, "whsec_")
	if !ok {
		return []byte(s), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("sms: webhook secret: not base64 after whsec_")
	}
	if len(key) < 24 || len(key) > 64 { // Standard Webhooks 1.0.0, Signature scheme
		return nil, fmt.Errorf("sms: webhook secret: %d bytes after whsec_, not 24 to 64", len(key))
	}
	return key, nil
}
