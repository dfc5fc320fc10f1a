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
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	secret64      = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // The example of the Standard Webhooks libraries.
	webhookSecret = "whsec_" + secret64
	login         = "operator:hunter2"
	query         = "key=s3cr3t"
)

// openWebhook returns a webhook whose URL has credentials, a path and a query, none of which may show up in errors.
func openWebhook(t *testing.T, base, secret string) *Webhook {
	t.Helper()
	address := strings.Replace(base, "://", "://"+login+"@", 1) + "/hooks/sms?" + query
	w := NewWebhook(WebhookOptions{URL: address, Secret: secret})
	t.Cleanup(w.transport.CloseIdleConnections)
	return w
}

// send sends the message with a timeout.
func send(t *testing.T, p Provider, m otp.Message, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, err := p.Send(ctx, m)
	return err
}

// verified reads a request as Standard Webhooks requires of a receiver. It shares no code with Webhook.
func verified(r *http.Request, key []byte) (body []byte, err error) {
	body, err = io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	id, timestamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		return nil, fmt.Errorf("webhook-timestamp %q is not now", timestamp)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "." + string(body)))
	for signature := range strings.FieldsSeq(r.Header.Get("webhook-signature")) {
		version, encoded, _ := strings.Cut(signature, ",")
		mac, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(mac, h.Sum(nil)) {
			return body, nil
		}
	}
	return nil, fmt.Errorf("webhook-signature %q does not match", r.Header.Get("webhook-signature"))
}

// TestSign checks the vector of the tests of the Standard Webhooks libraries.
func TestSign(t *testing.T) {
	key, err := webhookKey(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if got != want {
		t.Errorf("sign = %q; want %q", got, want)
	}
}

func TestWebhookSpeaksStandardWebhooks(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(secret64)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, secret, locale, want string
		key                        []byte
	}{
		{"standard secret", webhookSecret, "fa-IR", `"fa-IR"`, key},
		{"raw secret", "any other text", "", `""`, []byte("any other text")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := verified(r, tc.key)
				if err != nil {
					t.Error(err)
				}
				var got, want bytes.Buffer
				if err := json.Compact(&got, body); err != nil {
					t.Error(err)
				}
				const format = `{"id":%q,"to":"+989121234567","channel":"sms","code":"042137","text":%q,"locale":%s}`
				fmt.Fprintf(&want, format, message.ID, message.Text, tc.want)
				if got.String() != want.String() {
					t.Errorf("posted %s; want %s", &got, &want)
				}
				for name, want := range map[string]string{
					"webhook-id":    message.ID,
					"Content-Type":  "application/json",
					"User-Agent":    "dekamond-otp",
					"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(login)),
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q; want %q", name, got, want)
					}
				}
				if got, want := r.Method+" "+r.RequestURI, "POST /hooks/sms?"+query; got != want {
					t.Errorf("%s; want %s", got, want)
				}
			})
			m := message
			m.Locale = tc.locale
			if err := send(t, openWebhook(t, address, tc.secret), m, time.Minute); err != nil {
				t.Errorf("Send = %v; want it accepted", err)
			}
		})
	}
}

func TestWebhookUnsigned(t *testing.T) {
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if got, ok := r.Header["Webhook-Signature"]; ok {
			t.Errorf("webhook-signature: %q; want none without a secret", got)
		}
		if r.Header.Get("webhook-id") != message.ID || r.Header.Get("webhook-timestamp") == "" {
			t.Errorf("headers %v; want webhook-id and webhook-timestamp all the same", r.Header)
		}
	})
	if err := send(t, openWebhook(t, address, ""), message, time.Minute); err != nil {
		t.Errorf("Send = %v; want it accepted", err)
	}
}

func TestWebhookTakesTheStatusAsTheAnswer(t *testing.T) {
	for _, status := range []int{
		200, 201, 202, 204, 299,
		300, 301, 302, 303, 304, 307, 308,
		400, 401, 404, 410, 422, 429,
		500, 502, 503, 504,
	} {
		var requests atomic.Int32
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.Header().Set("Location", "/elsewhere?code="+message.Code)
			w.WriteHeader(status)
		})
		got := send(t, openWebhook(t, address, webhookSecret), message, time.Minute)
		want := fmt.Sprintf("answered %d", status)
		if status < 300 {
			want = "<nil>"
		}
		rejected := status == 400 || status == 410 || status == 422
		if errors.Is(got, otp.ErrUndeliverable) != rejected {
			t.Errorf("Send answered %d = %v; want the number rejected: %t", status, got, rejected)
		}
		if fmt.Sprint(got) != want || requests.Load() != 1 {
			t.Errorf("Send answered %d = %v after %d requests; want %s after 1", status, got, requests.Load(), want)
		}
	}
}

