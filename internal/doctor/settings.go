package doctor

import (
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
)

const (
	manyRegions = 60        // countries: more than nearly any service has users in
	longAccess  = time.Hour // life of an access token
	longGuess   = 10        // wrong tries a code and length, at which guessing begins to pay
	wideIPv4    = 8         // bits of a prefix, below which it is no network of one's own
	wideIPv6    = 16        // the same
)

// settings looks at those that need nothing but themselves to be judged.
func settings(c *config.Config, misspelt []string) (f findings) {
	for _, name := range misspelt {
		f.add(Weak, ".env", "has %s, which is no setting", name)
	}
	f.either(c.Production, "APP_ENV", "is production", Weak, "is development: whatever is missing has a default that is good for trying only")
	if !c.Production && !address.IsLoopback(c.HTTPAddr) && slices.Contains(c.UsedProviders(), "console") {
		f.add(Weak, "HTTP_ADDR", "takes connections from other machines, and development shows every code: whoever reaches it can log in as anybody")
	}
	f.addresses(c)
	f.limits(c)
	f.regions(c)
	f.web(c)
	if c.Production && c.LogLevel < slog.LevelInfo {
		f.add(Note, "LOG_LEVEL", "is debug")
	}
	return f
}

func (f *findings) addresses(c *config.Config) {
	if c.InternalAddr == "" {
		f.add(Note, "INTERNAL_ADDR", "is off: there are no metrics")
	} else {
		f.either(address.IsLoopback(c.InternalAddr), "INTERNAL_ADDR", "is for this machine alone", Weak,
			"takes connections from other machines: metrics and profiles are for whoever reaches it; let only your monitoring do so")
	}
	const forged = "believes addresses that anybody can make up: OTP_LIMIT_IP limits nobody; name your proxies alone"
	wide := func(p netip.Prefix) bool { return p.Bits() < wideIPv6 && (p.Addr().Is6() || p.Bits() < wideIPv4) }
	switch all := func(p netip.Prefix) bool { return p.Bits() == 0 }; {
	case slices.ContainsFunc(c.TrustedProxies, all):
		f.add(Wrong, "TRUSTED_PROXIES", "has a /0 and %s", forged)
	case slices.ContainsFunc(c.TrustedProxies, wide):
		f.add(Weak, "TRUSTED_PROXIES", "has a network of millions of addresses, and %s", forged)
	case len(c.TrustedProxies) > 0:
		f.add(OK, "TRUSTED_PROXIES", "names whose X-Forwarded-For is believed")
	case address.IsLoopback(c.HTTPAddr) && c.Production:
		f.add(Weak, "TRUSTED_PROXIES", "is not set, and only a proxy on this machine can reach HTTP_ADDR: all clients are one address to OTP_LIMIT_IP")
	case c.Production:
		f.add(Weak, "TRUSTED_PROXIES", "is not set: behind a proxy or load balancer all clients are one address to OTP_LIMIT_IP")
	}
}

func (f *findings) limits(c *config.Config) {
	before := len(*f)
	if c.OTPLimitPhone == (config.Limit{}) {
		f.add(Weak, "OTP_LIMIT_PHONE", "is off: one phone can be sent any number of messages, at your cost")
	}
	if c.OTPLimitIP == (config.Limit{}) {
		f.add(Weak, "OTP_LIMIT_IP", "is off: one client can make you send to any number of phones")
	}
	if c.OTPResendAfter == 0 {
		f.add(Weak, "OTP_RESEND_AFTER", "is off: a client that asks in a loop is sent a message each time")
	}
	if c.OTPMaxAttempts >= longGuess && c.OTPLength < 7 {
		f.add(Weak, "OTP_MAX_ATTEMPTS", "allows %d wrong tries of a code of %d digits; 5 are enough for people", c.OTPMaxAttempts, c.OTPLength)
	}
	if len(*f) == before {
		f.add(OK, "limits", "%d messages a phone in %s, %d an address in %s, %d wrong tries a code, %d a day", c.OTPLimitPhone.Max, short(c.OTPLimitPhone.Window),
			c.OTPLimitIP.Max, short(c.OTPLimitIP.Window), c.OTPMaxAttempts, c.OTPDailyAttempts)
	}
	if n := len(c.OTPTestNumbers); n > 0 && c.Production {
		f.add(Weak, "OTP_TEST_NUMBERS", "lets %d number(s) in by a code that does not change: whoever knows it logs in", n)
	}
	if c.AccessTTL > longAccess {
		f.add(Weak, "ACCESS_TTL", "is %s: that long your APIs let somebody in who was logged out or banned", short(c.AccessTTL))
	}
}

