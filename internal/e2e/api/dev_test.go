package api

import (
	"net/url"
	"os/exec"
	"regexp"
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
	one := s.Want(s.Call("GET", "/dev/messages?phone="+url.QueryEscape("۰۰۹۸ ۹۱۲ ۱۲۳ ۴۵۶۷"), ""), 200, "").Field("messages").([]any)
	if len(one) != 1 || one[0].(map[string]any)["code"] != code {
		t.Errorf("messages to the phone = %v; want one with the code %s", one, code)
	}
	s.Want(s.Call("GET", "/dev/messages?phone=0", ""), 422, "invalid_phone")

	// A stranger's page that calls this machine by a name of its own, or from its own place.
	for _, headers := range [][]string{{"Host: evil.example"}, {"Host: evil.example:1628", "X-Forwarded-Host: localhost"}, {"X-Forwarded-Host: localhost", "Host: tunnel.example"}} {
		s.Want(s.Call("GET", "/dev/messages", "", headers...), 404, "not_found")
	}
	for _, host := range []string{"localhost:1628", "otp:1628", "10.0.2.2:1628"} {
		s.Want(s.Call("GET", "/dev/messages", "", "Host: "+host), 200, "")
	}
	s = servicetest.Start(t, nil, "CORS_ORIGINS=*")
	if a := s.Want(s.Call("GET", "/dev/messages", "", "Origin: https://evil.example"), 200, ""); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another site may read the messages: %v", a.Header)
	}
	s = servicetest.Start(t, nil, "SMS_PROVIDERS=console,smtp")
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")

	s = servicetest.Start(t, nil, servicetest.NewWebhook(t).Settings()...)
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")
}

// TestProductionShowsNoMessages has the console as the last provider, where production allows it.
func TestProductionShowsNoMessages(t *testing.T) {
	s := servicetest.Start(t, servicetest.RealStores(t), "APP_ENV=production", "OTP_SECRET="+servicetest.OTPSecret, "JWT_SECRET="+servicetest.JWTSecret, "LOG_FORMAT=text", "SMS_REGIONS=IR",
		"SMS_PROVIDERS=webhook,console", "SMS_WEBHOOK_URL=http://127.0.0.1:1", "SMS_WEBHOOK_SECRET="+servicetest.WebhookSecret)
	s.Code("+989121234567")
	s.Want(s.Call("GET", "/dev/messages", ""), 404, "not_found")
}

func TestPages(t *testing.T) {
	s := servicetest.Start(t, nil)
	served := func(path, mediaType string) string {
		t.Helper()
		a := s.Want(s.Call("GET", path, ""), 200, "")
		if got := a.Header.Get("Content-Type"); got != mediaType+"; charset=utf-8" || a.Body == "" {
			t.Errorf("GET %s: %s, %d bytes; want some of %s", path, got, len(a.Body), mediaType)
		}
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src", "base-uri", "form-action", "frame-ancestors"} {
			if !strings.Contains(policy, want+" 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("GET %s: Content-Security-Policy = %q; want %s 'none', and nothing unsafe", path, policy, want)
			}
		}
		if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("GET %s: Referrer-Policy = %q", path, got)
		}
		for encodings, want := range map[string]string{"identity": "", "br": "", "gzip;q=0": "", "br, gzip;q=0.5": "gzip"} {
			got := s.Call("GET", path, "", "Accept-Encoding: "+encodings)
			if got.Header.Get("Content-Encoding") != want || want == "" && got.Body != a.Body {
				t.Errorf("GET %s with Accept-Encoding: %s: %v", path, encodings, got.Header)
			}
		}
		if again := s.Call("GET", path, "", "If-None-Match: "+a.Header.Get("ETag")); again.Status != 304 || again.Body != "" {
			t.Errorf("GET %s with the ETag: %d; want 304", path, again.Status)
		}
		if another := s.Call("GET", path, "", `If-None-Match: "another"`); another.Status != 200 {
			t.Errorf("GET %s with another ETag: %d; want 200", path, another.Status)
		}
		return a.Body
	}
	s.Unvalidated = true // the document has the pages, not the files beside them
	for _, path := range []string{"/", "/docs"} {
		page := served(path, "text/html")
		if !strings.HasPrefix(page, "<!doctype html>") {
			t.Errorf("GET %s = %q", path, page)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^":]+)\.(js|css)"`).FindAllStringSubmatch(page, -1) {
			served("/"+m[1]+"."+m[2], map[string]string{"js": "text/javascript", "css": "text/css"}[m[2]])
		}
	}
	s.Unvalidated = false

	s = servicetest.Start(t, nil, "LOGIN_PAGE=false")
	s.Want(s.Call("GET", "/", ""), 404, "not_found")
}

// TestVendored holds that the files of others are those of their packages.
func TestVendored(t *testing.T) {
	if out, err := exec.Command(servicetest.Root+".ci/vendored", "check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
