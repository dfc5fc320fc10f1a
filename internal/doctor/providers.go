package doctor

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/config"
)

// A Provider is one of those that the settings name.
type Provider struct {
	Name    string
	Fault   error // of its settings
	Reports bool  // its delivery reports reach the service
	Could   bool  // they would, with more settings
	Probe   func(ctx context.Context) (Account, error)
}

// An Account is what a provider's service says without sending anything.
type Account struct {
	Unproved    bool // that the credentials are right: no free call tells
	Closed      bool // it sends nothing any more
	TestOnly    bool // it sends to some numbers only
	Empty       bool // it has no credit
	LowQuality  bool // people block what it sends
	Proxied     bool // it is behind a proxy, which was not asked to connect
	Unsaid      string
	Certificate time.Time // its end; zero: there is none
}

// ErrRefused says that a service does not take the credentials.
var ErrRefused = errors.New("refuses the credentials")

// shapes are what settings of providers look like. They are of the providers' making, who may change them: what looks
// otherwise is weak and not wrong.
var shapes = []struct {
	variable string
	value    func(c *config.Config) string
	shape    *regexp.Regexp
	like     string
}{
	{"TWILIO_ACCOUNT_SID", func(c *config.Config) string { return c.Twilio.AccountSID }, regexp.MustCompile(`^AC[0-9a-f]{32}$`), "AC and 32 hexadecimal digits"},
	{"TWILIO_AUTH_TOKEN", func(c *config.Config) string { return c.Twilio.AuthToken.Reveal() }, regexp.MustCompile(`^[0-9a-f]{32}$`), "32 hexadecimal digits"},
	{"TWILIO_FROM", func(c *config.Config) string { return c.Twilio.From }, regexp.MustCompile(`^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{0,10}[A-Za-z][A-Za-z0-9 ]{0,10})$`), "a number with +, a short code, MG… or a name of at most 11 letters and digits"},
	{"KAVENEGAR_API_KEY", func(c *config.Config) string { return c.Kavenegar.APIKey.Reveal() }, regexp.MustCompile(`^[0-9A-Fa-f]{40,}={0,2}$`), "hexadecimal digits, 40 or more"},
	{"KAVENEGAR_SENDER", func(c *config.Config) string { return c.Kavenegar.Sender }, regexp.MustCompile(`^\+?[0-9]{4,20}$`), "the digits of a line"},
	{"VONAGE_API_KEY", func(c *config.Config) string { return c.Vonage.APIKey }, regexp.MustCompile(`^[0-9a-z]{8}$`), "8 letters and digits"},
	{"VONAGE_FROM", func(c *config.Config) string { return c.Vonage.From }, regexp.MustCompile(`^([0-9]{3,15}|[A-Za-z0-9 ]{0,10}[A-Za-z][A-Za-z0-9 ]{0,10})$`), "a number without + or a name of at most 11 letters and digits"},
	{"SNS_REGION", func(c *config.Config) string { return c.SNS.Region }, regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,2}-[0-9]$`), "a region such as eu-central-1"},
	{"SNS_SENDER_ID", func(c *config.Config) string { return c.SNS.SenderID }, regexp.MustCompile(`^[A-Za-z0-9-]{3,11}$`), "3 to 11 letters and digits"},
	{"WHATSAPP_PHONE_ID", func(c *config.Config) string { return c.WhatsApp.PhoneID }, regexp.MustCompile(`^[1-9][0-9]{9,19}$`), "the digits of the sender's id, which is not its number"},
	{"WHATSAPP_LANGUAGE", func(c *config.Config) string { return c.WhatsApp.Language }, regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`), "a language such as en or en_US"},
}

// of tells whether a variable is one of the provider's.
func of(provider, variable string) bool {
	prefix, _, _ := strings.Cut(variable, "_")
	return strings.EqualFold(prefix, provider)
}

