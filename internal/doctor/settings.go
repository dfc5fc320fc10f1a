package doctor

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/sms"
)

const (
	manyRegions = 60        // More countries than nearly any service has users in.
	longAccess  = time.Hour // Life of an access token.
	wideIPv4    = 8         // Bits of a prefix; one with fewer is not an operator's own network.
	wideIPv6    = 16        // The same.

	// leastOdds: one chance in so many a day to guess a phone's code is the most that is good.
	leastOdds = 20_000
)

// examineSettings examines the settings that can be judged by themselves.
func examineSettings(c *config.Config, misspelt []config.Misspelling) (f findings) {
	for _, m := range misspelt {
		f.add(Weak, m.Place, "has %s, which is no setting%s", m.Name, m.Question())
	}
	f.addEither(c.Production, "APP_ENV", "is production", Weak,
		"is development: whatever is missing has a default that is good for trying only")
	console := slices.Contains(c.UsedProviders(), "console")
	if !c.Production && !address.IsLoopback(c.HTTPAddr) && console {
		f.add(Weak, "HTTP_ADDR", "accepts connections from other machines, and development shows every code: "+
			"anyone who reaches it can log in as any user")
	}
	f.addAddresses(c)
	f.addLimits(c)
	f.addRegions(c)
	f.addRoutes(c)
	f.addWeb(c)
	if c.Production && c.LogLevel < slog.LevelInfo {
		f.add(Note, "LOG_LEVEL", "is debug")
	}
	return f
}

func (f *findings) addAddresses(c *config.Config) {
	if c.InternalAddr == "" {
		f.add(Note, "INTERNAL_ADDR", "is off: there are no metrics")
	} else {
		f.addEither(address.IsLoopback(c.InternalAddr), "INTERNAL_ADDR", "is for this machine alone", Weak,
			"takes connections from other machines: anyone who reaches it gets metrics and profiles; "+
				"let only your monitoring reach it")
	}
	const forged = "trusts addresses that anyone can make up: OTP_LIMIT_IP and OTP_LIMIT_TRIES_IP limit nothing; " +
		"name only your own proxies"
	const alike = "all clients count as one address for OTP_LIMIT_IP and OTP_LIMIT_TRIES_IP, and a few wrong codes " +
		"keep everyone out"
	all := func(p netip.Prefix) bool { return p.Bits() == 0 }
	wide := func(p netip.Prefix) bool { return p.Bits() < wideIPv6 && (p.Addr().Is6() || p.Bits() < wideIPv4) }
	switch {
	case slices.ContainsFunc(c.TrustedProxies, all):
		f.add(Wrong, "TRUSTED_PROXIES", "has a /0 and %s", forged)
	case slices.ContainsFunc(c.TrustedProxies, wide):
		f.add(Weak, "TRUSTED_PROXIES", "has a network of millions of addresses, and %s", forged)
	case len(c.TrustedProxies) > 0:
		f.add(OK, "TRUSTED_PROXIES", "names the proxies whose X-Forwarded-For is trusted")
	case address.IsLoopback(c.HTTPAddr) && c.Production:
		f.add(Weak, "TRUSTED_PROXIES", "is not set, and only a proxy on this machine can reach HTTP_ADDR: %s", alike)
	case c.Production:
		f.add(Weak, "TRUSTED_PROXIES", "is not set: behind a proxy or load balancer, %s", alike)
	}
}

func (f *findings) addLimits(c *config.Config) {
	before := len(*f)
	if c.OTPLimitPhone == (config.Limit{}) {
		f.add(Weak, "OTP_LIMIT_PHONE", "is off: one phone can be sent any number of messages, at your cost")
	}
	if c.OTPLimitIP == (config.Limit{}) {
		f.add(Weak, "OTP_LIMIT_IP", "is off: one client can make you send to any number of phones")
	}
	if c.OTPLimitTriesIP == (config.Limit{}) {
		f.add(Weak, "OTP_LIMIT_TRIES_IP", "is off: one client can try codes of any number of phones")
	} else if c.OTPLimitIP == (config.Limit{}) {
		f.add(Note, "OTP_LIMIT_TRIES_IP", "counts all people as one address if your own servers pass their codes on; "+
			"turn it off then, as OTP_LIMIT_IP is")
	}
	if c.OTPResendAfter == 0 {
		f.add(Weak, "OTP_RESEND_AFTER", "is off: a client that asks in a loop is sent a message each time")
	}
	if len(*f) == before {
		const good = "%d messages a phone in %s, %d an address in %s, %d wrong attempts a request, %d an address in %s"
		f.add(OK, "limits", good, c.OTPLimitPhone.Max, short(c.OTPLimitPhone.Window),
			c.OTPLimitIP.Max, short(c.OTPLimitIP.Window), c.OTPMaxAttempts,
			c.OTPLimitTriesIP.Max, short(c.OTPLimitTriesIP.Window))
	}
	f.addOdds(c)
	if c.DeviceTTL == 0 {
		f.add(Weak, "DEVICE_TTL", "is off: strangers who know a phone can keep its owner waiting on every device")
	}
	if n := len(c.OTPTestNumbers); n > 0 && c.Production {
		const bad = "lets %d number(s) in by a code that never changes: anyone who knows it can log in"
		f.add(Weak, "OTP_TEST_NUMBERS", bad, n)
	}
	if c.AccessTTL > longAccess {
		const bad = "is %s: for that long your APIs accept a person who was logged out or banned"
		f.add(Weak, "ACCESS_TTL", bad, short(c.AccessTTL))
	}
}

