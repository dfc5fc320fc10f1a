// Package services builds the services that the settings describe. It turns settings into the options of other packages
// and decides nothing else. An error that a setting causes is a setting.Faults, which names the setting.
package services

import (
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/text"
	"dekamond-otp/internal/token"
	"dekamond-otp/internal/trace"
)

// developmentAlgorithm is that of the key that development makes. Every library that checks tokens knows it, while some
// do not know EdDSA.
const developmentAlgorithm = "ES256"

// Tools are what the services work with and what needs no store, so that a fault in a setting is found before a store
// is opened.
type Tools struct {
	Clock     *clock.Clock
	Tokens    *token.Issuer
	Texts     *text.Texts
	Providers []sms.Opened
	Logo      brand.Logo
}

// NewTools makes the secret and the signing key that development leaves out, reads JWT_KEYS and SMS_TEXTS, and logs the
// providers and what is unusual about the texts. Messages of the console go to stdout.
func NewTools(c *config.Config, clock *clock.Clock, stdout io.Writer, log *slog.Logger) (t Tools, err error) {
	if err := c.MakeSecret(); err != nil {
		return Tools{}, unkept("OTP_SECRET", config.KeptSecret, err)
	}
	t.Clock = clock
	if t.Tokens, err = newTokens(c, clock, log); err != nil {
		return Tools{}, err
	}
	if t.Texts, err = newTexts(c, log); err != nil {
		return Tools{}, err
	}
	if t.Logo, err = brand.ReadLogo(c.AppLogo); err != nil {
		return Tools{}, setting.Faults{{Variable: "APP_LOGO", Problem: err.Error()}}
	}
	if t.Providers, err = sms.OpenAll(c.UsedProviders(), ProviderOptions(c, stdout)); err != nil {
		return Tools{}, err
	}
	for _, p := range t.Providers {
		channels := strings.Join(p.Channels(), ",")
		log.Info("provider", "name", p.Name, "channels", channels, "delivery_reports", p.Reports)
		if p.Name == "webhook" && c.Providers.Text("SMS_WEBHOOK_SECRET") == "" {
			log.Warn("webhook calls are not signed", "missing", "SMS_WEBHOOK_SECRET")
		}
	}
	return t, nil
}

// unkept returns the error of a file that development makes for a setting that is not set.
func unkept(variable, file string, err error) error {
	return setting.Refused{Variable: variable, Problem: "is not set, and " + probe.Unwritable(file, err).Error()}
}

func newTokens(c *config.Config, clock *clock.Clock, log *slog.Logger) (*token.Issuer, error) {
	if c.MakesKey() {
		if err := token.EnsureKey(c.JWTKeys, developmentAlgorithm); err != nil {
			return nil, unkept("JWT_KEYS", filepath.Join(c.JWTKeys, "key"), err)
		}
	}
	tokens, err := token.NewIssuer(token.Options{
		Secret:   []byte(c.JWTSecret.Reveal()),
		Folder:   c.JWTKeys,
		Grace:    c.JWTKeyGrace,
		Issuer:   c.JWTIssuer,
		Audience: c.JWTAudience,
		TTL:      c.AccessTTL,
		Phone:    c.TokenPhone,
		Clock:    clock,
		Log:      log,
	})
	if err != nil {
		return nil, setting.Faults{{Variable: "JWT_KEYS", Problem: err.Error()}}
	}
	return tokens, nil
}

func newTexts(c *config.Config, log *slog.Logger) (*text.Texts, error) {
	texts, err := text.New(TextOptions(c))
	if err != nil {
		return nil, setting.Faults{{Variable: "SMS_TEXTS", Problem: err.Error()}}
	}
	for _, cost := range texts.Costs() {
		if cost.Digits > c.OTPLength { // longer codes are rare, and the doctor names these messages
			continue
		}
		log.Warn("message costs more than one segment",
			"locale", cost.Locale,
			"purpose", cost.Purpose,
			"segments", cost.Segments,
			"characters", cost.Characters,
			"bytes", cost.Bytes)
	}
	return texts, nil
}

// ProviderOptions returns what the providers are opened with. Messages of the console go to stdout.
func ProviderOptions(c *config.Config, stdout io.Writer) sms.OpenOptions {
	return sms.OpenOptions{
		Settings:   c.Providers,
		PublicURL:  c.PublicURL,
		HookSecret: c.HookSecret,
		Production: c.Production,
		Stdout:     stdout,
	}
}

// TextOptions returns what the texts of messages are made from.
func TextOptions(c *config.Config) text.Options {
	return text.Options{
		App:         c.AppName,
		Digits:      c.OTPLength,
		LongDigits:  Policy(c).LongLength(),
		TTL:         c.OTPTTL,
		Origin:      c.WebOTPOrigin,
		AndroidHash: c.AndroidAppHash,
		Folder:      c.SMSTexts,
	}
}

// Policy returns the limits of codes and messages.
func Policy(c *config.Config) otp.Policy {
	return otp.Policy{
		Length:        c.OTPLength,
		TTL:           c.OTPTTL,
		MaxAttempts:   c.OTPMaxAttempts,
		ResendAfter:   c.OTPResendAfter,
		PerPhone:      otp.Limit(c.OTPLimitPhone),
		PerAddress:    otp.Limit(c.OTPLimitIP),
		DailyAttempts: c.OTPDailyAttempts,

		TriesPerAddress: otp.Limit(c.OTPLimitTriesIP),
	}
}

// Options are the inputs of New. All are needed.
type Options struct {
	Config *config.Config
	Tools
	CodeStore     otp.Store
	AccountStore  account.Store
	AccountHealth login.AccountHealth
	Metrics       *metrics.Metrics
	Tracer        *trace.Tracer
	Log           *slog.Logger
}

// Services are what servers offer. They keep the options that they were made with.
type Services struct {
	Options
	Router *sms.Router
	Codes  *otp.Service
	Users  *account.Service
	Login  *login.Service
}

// New returns the services. It starts none of their background work. Metrics begin at zero for the providers and
// regions.
func New(o Options) (*Services, error) {
	c := o.Config
	o.Metrics.Expect(c.UsedProviders(), c.SMSRegions)
	router := sms.NewRouter(sms.RouterOptions{
		Providers: o.Providers,
		Order:     c.SMSProviders,
		Routes:    c.SMSRoutes,
		Metrics:   o.Metrics,
		Log:       o.Log,
	})
	codes, err := otp.New(otp.Options{
		Store:       o.CodeStore,
		Router:      router,
		Texts:       o.Texts,
		Metrics:     o.Metrics,
		Log:         o.Log,
		Tracer:      o.Tracer,
		Clock:       o.Clock,
		Secret:      []byte(c.OTPSecret.Reveal()),
		Policy:      Policy(c),
		DeviceTTL:   c.DeviceTTL,
		Regions:     c.SMSRegions,
		TestNumbers: c.OTPTestNumbers,
	})
	if err != nil {
		return nil, err
	}
	users := account.New(account.Options{
		Store:        o.AccountStore,
		Signer:       o.Tokens,
		Log:          o.Log,
		RefreshTTL:   c.RefreshTTL,
		SignupLogsIn: c.SignupLogsIn,
		DormantAfter: c.DormantAfter,
		AuditTTL:     c.AuditTTL,
		Clock:        o.Clock,
	})
	return &Services{
		Options: o,
		Router:  router,
		Codes:   codes,
		Users:   users,
		Login:   login.New(codes, users, o.AccountHealth),
	}, nil
}
