package sms

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/trace"
)

// A connection is used again once its answer was read to the end. An answer that is longer or slower than this costs
// the connection instead.
const (
	drainBytes = 4 << 10
	drainTime  = 100 * time.Millisecond
)

var webhook = Description{
	Provider: setting.Provider{
		Name: "webhook",
		Variables: []setting.Variable{
			{
				Name:     "SMS_WEBHOOK_URL",
				Example:  "https://sms.example.com/send",
				Required: true,
				Secret:   true, // It may contain a password.
				Endpoint: true,
				Check:    setting.Checked(setting.URL),
			},
			{
				Name:       "SMS_WEBHOOK_SECRET",
				Example:    "whsec_J8mVtq2XbR5yKzN7wLpG4sHdF9cQaT1e",
				Production: true,
				Secret:     true,
				OwnSecret:  true,
				Check:      setting.Checked(webhookKey),
			},
			{
				Name:    "SMS_WEBHOOK_CHANNELS",
				Default: otp.SMS,
				Example: otp.Voice,
				Check:   setting.Checked(setting.List(setting.OneOf(webhookChannels...))),
			},
		},
	},
	Channels: webhookChannels,
	New: func(in Inputs) (Provider, error) {
		return NewWebhook(WebhookOptions{
			URL:      in.Text("SMS_WEBHOOK_URL"),
			Secret:   in.Text("SMS_WEBHOOK_SECRET"),
			Channels: in.List("SMS_WEBHOOK_CHANNELS"),
		}), nil
	},
}

var webhookChannels = []string{otp.SMS, otp.WhatsApp, otp.Telegram, otp.Voice}

// webhookKey returns the key of a secret. A secret that begins with whsec_ must be as Standard Webhooks 1.0.0
// (Signature scheme) has it; any other is used as it is.
func webhookKey(secret string) ([]byte, error) {
	encoded, standard := strings.CutPrefix(secret, "whsec_")
	if !standard {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	ok := err == nil && 24 <= len(key) && len(key) <= 64
	return key, setting.ErrorUnless(ok, "be base64 of 24 to 64 bytes after whsec_")
}

// WebhookOptions are the inputs of NewWebhook.
type WebhookOptions struct {
	URL      string   // http or https; user and password in it are sent as basic authentication.
	Secret   string   // As SMS_WEBHOOK_SECRET; without one the calls are not signed.
	Channels []string // That the endpoint delivers. Defaults to sms.
}

// Webhook sends messages to an HTTP endpoint of the operator's, signed by Standard Webhooks 1.0.0.
type Webhook struct {
	opaque
	url       string
	key       []byte // Empty = calls are not signed.
	channels  []string
	transport *http.Transport
}

var _ Prober = (*Webhook)(nil)

// NewWebhook returns a provider with connections of its own.
func NewWebhook(o WebhookOptions) *Webhook {
	key, _ := webhookKey(o.Secret) // The settings were checked.
	channels := o.Channels
	if len(channels) == 0 {
		channels = []string{otp.SMS}
	}
	return &Webhook{url: o.URL, key: key, channels: channels, transport: newTransport()}
}

// Channels implements Provider.
func (w *Webhook) Channels() []string { return w.channels }

// webhookNumberStatuses are the statuses by which an endpoint says that the number cannot receive the message.
var webhookNumberStatuses = []int{http.StatusBadRequest, http.StatusGone, http.StatusUnprocessableEntity}

// Send implements Provider. It posts {"id","to","channel","code","text","locale"}, all of them strings and always
// present, and "purpose" if the code is not for a login. The status alone decides: 2xx accepts the message; 400, 410
// and 422 are failures of ScopeNumber, and most other 4xx of ScopeMessage.
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
	if response.StatusCode != http.StatusSwitchingProtocols { // The body of a 101 does not end with ctx.
		defer time.AfterFunc(drainTime, cancel).Stop()
		_, _ = io.CopyN(io.Discard, response.Body, drainBytes)
	}
	if a := (answer{status: response.StatusCode, header: response.Header}); !a.ok() {
		failure := a.failure("", "")
		switch {
		case slices.Contains(webhookNumberStatuses, a.status):
			failure.Scope = ScopeNumber
		case a.status == http.StatusForbidden, a.status == http.StatusNotFound:
			failure.Scope = ScopeMessage
		}
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

// sign returns a webhook-signature (Standard Webhooks 1.0.0, Signature scheme).
func sign(key []byte, id, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Probe opens a connection, with TLS if the URL has it, and sends nothing over it.
func (w *Webhook) Probe(ctx context.Context) (account Account, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, http.NoBody)
	if err != nil {
		return account, cause(ctx, err)
	}
	if proxy, err := http.ProxyFromEnvironment(r); err == nil && proxy != nil {
		return Account{Proxied: true}, nil
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	dial, port := dialer.DialContext, "80"
	if r.URL.Scheme == "https" {
		dial, port = (&tls.Dialer{NetDialer: dialer, Config: w.transport.TLSClientConfig}).DialContext, "443"
	}
	if own := r.URL.Port(); own != "" {
		port = own
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(r.URL.Hostname(), port))
	if err != nil {
		return account, err
	}
	account.Unproved = true
	if secured, ok := conn.(*tls.Conn); ok {
		account.Certificate = secured.ConnectionState().PeerCertificates[0].NotAfter
	}
	_ = conn.Close() // Nothing was written that could be lost.
	return account, nil
}
