// Package config owns the settings: their names, defaults and ranges, and the rules between them. It
// turns environment variables into typed values and leaves opening what they name to others.
//
// Load reports every fault at once, so that a deployment is mended in one round, and by name only: a
// value in an error message ends up in a log, and which of the values are secret is easily got wrong.
// Production has no default for what would be unsafe or lost there; it has to be said by name.
package config

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const embedded = "embedded" // the REDIS_URL of a Redis inside the process

// Config holds the settings. Each field is the variable of the same name; README.md explains them.
type Config struct {
	Production bool   // APP_ENV=production
	HTTPAddr   string // host:port; without a host: every interface

	DatabaseURL    Secret // postgres://, postgresql:// or sqlite:PATH; see SQLitePath
	MigrateOnStart bool
	RedisURL       Secret // redis:// or rediss:// with one or more hosts, or embedded; see EmbeddedRedis
	RedisMode      string // single, cluster or sentinel
	RedisMaster    string // set in the sentinel mode

	OTPSecret        Secret        // at least 32 bytes; zero in development: make one
	OTPLength        int           // digits, 6 to 10
	OTPTTL           time.Duration // 30s to 10m
	OTPMaxAttempts   int           // 1 to 10
	OTPResendAfter   time.Duration // 0 to OTPTTL; 0 = off
	OTPDailyAttempts int           // 1 to 100
	OTPLimitPhone    Limit
	OTPLimitIP       Limit
	OTPTestNumbers   map[string]string // E.164 number to its fixed code of OTPLength digits
	SignupLogsIn     bool
	DormantAfter     time.Duration // up to 87600h; 0 = off

	JWTSecret   Secret        // at least 32 bytes, none that is known; zero in development without JWTKeys: make one
	JWTKeys     string        // a folder; empty: JWTSecret signs
	JWTKeyGrace time.Duration // 0 to 24h
	JWTIssuer   string
	JWTAudience string
	AccessTTL   time.Duration // 1m to 24h
	RefreshTTL  time.Duration // AccessTTL to 8760h

	DefaultRegion    string   // ISO 3166 code; empty: only international numbers are read
	SMSRegions       []string // ISO 3166 codes, or "*" alone for all
	SMSProviders     []string // in order of preference: console, webhook
	SMSWebhookURL    Secret   // http:// or https://; set if SMSProviders has webhook
	SMSWebhookSecret Secret   // in production set if SMSProviders has webhook; after whsec_ comes base64

	AdminAPIKey    []Secret       // at least 32 bytes each; none: no admin calls
	AuditTTL       time.Duration  // 1h to 87600h
	TrustedProxies []netip.Prefix // masked; a single address is a prefix of its whole length
	CORSOrigins    []string       // scheme://host[:port] in lower case, or "*" alone for all

	LogLevel  slog.Level
	LogFormat string // text or json
}

// A Limit allows Max events in every interval of length Window. The zero Limit allows everything.
type Limit struct {
	Max    int           // 1 to 1000
	Window time.Duration // 1s to 24h
}

// SQLitePath gives the file of the embedded database; ok is false if DatabaseURL is a Postgres.
func (c *Config) SQLitePath() (path string, ok bool) {
	return strings.CutPrefix(c.DatabaseURL.Reveal(), "sqlite:")
}

// EmbeddedRedis tells whether Redis runs inside the process.
func (c *Config) EmbeddedRedis() bool { return c.RedisURL.Reveal() == embedded }

