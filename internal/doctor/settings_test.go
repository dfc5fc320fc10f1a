package doctor

import (
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		changes, want string
	}{
		{"", ""},
		{"APP_ENV=development", "weak APP_ENV"},
		{"APP_ENV=development SMS_PROVIDERS=console HTTP_ADDR=:1628", "weak APP_ENV, weak HTTP_ADDR"},
		{"APP_ENV=development SMS_PROVIDERS=console HTTP_ADDR=127.0.0.1:1628", "weak APP_ENV"},
		{"INTERNAL_ADDR=:1629", "weak INTERNAL_ADDR"},
		{"INTERNAL_ADDR=0.0.0.0:1629", "weak INTERNAL_ADDR"},
		{"INTERNAL_ADDR=[::1]:1629", ""},
		{"INTERNAL_ADDR=localhost:1629", ""},
		{"INTERNAL_ADDR=off", "note INTERNAL_ADDR"},
		{"TRUSTED_PROXIES=", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES= HTTP_ADDR=127.0.0.1:80", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=10.0.0.1,0.0.0.0/0", "wrong TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=::/0", "wrong TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=0.0.0.0/1,128.0.0.0/1", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=2000::/3", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=10.0.0.0/8,fd00::/16", ""},
		{"OTP_LIMIT_PHONE=off", "weak OTP_LIMIT_PHONE, weak odds"},
		{"OTP_LIMIT_PHONE=off OTP_LENGTH=7", "weak OTP_LIMIT_PHONE"},
		{
			"OTP_LIMIT_IP=off OTP_RESEND_AFTER=off",
			"weak OTP_LIMIT_IP, note OTP_LIMIT_TRIES_IP, weak OTP_RESEND_AFTER",
		},
		{"OTP_LIMIT_IP=off OTP_LIMIT_TRIES_IP=off", "weak OTP_LIMIT_IP, weak OTP_LIMIT_TRIES_IP"},
		{"OTP_LIMIT_TRIES_IP=off", "weak OTP_LIMIT_TRIES_IP"},
		{"OTP_MAX_ATTEMPTS=10", "weak odds"},
		{"OTP_MAX_ATTEMPTS=10 OTP_LENGTH=7", ""},
		{"OTP_DAILY_ATTEMPTS=33", ""},
		{"OTP_DAILY_ATTEMPTS=34", "weak odds"},
		{"OTP_LIMIT_PHONE=4/10m", "weak odds"},
		{"OTP_LIMIT_PHONE=4/10m OTP_DAILY_ATTEMPTS=20", ""},
		{"DEVICE_TTL=off", "weak DEVICE_TTL"},
		{"OTP_TEST_NUMBERS=+15550001111:123456", "weak OTP_TEST_NUMBERS"},
		{"ACCESS_TTL=24h", "weak ACCESS_TTL"},
		{"SMS_REGIONS=*", "weak SMS_REGIONS"},
		{"SMS_REGIONS=* APP_ENV=development SMS_PROVIDERS=console", "weak APP_ENV, note SMS_REGIONS"},
		{"DEFAULT_REGION=DE", "weak DEFAULT_REGION"},
		{"DEFAULT_REGION=IR", ""},
		{"SMS_ROUTES=AE=smsir;IR=smsir SMSIR_API_KEY=k SMSIR_LINE=1", "wrong SMS_ROUTES"},
		{"SMS_ROUTES=AE=smsir,twilio;IR=smsir SMSIR_API_KEY=k SMSIR_LINE=1", ""},
		{"SMS_ROUTES=DE=twilio;*=webhook", "note SMS_ROUTES"},
		{"SMS_PROVIDERS=webhook", "note SMS_PROVIDERS"},
		{"SMS_PROVIDERS=webhook,console", "weak SMS_PROVIDERS"},
		{"CORS_ORIGINS=*", "weak CORS_ORIGINS"},
		{"CORS_ORIGINS=http://app.example.com", "weak CORS_ORIGINS"},
		{"CORS_ORIGINS=http://localhost:3000", ""},
		{"PUBLIC_URL=http://otp.example.com", "weak PUBLIC_URL"},
		{"SMS_WEBHOOK_URL=http://sms.example.com", "weak SMS_WEBHOOK_URL"},
		{"SMS_WEBHOOK_URL=http://sms:8080", ""},
		{"SMS_WEBHOOK_URL=http://10.0.0.1", ""},
		{"TWILIO_BASE_URL=http://198.51.100.1", "weak TWILIO_BASE_URL"},
		{"LOG_LEVEL=debug", "note LOG_LEVEL"},
	} {
		c := load(t, strings.Fields(tc.changes)...)
		if got := strings.Join(bad(examineSettings(c, nil)), ", "); got != tc.want {
			t.Errorf("with %q: %s; want %s", tc.changes, got, tc.want)
		}
	}
}

// TestOdds checks the figures, and that a bad one comes with the settings that mend it.
func TestOdds(t *testing.T) {
	const advice = "set OTP_LENGTH to 7, or lower OTP_DAILY_ATTEMPTS, OTP_MAX_ATTEMPTS or OTP_LIMIT_PHONE"
	const begin = "strangers have 1 chance in "
	for changes, want := range map[string]Finding{
		"": {
			Mark: OK,
			Text: begin + "21,487 a day to guess a phone's code, with 46 attempts at 6 digits and 54 at 8",
		},
		"OTP_LENGTH=7": {
			Mark: OK,
			Text: begin + "214,869 a day to guess a phone's code, with 46 attempts at 7 digits and 54 at 9",
		},
		"OTP_LIMIT_PHONE=off": {
			Mark: Weak,
			Text: begin + "10,000 a day to guess a phone's code, with 100 attempts at 6 digits, " +
				"and should have less than 1 in 20,000: " + advice,
		},
	} {
		var f findings
		f.addOdds(load(t, strings.Fields(changes)...))
		if want.About = "odds"; len(f) != 1 || f[0] != want {
			t.Errorf("with %q: %v; want %v", changes, f, want)
		}
	}
}

func TestSecrets(t *testing.T) {
	same := random()
	for _, tc := range []struct {
		changes []string
		want    string
	}{
		{nil, ""},
		{[]string{"OTP_SECRET=an-otp-secret-of-more-than-32-bytes"}, "weak OTP_SECRET"},
		{[]string{"ADMIN_API_KEY=" + random() + ",an-admin-key-of-more-than-32-bytes"}, "weak ADMIN_API_KEY"},
		{[]string{"SMS_WEBHOOK_SECRET=" + same, "OTP_SECRET=" + same}, "weak SMS_WEBHOOK_SECRET"},
		{[]string{"SMS_WEBHOOK_SECRET=hello"}, "weak SMS_WEBHOOK_SECRET"},
		{[]string{"VONAGE_SIGNATURE_SECRET=short"}, ""},
		{[]string{"ADMIN_API_KEY="}, "note ADMIN_API_KEY"},
		{[]string{"APP_ENV=development", "OTP_SECRET=", "JWT_SECRET="}, "note OTP_SECRET"},
	} {
		if got := strings.Join(bad(examineSecrets(load(t, tc.changes...))), ", "); got != tc.want {
			t.Errorf("with %v: %s; want %s", tc.changes, got, tc.want)
		}
	}
}
