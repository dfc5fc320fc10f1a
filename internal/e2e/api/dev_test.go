package api

import (
	"net/url"
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

	// A foreign page may have a name of its own resolved to this machine (DNS rebinding).
	for _, headers := range [][]string{
		{"Host: evil.example"},
		{"Host: evil.example:1628", "X-Forwarded-Host: localhost"},
		{"X-Forwarded-Host: localhost", "Host: tunnel.example"},
	} {
		s.Want(s.Call("GET", "/dev/messages", "", headers...), 404, "not_found")
	}
	for _, host := range []string{"localhost:1628", "otp:1628", "10.0.2.2:1628"} {
		s.Want(s.Call("GET", "/dev/messages", "", "Host: "+host), 200, "")
	}
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