// Load reads the settings from getenv. An empty variable counts as not set, and the spaces around a
// value do not count. The error is a Faults: every fault at once, by variable name, without values.
func Load(getenv func(string) string) (*Config, error) {
	r := &reader{getenv: getenv}
	production := read(r, "APP_ENV", "development", oneOf("development", "production")) == "production"
	def := func(inDevelopment, inProduction string) string {
		if production {
			return inProduction
		}
		return inDevelopment
	}
	c := &Config{
		Production: production,
		HTTPAddr:   read(r, "HTTP_ADDR", def("127.0.0.1:1628", ":1628"), hostPort),

		DatabaseURL:    read(r, "DATABASE_URL", def("sqlite:data/otp.db", ""), secret(databaseURL)),
		MigrateOnStart: read(r, "MIGRATE_ON_START", "true", yesNo),
		RedisURL:       read(r, "REDIS_URL", def(embedded, ""), secret(or(embedded, embedded, redisURL))),
		RedisMode:      read(r, "REDIS_MODE", "single", oneOf("single", "cluster", "sentinel")),
		RedisMaster:    r.text("REDIS_MASTER", ""),

		OTPSecret:        read(r, "OTP_SECRET", "", secret(long)),
		OTPLength:        read(r, "OTP_LENGTH", "6", whole(6, 10)),
		OTPTTL:           read(r, "OTP_TTL", "2m", seconds("30s", "10m")),
		OTPMaxAttempts:   read(r, "OTP_MAX_ATTEMPTS", "5", whole(1, 10)),
		OTPResendAfter:   read(r, "OTP_RESEND_AFTER", "30s", or("off", 0, seconds("0s", "10m"))),
		OTPDailyAttempts: read(r, "OTP_DAILY_ATTEMPTS", "30", whole(1, 100)),
		OTPLimitPhone:    read(r, "OTP_LIMIT_PHONE", "3/10m", or("off", Limit{}, limit)),
		OTPLimitIP:       read(r, "OTP_LIMIT_IP", "30/10m", or("off", Limit{}, limit)),
		OTPTestNumbers:   read(r, "OTP_TEST_NUMBERS", "", testNumbers),
		SignupLogsIn:     read(r, "SIGNUP_LOGS_IN", "true", yesNo),
		DormantAfter:     read(r, "DORMANT_AFTER", "off", or("off", 0, seconds("1s", "87600h"))),

		JWTSecret:   read(r, "JWT_SECRET", "", secret(strong)),
		JWTKeys:     read(r, "JWT_KEYS", "", folder),
		JWTKeyGrace: read(r, "JWT_KEY_GRACE", "10m", seconds("0s", "24h")),
		JWTIssuer:   r.text("JWT_ISSUER", "dekamond-otp"),
		JWTAudience: r.text("JWT_AUDIENCE", "dekamond-otp"),
		AccessTTL:   read(r, "ACCESS_TTL", "15m", seconds("1m", "24h")),
		RefreshTTL:  read(r, "REFRESH_TTL", "720h", seconds("1m", "8760h")),

		DefaultRegion:    read(r, "DEFAULT_REGION", "", region),
		SMSRegions:       read(r, "SMS_REGIONS", def("*", ""), or("*", []string{"*"}, list(region))),
		SMSProviders:     read(r, "SMS_PROVIDERS", def("console", ""), providers),
		SMSWebhookURL:    read(r, "SMS_WEBHOOK_URL", "", secret(httpURL)),
		SMSWebhookSecret: read(r, "SMS_WEBHOOK_SECRET", "", secret(webhookSecret)),

		AdminAPIKey:    read(r, "ADMIN_API_KEY", "", list(secret(long))),
		AuditTTL:       read(r, "AUDIT_TTL", "2160h", seconds("1h", "87600h")),
		TrustedProxies: read(r, "TRUSTED_PROXIES", "", list(prefix)),
		CORSOrigins:    read(r, "CORS_ORIGINS", "", or("*", []string{"*"}, list(origin))),

		LogLevel:  read(r, "LOG_LEVEL", "info", level),
		LogFormat: read(r, "LOG_FORMAT", def("text", "json"), oneOf("text", "json")),
	}
	r.rules(c)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return c, nil
}

// KeyFolder reads JWT_KEYS alone, to make a key where nothing else is set. The error is a Faults.
func KeyFolder(getenv func(string) string) (string, error) {
	r := &reader{getenv: getenv}
	path := read(r, "JWT_KEYS", "", folder)
	r.check(path != "", "must be set", "JWT_KEYS")
	if len(r.faults) > 0 {
		return "", r.faults
	}
	return path, nil
}

// rules checks what the settings have to do with one another. Most rules hold by themselves for the zero
// value of a variable with a fault; the others name that variable.
func (r *reader) rules(c *Config) {
	webhook := slices.Contains(c.SMSProviders, "webhook")
	r.check(redisHosts(c.RedisURL.Reveal()) <= 1 || c.RedisMode != "single", "must have one host with REDIS_MODE=single", "REDIS_URL")
	r.check(!c.EmbeddedRedis() || c.RedisMode == "single", "must be single with an embedded Redis", "REDIS_MODE")
	r.check(c.RedisMaster != "" || c.RedisMode != "sentinel", "must be set with REDIS_MODE=sentinel", "REDIS_MASTER")
	r.check(c.OTPResendAfter <= c.OTPTTL, "must not be longer than OTP_TTL", "OTP_RESEND_AFTER", "OTP_TTL")
	for _, code := range c.OTPTestNumbers {
		r.check(len(code) == c.OTPLength, "must have codes of OTP_LENGTH digits", "OTP_TEST_NUMBERS", "OTP_LENGTH")
	}
	r.check(c.OTPSecret.IsZero() || c.OTPSecret.Reveal() != c.JWTSecret.Reveal(), "must not be the same as OTP_SECRET", "JWT_SECRET")
	for _, key := range c.AdminAPIKey {
		used := key.Reveal() == c.OTPSecret.Reveal() || key.Reveal() == c.JWTSecret.Reveal()
		r.check(!used, "must not be the same as OTP_SECRET or JWT_SECRET", "ADMIN_API_KEY")
	}
	r.check(c.RefreshTTL >= c.AccessTTL, "must not be shorter than ACCESS_TTL", "REFRESH_TTL")
	r.check(!webhook || !c.SMSWebhookURL.IsZero(), "must be set for the webhook in SMS_PROVIDERS", "SMS_WEBHOOK_URL")
	if c.Production {
		for _, name := range []string{"DATABASE_URL", "REDIS_URL", "OTP_SECRET", "SMS_REGIONS", "SMS_PROVIDERS"} {
			r.check(r.text(name, "") != "", "must be set in production", name)
		}
		r.check(r.text("JWT_SECRET", "")+r.text("JWT_KEYS", "") != "", "must be set in production, or JWT_KEYS", "JWT_SECRET")
		r.check(len(c.SMSProviders) == 0 || c.SMSProviders[0] != "console", "must not be console, alone or first, in production", "SMS_PROVIDERS")
		r.check(!webhook || !c.SMSWebhookSecret.IsZero(), "must be set in production for the webhook in SMS_PROVIDERS", "SMS_WEBHOOK_SECRET")
	}
}
