package sms

import (
	"fmt"
	"io"
	"slices"

	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
)

// A Description is all that the service knows about a provider before it opens it.
type Description struct {
	setting.Provider          // Its name and its settings.
	Channels         []string // That it can offer, the preferred one first; its settings may leave some of them out.
	BaseURL          string   // Where its API is published; empty if the operator names the endpoint.
	Regions          []string // ISO 3166 codes of the only regions that it delivers to; empty = all.

	// Reports are the settings that enable delivery reports: if any one of them is set, reports reach the service
	// and can be verified. It is empty for a provider that reports nothing.
	ReportSettings []string

	New func(Inputs) (Provider, error)
}

// Inputs are what a provider is made from.
type Inputs struct {
	setting.Values           // Of all providers; those of this one keep its rules.
	Stdout         io.Writer // For messages to the developer.
	Production     bool
	Callback       string        // URL for delivery reports of this provider; empty without PUBLIC_URL.
	HookSecret     secret.Secret // What proves a report that is not signed; may be zero.
}

// Catalogue lists the providers in the order of the documents.
var Catalogue = []Description{
	console,
	webhook,
	twilio,
	kavenegar,
	smsIR,
	vonage,
	snsProvider,
	whatsApp,
	telegram,
	smtpProvider,
}

// Settings returns what Catalogue says about settings.
func Settings() (all []setting.Provider) {
	for _, d := range Catalogue {
		all = append(all, d.Provider)
	}
	return all
}

// Describe returns the description of the provider of that name; ok is false if Catalogue has none.
func Describe(name string) (d Description, ok bool) {
	i := slices.IndexFunc(Catalogue, func(d Description) bool { return d.Name == name })
	if i < 0 {
		return d, false
	}
	return Catalogue[i], true
}

// OpenOptions are the inputs of Open.
type OpenOptions struct {
	Settings   setting.Values // Of all providers.
	PublicURL  string         // Where providers reach this service, without a final slash; may be empty.
	HookSecret secret.Secret  // May be zero.
	Production bool
	Stdout     io.Writer // For messages to the developer.
}

// An Opened is a provider with the name that settings, log and metrics use, ready to send.
type Opened struct {
	Name          string
	Reports       bool // Its delivery reports reach this service; it is a Reporter then.
	MaxCodeLength int  // Digits of the longest code that it delivers; 0 = any.
	Provider
}

// carries reports whether the provider delivers codes of so many digits.
func (o Opened) carries(digits int) bool { return o.MaxCodeLength == 0 || digits <= o.MaxCodeLength }

// Open makes the provider of that name. It connects to nothing.
func Open(name string, o OpenOptions) (Opened, error) {
	d, ok := Describe(name)
	if !ok {
		return Opened{}, fmt.Errorf("sms: there is no provider %s", name)
	}
	in := Inputs{Values: o.Settings, Stdout: o.Stdout, Production: o.Production, HookSecret: o.HookSecret}
	if o.PublicURL != "" {
		in.Callback = o.PublicURL + "/hooks/" + name
	}
	p, err := d.New(in)
	if err != nil {
		return Opened{}, fmt.Errorf("sms: %s: %w", name, err)
	}
	return Opened{
		Name:          name,
		Reports:       slices.ContainsFunc(d.ReportSettings, o.isSet),
		MaxCodeLength: d.MaxCodeLength,
		Provider:      p,
	}, nil
}

// OpenAll opens the named providers.
func OpenAll(names []string, o OpenOptions) (all []Opened, err error) {
	for _, name := range names {
		p, err := Open(name, o)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// isSet reports whether a setting that delivery reports may need has a value.
func (o OpenOptions) isSet(variable string) bool {
	switch variable {
	case "PUBLIC_URL":
		return o.PublicURL != ""
	case "HOOK_SECRET":
		return !o.HookSecret.IsZero()
	}
	return o.Settings.Text(variable) != ""
}

// baseURLVariable describes the setting that replaces a provider's published address, for a proxy or a test.
func baseURLVariable(name, published string) setting.Variable {
	return setting.Variable{Name: name, Example: published, Endpoint: true, Check: setting.Checked(setting.URL)}
}
