package api

import (
	"net/url"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestDevMessages(t *testing.T) {
	s := servicetest.Start(t, nil)
	code := s.Code("+989121234567")
	s.Code("+989121234568")
	all := s.Want(s.Call("GET", "/dev/messages", ""), 200, "")
	if got := len(all.Field("messages").([]any)); got != 2 {
		t.Errorf("%d messages: %s; want 2", got, all.Body)
	}
	persian := s.Want(s.Call("GET", "/dev/messages?phone="+url.QueryEscape("۰۰۹۸ ۹۱۲ ۱۲۳ ۴۵۶۷"), ""), 200, "")
	one := persian.Field("messages").([]any)
	if len(one) != 1 || one[0].(map[string]any)["code"] != code {
		t.Errorf("messages to the phone = %v; want one with the code %s", one, code)
	}
	s.Want(s.Call("GET", "/dev/messages?phone=0", ""), 422, "invalid_phone")

	s = servicetest.Start(t, nil, "CORS_ORIGINS=*")
	a := s.Want(s.Call("GET", "/dev/messages", "", "Origin: https://evil.example"), 200, "")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of another origin may read the messages: %v", a.Header)
	}
	s = servicetest.Start(t, nil, "SMS_PROVIDERS=console,smtp")
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")

	s = servicetest.Start(t, nil, servicetest.NewWebhook(t).Settings()...)
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")
}

// TestDevMessagesAreLocal checks that a proxy before a development copy does not show its codes to the world, and that
// a page whose own name was made to resolve to this machine (DNS rebinding) cannot read them.
func TestDevMessagesAreLocal(t *testing.T) {
	s := servicetest.Start(t, nil)
	s.Code(servicetest.Phone)
	for _, headers := range [][]string{
		nil,
		{"Host: localhost:1628"},
		{"Host: 127.0.0.1:1628"}, // as the port of a container is published
		{"Host: 10.0.2.2:1628"},  // as the emulator of Android calls this machine
		{"Origin: http://localhost:1628", "Sec-Fetch-Site: same-origin", "Referer: http://localhost:1628/"},
		{"X-Request-ID: 1", "X-Requested-With: app", "Sentry-Trace: 0af7651916cd43dd8448eb211c80319c"},
	} {
		s.Want(s.Call("GET", "/dev/messages", "", headers...), 200, "")
	}
	for _, headers := range [][]string{
		{"Host: evil.example"},
		{"Host: evil.example:1628", "X-Forwarded-Host: localhost"},
		{"X-Forwarded-Host: localhost", "Host: tunnel.example"},
		{"Host: otp:1628"}, // as a proxy beside a container calls it
		{"Host: backend"},
		{"Host: 10.9.8.7:1628"},
		{"Host: 203.0.113.5:1628"},
		{"Forwarded: for=203.0.113.5"},
		{"X-Forwarded-For: 203.0.113.5"},
		{"X-Forwarded-For: 127.0.0.1"},
		{"X-FORWARDED-PROTO: https"},
		{"X-Forwarded-Anything: 1"},
		{"Via: 1.1 Caddy"},
		{"X-Real-IP: 203.0.113.5"},
		{"CF-Connecting-IP: 203.0.113.5"},
		{"Cdn-Loop: cloudflare"},
		{"True-Client-IP: 203.0.113.5"},
		{"X-Original-URL: /"},
		{"X-Original-Forwarded-For: 203.0.113.5"},
		{"X-Cluster-Client-IP: 203.0.113.5"},
		{"X-Envoy-External-Address: 203.0.113.5"},
		{"X-Amzn-Trace-Id: Root=1"},
		{"Fly-Client-IP: 203.0.113.5"},
		{"Tailscale-User-Login: a@example.com"},
	} {
		a := s.Call("GET", "/dev/messages", "", headers...)
		if a.Status != 404 || a.Text("code") != "not_found" {
			t.Errorf("%q: %d %s; want 404", headers, a.Status, a.Body)
		}
	}
	for _, request := range []string{
		"GET /dev/messages HTTP/1.0\r\nHost: 127.0.0.1:1628\r\nConnection: close\r\n\r\n", // as nginx calls by default
		"GET /dev/messages HTTP/1.0\r\n\r\n",
		"GET http://localhost/dev/messages HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
		"GET http://evil.example/dev/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	} {
		if a := raw(t, s, request); a.Status < 400 || a.Field("messages") != nil {
			t.Errorf("%q: %d %s; want a refusal", request, a.Status, a.Body)
		}
	}
	if n := strings.Count(s.Log.String(), "messages of development not shown"); n != 1 {
		t.Errorf("the log says %d times that messages are not shown; want once", n)
	}
}

// TestProductionShowsNoMessages has the console as the last provider, where production allows it.
func TestProductionShowsNoMessages(t *testing.T) {
	s := servicetest.Start(t, servicetest.RealStores(t),
		"APP_ENV=production",
		"OTP_SECRET="+servicetest.OTPSecret,
		"JWT_SECRET="+servicetest.JWTSecret,
		"LOG_FORMAT=text",
		"SMS_REGIONS=IR",
		"SMS_PROVIDERS=webhook,console",
		"SMS_WEBHOOK_URL=http://127.0.0.1:1",
		"SMS_WEBHOOK_SECRET="+servicetest.WebhookSecret,
	)
	s.Code("+989121234567")
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")
}