func TestWebhookTimesOut(t *testing.T) {
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	err := send(t, openWebhook(t, address, webhookSecret), message, 50*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "context deadline exceeded" {
		t.Errorf("Send to a server that does not answer = %v; want context deadline exceeded", err)
	}
}

func TestWebhookEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(errors.New("the client hung up"))
		<-r.Context().Done()
	})
	if _, err := openWebhook(t, address, webhookSecret).Send(ctx, message); !errors.Is(err, context.Canceled) {
		t.Errorf("Send with a context cancelled during the call = %v; want Canceled", err)
	}
}

// TestWebhookDoesNotWaitForTheBody checks that a message is accepted with the status, and that the rest of the answer
// is not waited for.
func TestWebhookDoesNotWaitForTheBody(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	began := time.Now()
	err := send(t, openWebhook(t, address, webhookSecret), message, 10*time.Minute)
	if took := time.Since(began); err != nil || took > 5*time.Minute {
		t.Errorf("Send = %v after %s; want it accepted after about %s", err, took, drainTime)
	}
}

// TestWebhookBoundsTheBody checks that a long answer is not read for the sake of its connection.
func TestWebhookBoundsTheBody(t *testing.T) {
	for size, kept := range map[int]bool{drainBytes / 2: true, 64 * drainBytes: false} {
		clients := make(chan string, 20)
		w := openWebhook(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			clients <- r.RemoteAddr
			_, _ = w.Write(make([]byte, size))
		}), webhookSecret)
		for range cap(clients) {
			if err := send(t, w, message, time.Minute); err != nil {
				t.Fatalf("Send answered with %d bytes = %v; want it accepted", size, err)
			}
		}
		got := false // a slow machine reads some answers too late to keep their connections
		for last := ""; len(clients) > 0; {
			client := <-clients
			got, last = got || client == last, client
		}
		if got != kept {
			t.Errorf("an answer of %d bytes kept its connection: %t; want %t", size, got, kept)
		}
	}
}

func TestWebhookRefusesSwitchingProtocols(t *testing.T) {
	address := serveRaw(t, func(c net.Conn, _ []byte) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = c.Read(make([]byte, 1)) // Until the client hangs up.
	})
	const want = "answered 101"
	if got := send(t, openWebhook(t, address, webhookSecret), message, time.Minute); got == nil || got.Error() != want {
		t.Errorf("Send = %v; want %s", got, want)
	}
}

func TestWebhookErrorsQuoteNothing(t *testing.T) {
	echo := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.Copy(w, r.Body)
	})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // It logs failed handshakes.
	secure.StartTLS()
	t.Cleanup(secure.Close)
	hangUp := serveRaw(t, func(net.Conn, []byte) {})
	raw := func(answer string) string {
		return serveRaw(t, func(c net.Conn, request []byte) {
			_, _ = io.WriteString(c, strings.ReplaceAll(answer, "{request}", string(request)))
		})
	}
	for _, tc := range []struct{ name, url, want string }{
		{"an answer that quotes the request", echo, "answered 502"},
		{"an echo in place of HTTP", raw("{request}"), "no valid HTTP answer"},
		{"a request in the status line", raw("HTTP/1.1 {request}"), "no valid HTTP answer"},
		{"a request in a header", raw("HTTP/1.1 200 OK\r\n{request}\r\n"), "no valid HTTP answer"},
		{"a broken Location", raw("HTTP/1.1 302 Found\r\nLocation: ://" + message.Code + "\r\n\r\n"), "answered 302"},
		{"no answer", hangUp, ""},
		{"no listener", "http://" + closed(t), "connection refused"},
		{"no TLS", strings.Replace(echo, "http:", "https:", 1), "no valid HTTP answer"},
		{"an unknown certificate", secure.URL, "certificate"},
	} {
		w := openWebhook(t, tc.url, webhookSecret)
		err := send(t, w, message, time.Minute)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Send = %v; want %q", tc.name, err, tc.want)
			continue
		}
		printed := fmt.Sprintf("%v %+v %#v %d %s", w, w, w, w, w)
		for _, private := range []string{
			"9121234567", message.Code, "ورود", secret64, "operator", "hunter2", "s3cr3t", "/hooks", "[49 ",
		} {
			if strings.Contains(err.Error(), private) || strings.Contains(printed, private) {
				t.Errorf("%s: Send = %q, the webhook prints as %q; want no %q", tc.name, err, printed, private)
			}
		}
	}
}