// short is 10m, not 10m0s.
func short(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "" || s[len(s)-1] >= '0' && s[len(s)-1] <= '9' {
		return d.String()
	}
	return s
}

// free are the providers whose messages cost nothing, since nobody's phone gets them.
var free = []string{"console", "smtp"}

func (f *findings) regions(c *config.Config) {
	costs := slices.ContainsFunc(c.UsedProviders(), func(name string) bool { return !slices.Contains(free, name) })
	all := slices.Equal(c.SMSRegions, []string{"*"})
	switch {
	case all && costs:
		f.add(Weak, "SMS_REGIONS", "is *: whoever earns by messages to premium ranges can have you pay for them (SMS pumping); set it to the countries of your users")
	case all:
		f.add(Note, "SMS_REGIONS", "is *, which costs nothing before there is a real provider")
	case len(c.SMSRegions) > manyRegions:
		f.add(Weak, "SMS_REGIONS", "has %d countries: each one is a way to have you pay for messages (SMS pumping); name those of your users", len(c.SMSRegions))
	default:
		f.add(OK, "SMS_REGIONS", "is %s", strings.Join(c.SMSRegions, ","))
	}
	if c.DefaultRegion != "" && !all && !slices.Contains(c.SMSRegions, c.DefaultRegion) {
		f.add(Weak, "DEFAULT_REGION", "is %s, which is not in SMS_REGIONS: numbers without a country code are read and then refused", c.DefaultRegion)
	}
	for _, region := range c.SMSRegions {
		if region != "IR" && slices.Equal(route(c, region), []string{"smsir"}) {
			f.add(Wrong, "SMS_ROUTES", "has smsir alone for %s, which delivers to Iran only: such messages fail", region)
		}
	}
	for _, region := range slices.Sorted(maps.Keys(c.SMSRoutes)) {
		if region != "*" && !all && !slices.Contains(c.SMSRegions, region) {
			f.add(Note, "SMS_ROUTES", "has a route for %s, which is not in SMS_REGIONS", region)
		}
	}
	if !c.Production {
		return
	}
	for _, name := range free {
		if slices.Contains(c.UsedProviders(), name) {
			f.add(Weak, "SMS_PROVIDERS", "has %s: where the others fail, codes go there and not to the phone", name)
		}
	}
	if len(c.UsedProviders()) == 1 {
		f.add(Note, "SMS_PROVIDERS", "has one provider: while that is down, nobody gets a code")
	}
}

// route is the providers of a region.
func route(c *config.Config, region string) []string {
	for _, name := range []string{region, "*"} {
		if names := c.SMSRoutes[name]; names != nil {
			return names
		}
	}
	return c.SMSProviders
}

// web looks at what browsers and providers are told, and at what is sent in clear.
func (f *findings) web(c *config.Config) {
	if slices.Equal(c.CORSOrigins, []string{"*"}) {
		f.add(Weak, "CORS_ORIGINS", "is *: any page on the web can ask for messages with its visitors' addresses; name your own")
	} else if slices.ContainsFunc(c.CORSOrigins, inClear) {
		f.add(Weak, "CORS_ORIGINS", "has a page of http://, which anybody on its way can change")
	}
	if inClear(c.PublicURL) {
		f.add(Weak, "PUBLIC_URL", "is http://: delivery reports, and the secret in their path, can be read on the way")
	}
	for _, call := range []struct{ name, url string }{
		{"SMS_WEBHOOK_URL", c.SMSWebhook.URL.Reveal()},
		{"TWILIO_BASE_URL", c.Twilio.BaseURL},
		{"KAVENEGAR_BASE_URL", c.Kavenegar.BaseURL},
		{"SMSIR_BASE_URL", c.SMSIR.BaseURL},
		{"VONAGE_BASE_URL", c.Vonage.BaseURL},
		{"SNS_BASE_URL", c.SNS.BaseURL},
		{"WHATSAPP_BASE_URL", c.WhatsApp.BaseURL},
		{"TELEGRAM_BASE_URL", c.Telegram.BaseURL},
	} {
		if inClear(call.url) {
			f.add(Weak, call.name, "is http://: numbers and codes can be read on the way")
		}
	}
}

// inClear tells whether a URL leads through networks of others without TLS: over http, to a name with a dot or a
// public address. A name without a dot is one of a private network.
func inClear(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" {
		return false
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return address.IsPublic(ip)
	}
	return strings.Contains(u.Hostname(), ".")
}
