package servicetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// WebhookSecret is the secret with which the service signs its calls of a Webhook.
const WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A Webhook is a server for the provider "webhook". It checks the signature of each call and keeps the messages.
type Webhook struct {
	*httptest.Server
	Status atomic.Int64  // the status that it answers
	Hold   chan struct{} // unless nil, answers wait until it is closed; to be set before the first call

	mu       sync.Mutex // guards messages
	messages []map[string]string
}

// NewWebhook starts a Webhook that answers 200. It is closed when the test ends.
func NewWebhook(t *testing.T) *Webhook {
	t.Helper()
	w := new(Webhook)
	w.Status.Store(http.StatusOK)
	w.Server = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got, want := r.Header.Get("webhook-signature"), signature(r.Header, body); got != want {
			t.Errorf("the signature of %s is %s; want %s", body, got, want)
		}
		var m map[string]string
		if err := json.Unmarshal(body, &m); err != nil || m["id"] != r.Header.Get("webhook-id") {
			t.Errorf("message %s: %v", body, err)
		}
		w.mu.Lock()
		w.messages = append(w.messages, m)
		w.mu.Unlock()
		if w.Hold != nil {
			<-w.Hold
		}
		answer.WriteHeader(int(w.Status.Load()))
	}))
	t.Cleanup(w.Close)
	return w
}

// signature computes the signature of a call as Standard Webhooks 1.0.0 defines it.
func signature(header http.Header, body []byte) string {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(WebhookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(header.Get("webhook-id") + "." + header.Get("webhook-timestamp") + "." + string(body)))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Messages returns the messages that have arrived so far.
func (w *Webhook) Messages() []map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.messages)
}

// Settings returns the settings that make the webhook the only provider of a service.
func (w *Webhook) Settings() []string {
	return []string{"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + w.URL, "SMS_WEBHOOK_SECRET=" + WebhookSecret}
}
