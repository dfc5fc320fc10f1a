package doctor

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/sms"
)

// described returns a provider that was not opened.
func described(name string) provider {
	d, _ := sms.Describe(name)
	return provider{Description: d}
}

func TestProviders(t *testing.T) {
	c := load(t)
	for _, tc := range []struct {
		account sms.Account
		err     error
		want    string
	}{
		{sms.Account{}, nil, ""},
		{sms.Account{Unproved: true}, nil, ""},
		{sms.Account{Closed: true}, nil, "wrong twilio"},
		{sms.Account{TestOnly: true}, nil, "wrong twilio"},
		{sms.Account{Empty: true}, nil, "weak twilio"},
		{sms.Account{LowQuality: true}, nil, "weak twilio"},
		{sms.Account{Proxied: true}, nil, "note twilio"},
		{sms.Account{Unchecked: "may not ask"}, nil, "note twilio"},
		{sms.Account{Certificate: now.Add(time.Hour)}, nil, "weak twilio"},
		{sms.Account{}, syscall.ECONNREFUSED, "wrong twilio"},
	} {
		p := described("twilio")
		p.reports = true
		p.probe = func(context.Context) (sms.Account, error) { return tc.account, tc.err }
		if got := strings.Join(bad(p.examine(t.Context(), c, now)), ", "); got != tc.want {
			t.Errorf("%+v, %v: %s; want %s", tc.account, tc.err, got, tc.want)
		}
	}
	refusing := described("twilio")
	refusing.reports = true
	refusing.probe = func(context.Context) (sms.Account, error) {
		return sms.Account{}, fmt.Errorf("%w (answered 401)", sms.ErrCredentials)
	}
	want := findings{{Wrong, "twilio", "refuses the credentials (answered 401)"}}
	if got := refusing.examine(t.Context(), c, now); !slices.Equal(got, want) {
		t.Errorf("with wrong credentials: %v; want %v", got, want)
	}
	silent := described("twilio")
	if got := bad(silent.examine(t.Context(), c, now)); !slices.Equal(got, []string{"note twilio"}) {
		t.Errorf("without reports: %v; want a note", got)
	}
	faulty := described("sns")
	faulty.fault = io.EOF
	if got := bad(faulty.examine(t.Context(), c, now)); !slices.Equal(got, []string{"wrong sns"}) {
		t.Errorf("with a fault: %v; want it wrong", got)
	}
}

func TestShapes(t *testing.T) {
	good := []string{
		"TWILIO_FROM=Dekamond",
		"TWILIO_FROM=MG00112233445566778899aabbccddeeff",
		"TWILIO_FROM=12345",
		"VONAGE_FROM=447700900000",
		"VONAGE_FROM=Dekamond",
		"VONAGE_API_KEY=abcd1234",
		"KAVENEGAR_API_KEY=" + hex.EncodeToString([]byte("a key of forty and more digits, 32 b")),
		"KAVENEGAR_SENDER=10004346",
		"SNS_REGION=eu-central-1",
		"SNS_REGION=us-gov-west-1",
		"SNS_SENDER_ID=Dekamond",
		"WHATSAPP_PHONE_ID=106540352242922",
		"WHATSAPP_LANGUAGE=fa",
	}
	faulty := []string{
		"TWILIO_ACCOUNT_SID=SK00112233445566778899aabbccddeeff",
		"TWILIO_AUTH_TOKEN=hunter2",
		"TWILIO_FROM=+98 912",
		"TWILIO_FROM=A name that is too long",
		"VONAGE_FROM=+447700900000",
		"VONAGE_API_KEY=hunter2",
		"KAVENEGAR_API_KEY=hunter2",
		"KAVENEGAR_SENDER=mine",
		"SNS_REGION=Frankfurt",
		"SNS_SENDER_ID=x",
		"WHATSAPP_PHONE_ID=+989121234567",
		"WHATSAPP_LANGUAGE=english",
	}
	for _, change := range slices.Concat(good, faulty) {
		name, _, _ := strings.Cut(change, "=")
		provider, _, _ := strings.Cut(strings.ToLower(name), "_")
		p := described(provider)
		p.reports = true
		found := p.examine(t.Context(), load(t, change), now)
		var want []string
		if slices.Contains(faulty, change) {
			want = []string{"weak " + name}
		}
		if got := bad(found); !slices.Equal(got, want) || len(found) > len(want) {
			t.Errorf("%s: %v; want %v", change, found, want)
		}
	}
}

// TestOpenProviders checks that every provider but the console is probed, and that a provider that cannot be opened
// does not keep the others from being examined.
func TestOpenProviders(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_PROFILE":                 "absent",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	c := load(t, "PUBLIC_URL=")
	c.SMSProviders = nil
	for _, d := range sms.Catalogue {
		c.SMSProviders = append(c.SMSProviders, d.Name)
	}
	for _, p := range openProviders(c) {
		faulty := p.Name == "sns"
		if (p.fault != nil) != faulty || (p.probe == nil) != (faulty || p.Name == "console") {
			t.Errorf("%s: fault %v, probed: %v", p.Name, p.fault, p.probe != nil)
		}
		can := slices.Contains([]string{"kavenegar", "twilio", "vonage"}, p.Name)
		if p.canReport() != can || p.reports {
			t.Errorf("%s reports: %v, can report: %v; want %v", p.Name, p.reports, p.canReport(), can)
		}
	}
}

// TestLongCodesOfProviders checks that a channel is named whose providers cannot deliver the codes of a phone that is
// under attack.
func TestLongCodesOfProviders(t *testing.T) {
	for _, tc := range []struct {
		settings, want string
	}{
		{"OTP_LENGTH=6 SMS_PROVIDERS=telegram", ""},
		{"OTP_LENGTH=7 SMS_PROVIDERS=telegram", "weak OTP_LENGTH"},
		{"OTP_LENGTH=7 SMS_PROVIDERS=telegram,twilio", "weak OTP_LENGTH"},
		{"OTP_LENGTH=7 SMS_PROVIDERS=telegram,webhook SMS_WEBHOOK_CHANNELS=sms", "weak OTP_LENGTH"},
		{"OTP_LENGTH=7 SMS_PROVIDERS=telegram,webhook SMS_WEBHOOK_CHANNELS=sms,telegram", ""},
		{"OTP_LENGTH=7 SMS_ROUTES=IR=telegram,webhook SMS_WEBHOOK_CHANNELS=telegram", ""},
		{"OTP_LENGTH=7 SMS_ROUTES=IR=telegram,webhook;*=telegram SMS_WEBHOOK_CHANNELS=telegram", "weak OTP_LENGTH"},
		{"OTP_LENGTH=8 SMS_PROVIDERS=twilio", ""},
	} {
		c := load(t, append(strings.Fields(tc.settings), "TELEGRAM_TOKEN=t")...)
		if got := strings.Join(bad(examineLongCodes(c, openProviders(c))), ", "); got != tc.want {
			t.Errorf("with %s: %s; want %s", tc.settings, got, tc.want)
		}
	}
}
