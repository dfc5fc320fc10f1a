package doctor

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/sms"
)

// A provider is one that the settings use.
type provider struct {
	sms.Description
	fault    error    // Why it could not be opened.
	reports  bool     // Its delivery reports reach the service.
	channels []string // That it offers with these settings.
	probe    func(ctx context.Context) (sms.Account, error)
}

// canReport reports whether its delivery reports reach the service, or would with more settings.
func (p provider) canReport() bool { return len(p.ReportSettings) > 0 }

func (p provider) examine(ctx context.Context, c *config.Config, now time.Time) (f findings) {
	if p.fault != nil {
		f.add(Wrong, p.Name, "cannot be set up with these settings")
		return f
	}
	for _, v := range p.Variables {
		if value := c.Providers.Text(v.Name); value != "" && v.Shape != nil && !v.Shape.MatchString(value) {
			f.add(Weak, v.Name, "does not look like %s", v.Like)
		}
	}
	if p.probe != nil {
		account, err := p.probe(ctx)
		if err == nil {
			f.addAccount(p.Name, account, c, now)
		} else if errors.Is(err, sms.ErrCredentials) {
			f.add(Wrong, p.Name, "%s", err.Error())
		} else {
			f.add(Wrong, p.Name, "%s", plain(err))
		}
	}
	if p.canReport() && !p.reports {
		f.add(Note, p.Name, "could report what was delivered; see PUBLIC_URL and HOOK_SECRET")
	}
	return f
}

func (f *findings) addAccount(name string, a sms.Account, c *config.Config, now time.Time) {
	switch {
	case a.Closed:
		f.add(Wrong, name, "takes the credentials, and the account is closed or suspended")
	case a.Proxied:
		f.add(Note, name, "is behind the proxy of HTTPS_PROXY or HTTP_PROXY, and was not asked")
	case a.Unproved:
		f.add(OK, name, "can be reached; only a message shows whether it takes messages")
	default:
		f.add(OK, name, "takes the credentials")
	}
	if a.TestOnly {
		mark := Weak
		if c.Production {
			mark = Wrong
		}
		f.add(
			mark, name, "sends only to numbers that you have verified there, as long as the account is a trial account",
		)
	}
	if a.Empty {
		f.add(Weak, name, "has no credit left: unless you pay afterwards, messages fail")
	}
	if a.LowQuality {
		f.add(Weak, name, "rates the sender low, because people block it; messages may be limited")
	}
	if a.Unchecked != "" {
		f.add(Note, name, "%s", a.Unchecked)
	}
	f.addCertificate(name, a.Certificate, now)
}

// examineLongCodes reports the channels on which the longer code of a phone that has had OTP_DAILY_ATTEMPTS wrong
// attempts in a row reaches no one, because no provider of the channel delivers a code of that length.
func examineLongCodes(c *config.Config, providers []provider) (f findings) {
	digits := services.Policy(c).LongLength()
	seen := make(map[string]bool) // by channel
	for _, route := range routes(c) {
		most := make(map[string]int) // digits that the route delivers, by channel
		for _, p := range providers {
			if !slices.Contains(route, p.Name) {
				continue
			}
			for _, channel := range p.channels {
				most[channel] = max(most[channel], cmp.Or(p.MaxCodeLength, digits))
			}
		}
		for _, channel := range slices.Sorted(maps.Keys(most)) {
			if most[channel] >= digits || seen[channel] {
				continue
			}
			seen[channel] = true
			const bad = "is %d, and after %d wrong attempts in a row a phone's codes have %d digits: " +
				"no provider delivers more than %d by %s; set it to %d, or add a provider"
			f.add(Weak, "OTP_LENGTH", bad, c.OTPLength, c.OTPDailyAttempts, digits,
				most[channel], channel, most[channel]-otp.LongerBy)
		}
	}
	return f
}
