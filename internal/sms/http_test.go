package sms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/trace"
)

var message = otp.Message{
	ID:      "0199d2c4-8b1e-7c3a-9f00-5a1b2c3d4e5f-1",
	Send:    1,
	To:      phone.Stored("+989121234567"),
	Channel: otp.SMS,
	Code:    "042137",
	Text:    "042137\nکد ورود شما",
	Locale:  "fa-IR",
	TTL:     2 * time.Minute,
}

// serve runs a server that reads each request before the handler answers it, and returns its URL.
func serve(t *testing.T, h http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// serveRaw runs a server that calls reply with each connection and its first request, and returns its URL.
func serveRaw(t *testing.T, reply func(c net.Conn, request []byte)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				request := make([]byte, 4096)
				n, _ := c.Read(request)
				reply(c, request[:n])
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return "http://" + l.Addr().String()
}

// testFaults checks what every provider over HTTP promises, whatever the service does: an error in time that does not
// blame the number, and quotes neither the message nor the secrets, which are the provider's credentials.
func testFaults(t *testing.T, open func(t *testing.T, baseURL string) Provider, secrets ...string) {
	t.Helper()
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.Copy(w, r.Body)
		}
	}
	for name, tc := range map[string]struct {
		url  string
		want Failure // of the status and Retry-After; zero: any error
	}{
		"429": {serve(t, echo(429)), Failure{Status: 429, RetryAfter: 7 * time.Second}},
		"500": {serve(t, echo(500)), Failure{Status: 500, RetryAfter: 7 * time.Second}},
		"503": {serve(t, echo(503)), Failure{Status: 503, RetryAfter: 7 * time.Second}},
		"401": {serve(t, echo(401)), Failure{Status: 401, RetryAfter: 7 * time.Second}},
		"a redirect": {
			serve(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			}),
			Failure{Status: 302},
		},
		"garbage":   {serveRaw(t, func(c net.Conn, request []byte) { _, _ = c.Write(request) }), Failure{}},
		"no answer": {serveRaw(t, func(net.Conn, []byte) {}), Failure{}},
		"endless": {serve(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}), Failure{}},
		"hang": {serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Failure{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, tc.url)
			timeout := 300 * time.Millisecond // for servers that would never end their answer
			if tc.want.Status != 0 {
				timeout = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			_, err := p.Send(ctx, message)
			if err == nil || errors.Is(err, otp.ErrUndeliverable) || time.Since(began) > time.Minute {
				t.Fatalf("Send = %v after %v; want an error in time, and the number not blamed", err, time.Since(began))
			}
			failure, ok := errors.AsType[*Failure](err)
			same := ok && failure.Status == tc.want.Status && failure.RetryAfter == tc.want.RetryAfter
			if tc.want.Status != 0 && !same {
				t.Errorf("Send = %#v; want status %d, retry after %v", err, tc.want.Status, tc.want.RetryAfter)
			}
			printed := fmt.Sprintf("%v %+v %#v %v %+v %s", p, p, p, err, err, err)
			for _, secret := range append(secrets, "9121234567", message.Code, "ورود") {
				if strings.Contains(printed, secret) {
					t.Errorf("provider and error print as %s; want no %q", printed, secret)
				}
			}
		})
	}
}

// TestTraceIsPassedOn checks that each way of calling a service passes the trace on.
func TestTraceIsPassedOn(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var got http.Header
	address := serve(
		t, func(w http.ResponseWriter, r *http.Request) { got = r.Header; w.WriteHeader(http.StatusForbidden) },
	)
	for name, p := range map[string]Provider{
		"webhook":  NewWebhook(WebhookOptions{URL: address}),
		"telegram": openTelegram(t, address),
		"sns":      openSNS(t, SNSOptions{BaseURL: address}),
	} {
		got = nil
		_, _ = p.Send(trace.With(t.Context(), parent, "a=1"), message)
		if got.Get("Traceparent") != parent || got.Get("Tracestate") != "a=1" {
			t.Errorf("%s: the service was called with %v; want the trace", name, got)
		}
		_, _ = p.Send(t.Context(), message)
		if got.Get("Traceparent") != "" {
			t.Errorf("%s: a trace was invented: %v", name, got)
		}
	}
}
