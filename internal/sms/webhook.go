package sms

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

// A kept connection serves again once its answer was read to the end. What is longer or slower than this
// costs the connection instead.
const (
	drainBytes = 4 << 10
	drainTime  = 100 * time.Millisecond
)

// WebhookOptions are the inputs of NewWebhook.
type WebhookOptions struct {
	URL      string   // http or https; user and password in it are sent as basic auth
	Secret   string   // whsec_ and the base64 of 24 to 64 bytes, or any other text, used as it is; empty = unsigned, for development
	Channels []string // what the endpoint delivers; none = sms
}

// Webhook delivers messages to an HTTP endpoint of the operator's, signed as Standard Webhooks 1.0.0 says.
type Webhook struct {
	private
	url       string
	key       []byte // empty = unsigned
	channels  []string
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
	channels := o.Channels
	if len(channels) == 0 {
		channels = []string{otp.SMS}
	}
	return &Webhook{url: o.URL, key: key, channels: channels, transport: newTransport()}, nil
}

// Channels implements Provider.
func (w *Webhook) Channels() []string { return w.channels }

// Send posts {"id","to","channel","code","text","locale"}, all of them strings and always there, and
// "purpose" where it is another one than a login. The status alone decides: 2xx takes the message, and 400,
// 410 or 422 reject the number, and other 4xx refuse the message.
func (w *Webhook) Send(ctx context.Context, m otp.Message) (id string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := w.request(ctx, m)
	if err != nil {
		return "", cause(ctx, err)
	}
	response, err := w.transport.RoundTrip(r)
	if err != nil {
		return "", cause(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols { // its body ends with the connection, not with ctx
		defer time.AfterFunc(drainTime, cancel).Stop()
		_, _ = io.CopyN(io.Discard, response.Body, drainBytes)
	}
	if a := (answer{status: response.StatusCode, header: response.Header}); !a.ok() {
		failure := a.failure("", "")
		failure.Rejected = slices.Contains([]int{http.StatusBadRequest, http.StatusGone, http.StatusUnprocessableEntity}, a.status)
		failure.Refused = failure.Refused || a.status == http.StatusForbidden || a.status == http.StatusNotFound
		return "", failure
	}
	return "", nil
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
	trace.Inject(ctx, req.Header)
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
