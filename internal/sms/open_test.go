package sms

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/secret"
)

// TestOpen holds that there is a provider for every name, and which of them report.
func TestOpen(t *testing.T) {
	names := slices.Sorted(maps.Keys(config.Providers))
	all := map[string]string{"SMS_PROVIDERS": strings.Join(names, ","), "SMSIR_LINE": "30004505000017", "SMS_WEBHOOK_URL": "http://localhost"}
	for _, variables := range config.Providers {
		for _, variable := range variables {
			if all[variable] == "" {
				all[variable] = "any-value"
			}
		}
	}
	for settings, want := range map[string][]string{
		"":                               nil,
		"PUBLIC_URL=https://example.com": {"twilio"},
		"HOOK_SECRET=a-secret-of-a-path": {"kavenegar", "vonage"},
		"VONAGE_SIGNATURE_SECRET=secret": {"vonage"},
	} {
		c, err := config.Load(func(name string) string {
			if own, value, _ := strings.Cut(settings, "="); own == name {
				return value
			}
			return all[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		providers, err := Open(c, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var got, reports []string
		for _, p := range providers {
			got = append(got, p.Name)
			if _, ok := p.Provider.(Reporter); p.Reports && !ok {
				t.Errorf("%s reports, and is no Reporter", p.Name)
			}
			if p.Reports {
				reports = append(reports, p.Name)
			}
		}
		if !slices.Equal(got, names) || !slices.Equal(reports, want) {
			t.Errorf("with %q: %v, of which %v report; want %v, %v", settings, got, reports, names, want)
		}
	}
}

// TestOpenGivesEachItsSettings holds that no setting goes astray.
func TestOpenGivesEachItsSettings(t *testing.T) {
	c := new(config.Config)
	c.SMSProviders, c.PublicURL, c.HookSecret = []string{"kavenegar", "smsir", "twilio", "vonage"}, "https://example.com", secret.New("hook")
	c.Kavenegar.APIKey, c.SMSIR.APIKey = secret.New("key"), secret.New("key")
	c.Kavenegar.Sender, c.Kavenegar.Template, c.Kavenegar.ChangeTemplate = "10004346", "login", "change"
	c.SMSIR.Line, c.SMSIR.Template, c.SMSIR.ChangeTemplate = 1, 2, 3
	open := func() (*Kavenegar, *SMSIR, *Twilio, *Vonage) {
		p, err := Open(c, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return p[0].Provider.(*Kavenegar), p[1].Provider.(*SMSIR), p[2].Provider.(*Twilio), p[3].Provider.(*Vonage)
	}
	k, s, tw, v := open()
	if o := k.options; o.Sender != "10004346" || o.Template != "login" || o.ChangeTemplate != "change" || o.HookSecret != "hook" {
		t.Errorf("Kavenegar has %+v", o)
	}
	if o := s.options; o.Line != 1 || o.TemplateID != 2 || o.ChangeTemplateID != 3 {
		t.Errorf("SMS.ir has %+v", o)
	}
	if got := tw.o.StatusCallback; got != "https://example.com/hooks/twilio" {
		t.Errorf("Twilio reports to %s", got)
	}
	if got := v.o.Callback; got != "https://example.com/hooks/vonage/hook" {
		t.Errorf("Vonage reports to %s", got)
	}
	c.Vonage.SignatureSecret = secret.New("signature")
	if _, _, _, v = open(); v.o.Callback != "https://example.com/hooks/vonage" {
		t.Errorf("Vonage reports to %s; want no secret in the path of what is signed", v.o.Callback)
	}
}

// TestConsoleInProduction holds that no code stays in the memory of a production.
func TestConsoleInProduction(t *testing.T) {
	for production, want := range map[bool]int{true: 0, false: 1} {
		p, _, err := open(&config.Config{Production: production}, "console", io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for range p.(*Console).Recent {
			kept++
		}
		if kept != want {
			t.Errorf("production %v: %d messages are kept; want %d", production, kept, want)
		}
	}
}
