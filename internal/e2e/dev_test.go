package e2e

import (
	"net/url"
	"strings"
	"testing"
)

func TestDevMessages(t *testing.T) {
	s := start(t, nil)
	code := s.code("+989121234567")
	s.code("+989121234568")
	all := s.want(s.call("GET", "/dev/messages", ""), 200, "")
	if got := len(all.field("messages").([]any)); got != 2 {
		t.Errorf("%d messages: %s; want 2", got, all.body)
	}
	one := s.want(s.call("GET", "/dev/messages?phone="+url.QueryEscape("۰۰۹۸ ۹۱۲ ۱۲۳ ۴۵۶۷"), ""), 200, "").field("messages").([]any)
	if len(one) != 1 || one[0].(map[string]any)["code"] != code {
		t.Errorf("messages to the phone = %v; want one with the code %s", one, code)
	}
	s.want(s.call("GET", "/dev/messages?phone=0", ""), 422, "invalid_phone")

	s = start(t, nil, newProvider(t).env()...)
	s.want(s.call("GET", "/dev/messages", ""), 404, "not_found")
}

// TestProductionShowsNoMessages has the console as the last provider, where production allows it.
func TestProductionShowsNoMessages(t *testing.T) {
	s := start(t, real(t), "APP_ENV=production", "OTP_SECRET="+otpSecret, "JWT_SECRET="+jwtSecret, "LOG_FORMAT=text", "SMS_REGIONS=IR",
		"SMS_PROVIDERS=webhook,console", "SMS_WEBHOOK_URL=http://127.0.0.1:1", "SMS_WEBHOOK_SECRET="+webhookSecret)
	s.code("+989121234567")
	s.want(s.call("GET", "/dev/messages", ""), 404, "not_found")
}

func TestPages(t *testing.T) {
	s := start(t, nil)
	a := s.want(s.call("GET", "/", ""), 200, "")
	if !strings.HasPrefix(a.body, "<!doctype html>") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("GET / = %q %v; want the login page", a.body, a.header)
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy = %q", policy)
	}
	plain := s.call("GET", "/", "", "Accept-Encoding: identity")
	if plain.body != a.body || plain.header.Get("Content-Encoding") != "" {
		t.Errorf("uncompressed: %v", plain.header)
	}
	again := s.call("GET", "/", "", "If-None-Match: "+a.header.Get("ETag"))
	if again.status != 304 || again.body != "" {
		t.Errorf("with the ETag: %d %q; want 304", again.status, again.body)
	}

	s = start(t, nil, "LOGIN_PAGE=false")
	s.want(s.call("GET", "/", ""), 404, "not_found")
}
