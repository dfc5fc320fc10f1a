package sms

import (
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
)

// faults returns the faults of a provider that is used with the given settings, each NAME=value.
func faults(provider string, settings ...string) string {
	d, _ := Describe(provider)
	r := setting.NewReader(func(name string) string {
		for _, s := range settings {
			if variable, value, _ := strings.Cut(s, "="); variable == name {
				return value
			}
		}
		return ""
	})
	d.Read(r, make(setting.Values))
	d.CheckUse(r, 6)
	if err := r.Err(); err != nil {
		return err.Error()
	}
	return ""
}

// examples returns the example of every variable in the catalogue.
func examples() setting.Values {
	values := make(setting.Values)
	for _, d := range Catalogue {
		for _, v := range d.Variables {
			values[v.Name] = secret.New(v.Example)
		}
	}
	return values
}

// with returns a copy of the values with the named one replaced.
func with(values setting.Values, name, value string) setting.Values {
	values = maps.Clone(values)
	values[name] = secret.New(value)
	return values
}

// TestCatalogue checks that each description agrees with itself and with the provider that it opens.
func TestCatalogue(t *testing.T) {
	noAWS(t)
	seen := make(map[string]bool)
	for _, d := range Catalogue {
		if seen[d.Name] {
			t.Errorf("%s is described twice", d.Name)
		}
		seen[d.Name] = true
		prefix := strings.ToUpper(d.Name) + "_"
		for _, v := range d.Variables {
			if !strings.HasPrefix(strings.TrimPrefix(v.Name, "SMS_"), prefix) || seen[v.Name] {
				t.Errorf("%s has the variable %s; want the prefix %s, and each variable once", d.Name, v.Name, prefix)
			}
			seen[v.Name] = true
			if v.Check != nil && v.Check(v.Example) != nil {
				t.Errorf("the example of %s is faulty: %v", v.Name, v.Check(v.Example))
			}
			if v.Shape != nil && !v.Shape.MatchString(v.Example) || (v.Shape == nil) != (v.Like == "") {
				t.Errorf("the example of %s does not look like %q", v.Name, v.Like)
			}
			if v.Example == "" || v.Required && v.Default != "" {
				t.Errorf("%s: example %q, required %t, default %q", v.Name, v.Example, v.Required, v.Default)
			}
		}
		p, err := Open(d.Name, OpenOptions{Settings: examples(), Stdout: io.Discard})
		if err != nil {
			t.Errorf("Open(%s): %v", d.Name, err)
			continue
		}
		if p.MaxCodeLength != d.MaxCodeLength {
			t.Errorf("%s delivers %d digits; its description says %d", d.Name, p.MaxCodeLength, d.MaxCodeLength)
		}
		for _, channel := range p.Channels() {
			if !slices.Contains(d.Channels, channel) {
				t.Errorf("%s offers %s; its description has %v", d.Name, channel, d.Channels)
			}
		}
		if _, ok := p.Provider.(Reporter); ok != (len(d.ReportSettings) > 0) {
			t.Errorf("%s is a Reporter: %t; its reports need %v", d.Name, ok, d.ReportSettings)
		}
		if _, ok := p.Provider.(Prober); ok == (d.Name == "console") {
			t.Errorf("%s is a Prober: %t; want true for all but the console", d.Name, ok)
		}
		hasBase := slices.ContainsFunc(
			d.Variables, func(v setting.Variable) bool { return v.Name == prefix+"BASE_URL" },
		)
		if hasBase != (d.BaseURL != "") {
			t.Errorf("%s has the base URL %q, and %sBASE_URL: %t", d.Name, d.BaseURL, prefix, hasBase)
		}
	}
	if _, err := Open("pigeon", OpenOptions{}); err == nil {
		t.Error("Open(pigeon): no error")
	}
}

// TestEverySettingIsRead checks that a provider reads each variable that it describes, and no other.
func TestEverySettingIsRead(t *testing.T) {
	noAWS(t)
	isRead := func(d Description, without string) (read bool) {
		values := examples()
		for _, other := range Catalogue {
			for _, v := range other.Variables {
				if other.Name != d.Name || v.Name == without {
					delete(values, v.Name)
				}
			}
		}
		defer func() { read = recover() != nil }()
		_, _ = d.New(Inputs{Values: values, Stdout: io.Discard})
		return false
	}
	for _, d := range Catalogue {
		if isRead(d, "") {
			t.Errorf("%s reads a variable that it does not describe", d.Name)
		}
		for _, v := range d.Variables {
			if !isRead(d, v.Name) {
				t.Errorf("%s does not read %s", d.Name, v.Name)
			}
		}
	}
}

