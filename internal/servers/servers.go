// Package servers builds the two servers that the settings describe: the API on HTTP_ADDR and the operator's on
// INTERNAL_ADDR. It owns their addresses, the log, and what a developer is shown at the start. What the servers answer
// belongs to packages httpapi and operator.
package servers

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/httpapi"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/operator"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/stores"
)

// Options are the inputs of New. All are needed.
type Options struct {
	Version  string
	History  *operator.History
	Stores   *stores.Stores
	Services *services.Services
	Examine  func(ctx context.Context, report io.Writer) error // writes what the doctor finds
}

// Servers do not listen yet.
type Servers struct {
	API      *httpapi.Server
	Operator *operator.Server
}

// New returns the servers. It adds the metrics of the stores and of the router to the metrics of the services.
func New(o Options) (*Servers, error) {
	api, err := newAPI(o)
	if err != nil {
		return nil, err
	}
	outbox, resting := o.Stores.Codes.Backlog, o.Services.Router.Resting
	o.Services.Metrics.Watch(metrics.Sources{
		RedisPool:    o.Stores.Redis.Pool,
		DatabasePool: o.Stores.Accounts.Pool,
		Outbox:       outbox,
		Resting:      resting,
		Failing:      o.Stores.Failing,
	})
	return &Servers{
		API: api,
		Operator: operator.New(operator.Options{
			Version: o.Version,
			Metrics: o.Services.Metrics.Handler(),
			History: o.History,
			Outbox:  outbox,
			LookUp:  o.Services.Codes.LookUp,
			Examine: o.Examine,
			Resting: resting,
			Log:     o.Services.Log,
		}),
	}, nil
}

func newAPI(o Options) (*httpapi.Server, error) {
	s, c := o.Services, o.Services.Config
	var adminKeys []string
	for _, key := range c.AdminAPIKey {
		adminKeys = append(adminKeys, key.Reveal())
	}
	return httpapi.New(httpapi.Options{
		Login:    s.Login,
		Codes:    s.Codes,
		Accounts: s.Users,
		Tokens:   s.Tokens,
		Phones:   phone.NewParser(c.DefaultRegion, slices.Collect(maps.Keys(c.OTPTestNumbers))...),
		Log:      s.Log,
		Metrics:  s.Metrics,
		Tracer:   s.Tracer,
		Checks: []httpapi.Check{
			{
				Name:    "database",
				Setting: c.DatabaseSetting(""),
				Ping:    o.Stores.DatabaseHealth.Ping,
				Down:    account.ErrUnavailable,
			},
			{
				Name:    "redis",
				Setting: "REDIS_URL",
				Ping:    o.Stores.RedisHealth.Ping,
				Down:    otp.ErrUnavailable,
			},
		},
		Hooks:          hooks(s.Providers),
		PublicURL:      c.PublicURL,
		AdminKeys:      adminKeys,
		TrustedProxies: c.TrustedProxies,
		CORSOrigins:    c.CORSOrigins,
		MaxHeader:      c.HTTPMaxHeader,
		IdleTimeout:    c.HTTPIdleTimeout,
		ExamplePhone:   examplePhone(c),
		LoginPage:      loginPage(c, s.Logo),
		Inbox:          inbox(c, s.Providers),
	})
}

// hooks returns the providers whose delivery reports reach this service, by name.
func hooks(providers []sms.Opened) map[string]httpapi.Hook {
	hooks := make(map[string]httpapi.Hook)
	for _, p := range providers {
		if p.Reports {
			hooks[p.Name] = p.Provider.(httpapi.Hook)
		}
	}
	return hooks
}

// loginPage returns nil if LOGIN_PAGE is off.
func loginPage(c *config.Config, logo brand.Logo) *httpapi.LoginPage {
	if !c.LoginPage {
		return nil
	}
	return &httpapi.LoginPage{
		AppName:       c.AppName,
		DefaultRegion: c.DefaultRegion,
		Regions:       c.SMSRegions,
		TermsURL:      c.TermsURL,
		PrivacyURL:    c.PrivacyURL,
		SMSNotice:     c.SMSNotice,
		Color:         c.AppColor,
		Logo:          logo,
	}
}

// examplePhone returns a number that may get messages, one of DEFAULT_REGION if that is possible.
func examplePhone(c *config.Config) string {
	switch {
	case slices.Contains(c.SMSRegions, "*"):
		return phone.Example(c.DefaultRegion, "IR")
	case slices.Contains(c.SMSRegions, c.DefaultRegion):
		return phone.Example(c.DefaultRegion)
	}
	return phone.Example(c.SMSRegions...)
}

// inbox yields the messages that the console has shown, the newest first, and when. It returns nil in production, and
// if the console is not the only provider.
func inbox(c *config.Config, providers []sms.Opened) iter.Seq2[otp.Message, time.Time] {
	if console, ok := providers[0].Provider.(*sms.Console); ok && len(providers) == 1 && !c.Production {
		return console.Recent
	}
	return nil
}

// NewLog returns the log of the service, which writes to w in the format of LOG_FORMAT from LOG_LEVEL on.
func NewLog(w io.Writer, c *config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(httpapi.LogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(httpapi.LogHandler(slog.NewTextHandler(w, options)))
}