// closed returns an address on which nothing listens.
func closed(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWebhookKeepsItsConnections(t *testing.T) {
	const senders, messages = 64, 512
	var connections, requests atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable) // A refusal keeps its connection too.
		}
		_, _ = io.WriteString(w, `{"status":"`)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, `queued"}`)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	w := openWebhook(t, s.URL, webhookSecret)
	var refused atomic.Int32
	var running sync.WaitGroup
	for range senders {
		running.Go(func() {
			for range messages / senders {
				if send(t, w, message, time.Minute) != nil {
					refused.Add(1)
				}
			}
		})
	}
	running.Wait()
	if refused.Load() != messages/2 {
		t.Errorf("%d of %d sends were refused; want %d", refused.Load(), messages, messages/2)
	}
	if got := connections.Load(); got > messages/2 { // a slow machine reads some answers too late to keep theirs
		t.Errorf("%d sends by %d senders took %d connections; want at most half as many", messages, senders, got)
	}
}

func TestWebhookSettings(t *testing.T) {
	encoded := func(size int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, size)) }
	const (
		goodURL   = "SMS_WEBHOOK_URL=https://sms.example/hook"
		badURL    = "SMS_WEBHOOK_URL: must be a URL of http or https"
		noURL     = "SMS_WEBHOOK_URL: must be set for webhook in SMS_PROVIDERS or SMS_ROUTES"
		badSecret = "SMS_WEBHOOK_SECRET: must be base64 of 24 to 64 bytes after whsec_"
	)
	for settings, want := range map[string]string{
		goodURL:                                 "",
		"SMS_WEBHOOK_URL=http://127.0.0.1:8080": "",
		"SMS_WEBHOOK_URL=HTTPS://[::1]:8443/a?b=c": "",
		"SMS_WEBHOOK_URL=https://user@sms.example": "",

		goodURL + "|SMS_WEBHOOK_SECRET=" + encoded(24): "",
		goodURL + "|SMS_WEBHOOK_SECRET=" + encoded(25): "",
		goodURL + "|SMS_WEBHOOK_SECRET=" + encoded(64): "",
		goodURL + "|SMS_WEBHOOK_SECRET=short":          "",
		goodURL + "|SMS_WEBHOOK_SECRET=" + secret64:    "",

		"":                                                           noURL,
		"SMS_WEBHOOK_URL=sms.example/hook":                           badURL,
		"SMS_WEBHOOK_URL=//sms.example/hook":                         badURL,
		"SMS_WEBHOOK_URL=sms.example:443":                            badURL,
		"SMS_WEBHOOK_URL=ftp://sms.example":                          badURL,
		"SMS_WEBHOOK_URL=https://":                                   badURL,
		"SMS_WEBHOOK_URL=https:///hook":                              badURL,
		"SMS_WEBHOOK_URL=https://:443/hook":                          badURL,
		"SMS_WEBHOOK_URL=https://hunter2@/hook":                      badURL,
		"SMS_WEBHOOK_URL=https://user:hunter2@sms.example:port/hook": badURL,
		"SMS_WEBHOOK_URL=https://sms example/?hunter2":               badURL,

		goodURL + "|SMS_WEBHOOK_SECRET=whsec_":                                 badSecret,
		goodURL + "|SMS_WEBHOOK_SECRET=" + encoded(23):                         badSecret,
		goodURL + "|SMS_WEBHOOK_SECRET=" + encoded(65):                         badSecret,
		goodURL + "|SMS_WEBHOOK_SECRET=whsec_hunter2!":                         badSecret,
		goodURL + "|SMS_WEBHOOK_SECRET=" + strings.TrimRight(encoded(32), "="): badSecret,
		"SMS_WEBHOOK_URL=hunter2|SMS_WEBHOOK_SECRET=whsec_hunter2":             badURL + "\n" + badSecret,
	} {
		if got := faults("webhook", strings.Split(settings, "|")...); got != want {
			t.Errorf("the settings %s: %q; want %q", settings, got, want)
		}
	}
	if got := NewWebhook(WebhookOptions{URL: "https://sms.example"}).Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("a webhook offers %v; want sms", got)
	}
}