// TestFailedConstructor checks that a provider that cannot be made is nil, and not a nil pointer in an interface.
func TestFailedConstructor(t *testing.T) {
	noAWS(t)
	t.Setenv("AWS_PROFILE", "absent")
	failed := 0
	for _, d := range Catalogue {
		p, err := d.New(Inputs{Values: examples(), Stdout: io.Discard})
		if (err == nil) != (p != nil) {
			t.Errorf("%s: provider %v beside the error %v", d.Name, p, err)
		}
		if err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d constructors failed; want only sns to fail", failed)
	}
}

// TestReports checks which settings let which providers report.
func TestReports(t *testing.T) {
	noAWS(t)
	none := with(examples(), "VONAGE_SIGNATURE_SECRET", "")
	var names []string
	for _, d := range Catalogue {
		names = append(names, d.Name)
	}
	for name, tc := range map[string]struct {
		o    OpenOptions
		want []string
	}{
		"nothing":      {OpenOptions{Settings: none}, nil},
		"a public URL": {OpenOptions{Settings: none, PublicURL: "https://example.com"}, []string{"twilio"}},
		"a hook secret": {
			OpenOptions{Settings: none, HookSecret: secret.New("hook")}, []string{"kavenegar", "vonage"},
		},
		"Vonage's signature": {OpenOptions{Settings: with(none, "VONAGE_SIGNATURE_SECRET", "s")}, []string{"vonage"}},
	} {
		providers, err := OpenAll(names, tc.o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range providers {
			if p.Reports {
				got = append(got, p.Name)
			}
		}
		if len(providers) != len(names) || !slices.Equal(got, tc.want) {
			t.Errorf("with %s, of %d providers %v report; want %v", name, len(providers), got, tc.want)
		}
	}
}

// TestOptions checks that settings become the right options.
func TestOptions(t *testing.T) {
	o := OpenOptions{
		Settings:   with(examples(), "VONAGE_SIGNATURE_SECRET", ""),
		PublicURL:  "https://example.com",
		HookSecret: secret.New("hook"),
	}
	o.Settings = with(with(o.Settings, "SMSIR_LINE", "1"), "SMSIR_TEMPLATE", "2")
	o.Settings = with(o.Settings, "SMSIR_CHANGE_TEMPLATE", "3")
	open := func() (*Kavenegar, *SMSIR, *Twilio, *Vonage) {
		p, err := OpenAll([]string{"kavenegar", "smsir", "twilio", "vonage"}, o)
		if err != nil {
			t.Fatal(err)
		}
		return p[0].Provider.(*Kavenegar), p[1].Provider.(*SMSIR), p[2].Provider.(*Twilio), p[3].Provider.(*Vonage)
	}
	k, s, tw, v := open()
	kavenegar := k.options
	kavenegar.APIKey, kavenegar.BaseURL = "", ""
	want := KavenegarOptions{Sender: "10004346", Template: "login", ChangeTemplate: "change", HookSecret: "hook"}
	if kavenegar != want {
		t.Errorf("Kavenegar has %+v; want %+v", kavenegar, want)
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
	o.Settings = with(o.Settings, "VONAGE_SIGNATURE_SECRET", "signature")
	if _, _, _, v = open(); v.o.Callback != "https://example.com/hooks/vonage" {
		t.Errorf("Vonage reports to %s; want no secret in the path of a signed report", v.o.Callback)
	}
}

// TestConsoleInProduction checks that the console of a production keeps no code in memory.
func TestConsoleInProduction(t *testing.T) {
	for production, want := range map[bool]int{true: 0, false: 1} {
		p, err := Open("console", OpenOptions{Production: production, Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		kept := 0
		for range p.Provider.(*Console).Recent {
			kept++
		}
		if kept != want {
			t.Errorf("production %v: %d messages are kept; want %d", production, kept, want)
		}
	}
}