// addOdds reports how likely it is that strangers who know only a phone guess its code within a day.
func (f *findings) addOdds(c *config.Config) {
	p := services.Policy(c)
	odds, most := p.DailyOdds(), 1/float64(leastOdds)
	guesses, long := p.DailyGuesses()
	text := fmt.Sprintf("strangers have 1 chance in %s a day to guess a phone's code, with %d attempts at %d digits",
		thousands(int(math.Round(1/odds))), guesses, p.Length)
	if long > 0 {
		text += fmt.Sprintf(" and %d at %d", long, p.LongLength())
	}
	f.addEither(odds <= most, "odds", text, Weak, text+", and should have less than 1 in "+thousands(leastOdds)+
		": set OTP_LENGTH to 7, or lower OTP_DAILY_ATTEMPTS, OTP_MAX_ATTEMPTS or OTP_LIMIT_PHONE")
}

// thousands returns 21,487 for 21487.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// short returns 10m where Duration.String returns 10m0s.
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

// isFree reports whether the messages of a provider cost nothing, because they reach no phone.
func isFree(provider string) bool {
	d, _ := sms.Describe(provider)
	return d.Development
}

func (f *findings) addRegions(c *config.Config) {
	costs := slices.ContainsFunc(c.UsedProviders(), func(name string) bool { return !isFree(name) })
	all := slices.Equal(c.SMSRegions, []string{"*"})
	switch {
	case all && costs:
		f.add(Weak, "SMS_REGIONS", "is *: people who earn from messages to premium ranges can make you pay for them "+
			"(SMS pumping); set it to the countries of your users")
	case all:
		f.add(Note, "SMS_REGIONS", "is *, which costs nothing before there is a real provider")
	case len(c.SMSRegions) > manyRegions:
		f.add(Weak, "SMS_REGIONS", "has %d countries: each is a way to make you pay for messages (SMS pumping); "+
			"name those of your users", len(c.SMSRegions))
	default:
		f.add(OK, "SMS_REGIONS", "is %s", strings.Join(c.SMSRegions, ","))
	}
	if c.DefaultRegion != "" && !all && !slices.Contains(c.SMSRegions, c.DefaultRegion) {
		f.add(Weak, "DEFAULT_REGION", "is %s, which is not in SMS_REGIONS: "+
			"numbers without a country code are read and then refused", c.DefaultRegion)
	}
}

func (f *findings) addRoutes(c *config.Config) {
	for _, region := range c.SMSRegions {
		f.addDeadRoute(c, region)
	}
	all := slices.Equal(c.SMSRegions, []string{"*"})
	for _, region := range slices.Sorted(maps.Keys(c.SMSRoutes)) {
		if region != "*" && !all && !slices.Contains(c.SMSRegions, region) {
			f.add(Note, "SMS_ROUTES", "has a route for %s, which is not in SMS_REGIONS", region)
		}
	}
	if !c.Production {
		return
	}
	for _, name := range c.UsedProviders() {
		if isFree(name) {
			f.add(
				Weak, "SMS_PROVIDERS", "has %s: if the other providers fail, codes are sent there and not to the phone",
				name,
			)
		}
	}
	if len(c.UsedProviders()) == 1 {
		f.add(Note, "SMS_PROVIDERS", "has one provider: while it is down, no codes are delivered")
	}
}

// addDeadRoute reports a region if none of its providers delivers there.
func (f *findings) addDeadRoute(c *config.Config, region string) {
	names := route(c, region)
	delivers := func(name string) bool {
		d, _ := sms.Describe(name)
		return len(d.Regions) == 0 || slices.Contains(d.Regions, region)
	}
	if !slices.ContainsFunc(names, delivers) {
		const bad = "has only %s for %s, where it does not deliver: such messages fail"
		f.add(Wrong, "SMS_ROUTES", bad, strings.Join(names, ","), region)
	}
}

// route returns the providers of a region.
func route(c *config.Config, region string) []string {
	for _, name := range []string{region, "*"} {
		if names := c.SMSRoutes[name]; names != nil {
			return names
		}
	}
	return c.SMSProviders
}

// routes returns the providers of every route, that of SMS_PROVIDERS first.
func routes(c *config.Config) [][]string {
	all := [][]string{route(c, "")}
	for _, region := range slices.Sorted(maps.Keys(c.SMSRoutes)) {
		all = append(all, c.SMSRoutes[region])
	}
	return all
}

// addWeb examines what browsers and providers are told, and what is sent without TLS.
func (f *findings) addWeb(c *config.Config) {
	if slices.Equal(c.CORSOrigins, []string{"*"}) {
		f.add(Weak, "CORS_ORIGINS", "is *: any page on the web can request messages from its visitors' addresses; "+
			"name your own origins")
	} else if slices.ContainsFunc(c.CORSOrigins, isExposed) {
		f.add(Weak, "CORS_ORIGINS", "has an http:// origin, whose pages can be altered in transit")
	}
	if isExposed(c.PublicURL) {
		f.add(Weak, "PUBLIC_URL", "is http://: delivery reports, and the secret in their path, can be read in transit")
	}
	for _, d := range sms.Catalogue {
		for _, v := range d.Variables {
			if v.Endpoint && isExposed(c.Providers.Text(v.Name)) {
				f.add(Weak, v.Name, "is http://: numbers and codes can be read in transit")
			}
		}
	}
}

// isExposed reports whether a URL leads through networks of other owners without TLS: over http, to a public address or
// to a name with a dot. A name without a dot belongs to a private network.
func isExposed(link string) bool {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "http" {
		return false
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return address.IsPublic(ip)
	}
	return strings.Contains(u.Hostname(), ".")
}