func (p Provider) verdict(ctx context.Context, c *config.Config, now time.Time) (f findings) {
	if p.Fault != nil {
		f.add(Wrong, p.Name, "cannot be set up with these settings")
		return f
	}
	for _, s := range shapes {
		if value := s.value(c); of(p.Name, s.variable) && value != "" && !s.shape.MatchString(value) {
			f.add(Weak, s.variable, "does not look like %s", s.like)
		}
	}
	if p.Probe != nil {
		account, err := p.Probe(ctx)
		account.verdict(&f, p.Name, err, c, now)
	}
	if p.Could && !p.Reports {
		f.add(Note, p.Name, "could report what was delivered; see PUBLIC_URL and HOOK_SECRET")
	}
	return f
}

func (a Account) verdict(f *findings, name string, err error, c *config.Config, now time.Time) {
	switch {
	case errors.Is(err, ErrRefused):
		f.add(Wrong, name, "%s", err.Error())
		return
	case err != nil:
		f.add(Wrong, name, "%s", plain(err))
		return
	case a.Closed:
		f.add(Wrong, name, "takes the credentials, and the account is closed or suspended")
	case a.Proxied:
		f.add(Note, name, "is behind the proxy of HTTPS_PROXY or HTTP_PROXY, and was not asked")
	case a.Unproved:
		f.add(OK, name, "can be reached; whether it takes a message is seen when one is sent")
	default:
		f.add(OK, name, "takes the credentials")
	}
	if a.TestOnly {
		mark := Weak
		if c.Production {
			mark = Wrong
		}
		f.add(mark, name, "sends to numbers that you have verified there, and to nobody else, for as long as the account is one for trying")
	}
	if a.Empty {
		f.add(Weak, name, "has no credit left: unless you pay afterwards, messages fail")
	}
	if a.LowQuality {
		f.add(Weak, name, "rates the sender low, since people block it; messages may be limited")
	}
	if a.Unsaid != "" {
		f.add(Note, name, "%s", a.Unsaid)
	}
	f.certificate(name, a.Certificate, now)
}

// A Key is one that signs tokens or did so.
type Key struct {
	ID, Algorithm string
	Made          time.Time
	Signs         bool // now
	WorldReadable bool // users other than the owner of its file can read it
}

const oldKey = 400 * 24 * time.Hour // a year, and time to get to it

func keys(all []Key, fault error, c *config.Config, now time.Time) (f findings) {
	if fault != nil {
		f.add(Wrong, "JWT_KEYS", "%s", fault.Error())
		return f
	}
	if len(all) == 0 {
		return nil
	}
	signs := slices.IndexFunc(all, func(k Key) bool { return k.Signs })
	for _, k := range all {
		does := "verifies"
		if k.Signs {
			does = "signs"
		}
		f.add(OK, "JWT_KEYS", "%s of %s, kid %s…, %s", k.Algorithm, k.Made.UTC().Format(time.DateOnly), k.ID[:min(8, len(k.ID))], does)
	}
	switch {
	case signs < 0:
		f.add(Note, "JWT_KEYS", "JWT_SECRET signs until a key has been there for JWT_KEY_GRACE")
	case now.Sub(all[signs].Made) > oldKey:
		f.add(Weak, "JWT_KEYS", "the key that signs is older than a year; make a new one with: dekamond-otp keys new")
	}
	if all[0].Made.After(now.Add(time.Hour)) {
		f.add(Weak, "JWT_KEYS", "the newest key has a date in the future: no key that you make now will sign before that")
	}
	if slices.ContainsFunc(all, func(k Key) bool { return k.WorldReadable }) {
		f.add(Note, "JWT_KEYS", "files can be read by every user of this machine; chmod 600 them, unless the platform mounts them for the service alone")
	}
	if signs >= 0 && !c.JWTSecret.IsZero() {
		f.add(Note, "JWT_SECRET", "checks old tokens beside JWT_KEYS; remove it ACCESS_TTL after the keys sign everywhere")
	}
	return f
}

// texts tells of messages that cost more than one, and of templates that keep the service from starting.
func texts(costly []string, fault error) (f findings) {
	if fault != nil {
		f.add(Wrong, "SMS_TEXTS", "%s", strings.TrimPrefix(fault.Error(), "SMS_TEXTS: "))
	}
	if len(costly) > 0 {
		f.add(Weak, "texts", "cost more than one message each: %s; shorten APP_NAME or the texts", strings.Join(costly, ", "))
	}
	return f
}
