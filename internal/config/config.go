// Package config owns the settings: their names, defaults and ranges, and the rules between them. It
// turns environment variables into typed values and leaves opening what they name to others.
//
// Load reports every fault at once, so that a deployment is mended in one round, and by name only: a
// value in an error message ends up in a log, and which of the values are secret is easily got wrong.
// Production has no default for what would be unsafe or lost there; it has to be said by name.
package config

import (
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/secret"
)

const embedded = "embedded" // the REDIS_URL of a Redis inside the process

// Config holds the settings. Each field is the variable of the same name; docs/settings.md explains them.
type Config struct {
	Production   bool          // APP_ENV=production
	HTTPAddr     string        // host:port; without a host: every interface
	InternalAddr string        // the same, for metrics; empty = off
	PublicURL    string        // http(s)://host[/path], without a slash at the end, by which providers call back; may be empty
	HookSecret   secret.Secret // of URL-safe characters; the secret path of delivery reports that are not signed

	DatabaseURL     secret.Secret // postgres://, postgresql:// or sqlite:PATH; see SQLitePath
	MigrateOnStart  bool
	RedisURL        secret.Secret // redis:// or rediss:// with one or more hosts, or embedded; see EmbeddedRedis
	RedisMode       string        // single, cluster or sentinel
	RedisMaster     string        // set in the sentinel mode
	RedisPartitions int           // 1 to 1024

	OTPSecret        secret.Secret // at least 32 bytes; zero in development: make one
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

	JWTSecret   secret.Secret // at least 32 bytes, none that is known; zero in development without JWTKeys: make one
	JWTKeys     string        // a folder; empty: JWTSecret signs
	JWTKeyGrace time.Duration // 0 to 24h
	JWTIssuer   string
	JWTAudience string
	AccessTTL   time.Duration // 1m to 24h
	RefreshTTL  time.Duration // AccessTTL to 8760h

	DefaultRegion  string              // ISO 3166 code; empty: only international numbers are read
	SMSRegions     []string            // ISO 3166 codes, or "*" alone for all
	SMSProviders   []string            // in order of preference, of those in Providers
	SMSRoutes      map[string][]string // the same for an ISO 3166 code, or "*" for all others
	SMSTexts       string              // a folder of templates; empty: those of the service
	AppName        string              // up to 40 characters; empty: the messages name none
	WebOTPOrigin   string              // a host, or empty
	AndroidAppHash string              // 11 characters, or empty
	SMSWebhook     struct {
		URL      secret.Secret // http:// or https://
		Secret   secret.Secret // in production set; after whsec_ comes base64
		Channels []string      // sms, whatsapp, telegram, voice
	}
	Twilio struct {
		AccountSID string
		AuthToken  secret.Secret
		From       string // a number, a name or a messaging service
		BaseURL    string
	}
	Kavenegar struct {
		APIKey                           secret.Secret
		Sender, Template, ChangeTemplate string
		BaseURL                          string
	}
	SMSIR struct {
		APIKey                         secret.Secret
		Line, Template, ChangeTemplate int // 0 = none
		Parameter                      string
		BaseURL                        string
	}
	Vonage struct {
		APIKey          string
		APISecret       secret.Secret
		From            string
		SignatureSecret secret.Secret
		SignatureMethod string
		BaseURL         string
	}
	SNS struct {
		Region, SenderID string
		BaseURL          string
	}
	WhatsApp struct {
		Token                       secret.Secret
		PhoneID, Template, Language string
		BaseURL                     string
	}
	Telegram struct {
		Token   secret.Secret
		BaseURL string
	}
	SMTPAddr string // host:port

	AdminAPIKey    []secret.Secret // at least 32 bytes each; none: no admin calls
	AuditTTL       time.Duration   // 1h to 87600h
	TrustedProxies []netip.Prefix  // masked; a single address is a prefix of its whole length
	CORSOrigins    []string        // scheme://host[:port] in lower case, or "*" alone for all
	LoginPage      bool

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
		Production:   production,
		HTTPAddr:     read(r, "HTTP_ADDR", def("127.0.0.1:1628", ":1628"), hostPort),
		InternalAddr: read(r, "INTERNAL_ADDR", "127.0.0.1:1629", or("off", "", hostPort)),
		PublicURL:    read(r, "PUBLIC_URL", "", base),
		HookSecret:   read(r, "HOOK_SECRET", "", hidden(pathSecret)),

		DatabaseURL:     read(r, "DATABASE_URL", def("sqlite:data/otp.db", ""), hidden(databaseURL)),
		MigrateOnStart:  read(r, "MIGRATE_ON_START", "true", yesNo),
		RedisURL:        read(r, "REDIS_URL", def(embedded, ""), hidden(or(embedded, embedded, redisURL))),
		RedisMode:       read(r, "REDIS_MODE", "single", oneOf("single", "cluster", "sentinel")),
		RedisMaster:     r.text("REDIS_MASTER", ""),
		RedisPartitions: read(r, "REDIS_PARTITIONS", "16", whole(1, 1024)),

		OTPSecret:        read(r, "OTP_SECRET", "", hidden(long)),
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

		JWTSecret:   read(r, "JWT_SECRET", "", hidden(strong)),
		JWTKeys:     read(r, "JWT_KEYS", "", folder),
		JWTKeyGrace: read(r, "JWT_KEY_GRACE", "10m", seconds("0s", "24h")),
		JWTIssuer:   r.text("JWT_ISSUER", "dekamond-otp"),
		JWTAudience: r.text("JWT_AUDIENCE", "dekamond-otp"),
		AccessTTL:   read(r, "ACCESS_TTL", "15m", seconds("1m", "24h")),
		RefreshTTL:  read(r, "REFRESH_TTL", "720h", seconds("1m", "8760h")),

		DefaultRegion:  read(r, "DEFAULT_REGION", "", region),
		SMSRegions:     read(r, "SMS_REGIONS", def("*", ""), or("*", []string{"*"}, list(region))),
		SMSProviders:   read(r, "SMS_PROVIDERS", def("console", ""), providers),
		SMSRoutes:      read(r, "SMS_ROUTES", "", routes),
		SMSTexts:       read(r, "SMS_TEXTS", "", folder),
		AppName:        read(r, "APP_NAME", "", name),
		WebOTPOrigin:   read(r, "WEBOTP_ORIGIN", "", host),
		AndroidAppHash: read(r, "ANDROID_APP_HASH", "", appHash),
		SMTPAddr:       read(r, "SMTP_ADDR", "127.0.0.1:1025", hostPort),

		AdminAPIKey:    read(r, "ADMIN_API_KEY", "", list(hidden(long))),
		AuditTTL:       read(r, "AUDIT_TTL", "2160h", seconds("1h", "87600h")),
		TrustedProxies: read(r, "TRUSTED_PROXIES", "", list(prefix)),
		CORSOrigins:    read(r, "CORS_ORIGINS", "", or("*", []string{"*"}, list(origin))),
		LoginPage:      read(r, "LOGIN_PAGE", "true", yesNo),

		LogLevel:  read(r, "LOG_LEVEL", "info", level),
		LogFormat: read(r, "LOG_FORMAT", def("text", "json"), oneOf("text", "json")),
	}
	r.providers(c)
	r.rules(c)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return c, nil
}

// Names gives the names of all settings.
func Names() (names []string) {
	_, _ = Load(func(name string) string { // reads them all, and needs none
		names = append(names, name)
		return ""
	})
	slices.Sort(names)
	return slices.Compact(names)
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

// Providers are the names that SMS_PROVIDERS and SMS_ROUTES may hold, each with the variables that it cannot do
// without.
var Providers = map[string][]string{
	"console":   nil,
	"webhook":   {"SMS_WEBHOOK_URL"},
	"twilio":    {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"},
	"kavenegar": {"KAVENEGAR_API_KEY"},
	"smsir":     {"SMSIR_API_KEY"},
	"vonage":    {"VONAGE_API_KEY", "VONAGE_API_SECRET", "VONAGE_FROM"},
	"sns":       {"SNS_REGION"},
	"whatsapp":  {"WHATSAPP_TOKEN", "WHATSAPP_PHONE_ID", "WHATSAPP_TEMPLATE"},
	"telegram":  {"TELEGRAM_TOKEN"},
	"smtp":      nil,
}

// forDevelopment are the providers that deliver to nobody's phone.
var forDevelopment = []string{"console", "smtp"}

func (r *reader) providers(c *Config) {
	c.SMSWebhook.URL = read(r, "SMS_WEBHOOK_URL", "", hidden(httpURL))
	c.SMSWebhook.Secret = read(r, "SMS_WEBHOOK_SECRET", "", hidden(webhookSecret))
	c.SMSWebhook.Channels = read(r, "SMS_WEBHOOK_CHANNELS", "sms", list(oneOf("sms", "whatsapp", "telegram", "voice")))

	c.Twilio.AccountSID = r.text("TWILIO_ACCOUNT_SID", "")
	c.Twilio.AuthToken = read(r, "TWILIO_AUTH_TOKEN", "", hidden(anything))
	c.Twilio.From = r.text("TWILIO_FROM", "")
	c.Twilio.BaseURL = read(r, "TWILIO_BASE_URL", "", httpURL)

	c.Kavenegar.APIKey = read(r, "KAVENEGAR_API_KEY", "", hidden(anything))
	c.Kavenegar.Sender = r.text("KAVENEGAR_SENDER", "")
	c.Kavenegar.Template = r.text("KAVENEGAR_TEMPLATE", "")
	c.Kavenegar.ChangeTemplate = r.text("KAVENEGAR_CHANGE_TEMPLATE", "")
	c.Kavenegar.BaseURL = read(r, "KAVENEGAR_BASE_URL", "", httpURL)

	c.SMSIR.APIKey = read(r, "SMSIR_API_KEY", "", hidden(anything))
	c.SMSIR.Line = read(r, "SMSIR_LINE", "", whole(1, math.MaxInt))
	c.SMSIR.Template = read(r, "SMSIR_TEMPLATE", "", whole(1, 1<<31-1))
	c.SMSIR.ChangeTemplate = read(r, "SMSIR_CHANGE_TEMPLATE", "", whole(1, 1<<31-1))
	c.SMSIR.Parameter = r.text("SMSIR_PARAMETER", "CODE")
	c.SMSIR.BaseURL = read(r, "SMSIR_BASE_URL", "", httpURL)

	c.Vonage.APIKey = r.text("VONAGE_API_KEY", "")
	c.Vonage.APISecret = read(r, "VONAGE_API_SECRET", "", hidden(anything))
	c.Vonage.From = r.text("VONAGE_FROM", "")
	c.Vonage.SignatureSecret = read(r, "VONAGE_SIGNATURE_SECRET", "", hidden(anything))
	c.Vonage.SignatureMethod = read(r, "VONAGE_SIGNATURE_METHOD", "md5hash", oneOf("md5hash", "md5", "sha1", "sha256", "sha512"))
	c.Vonage.BaseURL = read(r, "VONAGE_BASE_URL", "", httpURL)

	c.SNS.Region = r.text("SNS_REGION", "")
	c.SNS.SenderID = r.text("SNS_SENDER_ID", "")
	c.SNS.BaseURL = read(r, "SNS_BASE_URL", "", httpURL)

	c.WhatsApp.Token = read(r, "WHATSAPP_TOKEN", "", hidden(anything))
	c.WhatsApp.PhoneID = r.text("WHATSAPP_PHONE_ID", "")
	c.WhatsApp.Template = r.text("WHATSAPP_TEMPLATE", "")
	c.WhatsApp.Language = r.text("WHATSAPP_LANGUAGE", "en_US")
	c.WhatsApp.BaseURL = read(r, "WHATSAPP_BASE_URL", "", httpURL)

	c.Telegram.Token = read(r, "TELEGRAM_TOKEN", "", hidden(anything))
	c.Telegram.BaseURL = read(r, "TELEGRAM_BASE_URL", "", httpURL)

	for _, name := range c.UsedProviders() {
		for _, variable := range Providers[name] {
			r.check(r.text(variable, "") != "", "must be set for "+name+" in SMS_PROVIDERS or SMS_ROUTES", variable)
		}
	}
	telegram := slices.Contains(c.UsedProviders(), "telegram")
	r.check(!telegram || c.OTPLength <= 8, "must be at most 8 for telegram in SMS_PROVIDERS or SMS_ROUTES", "OTP_LENGTH")
	smsir := slices.Contains(c.UsedProviders(), "smsir")
	r.check(!smsir || c.SMSIR.Line != 0 || c.SMSIR.Template != 0, "must be set for smsir, or SMSIR_LINE", "SMSIR_TEMPLATE")
}

// UsedProviders are the names in SMSProviders and SMSRoutes.
func (c *Config) UsedProviders() []string {
	used := slices.Clone(c.SMSProviders)
	for _, names := range c.SMSRoutes {
		used = append(used, names...)
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// rules checks what the settings have to do with one another. Most rules hold by themselves for the zero
// value of a variable with a fault; the others name that variable.
func (r *reader) rules(c *Config) {
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
	if c.Production {
		for _, name := range []string{"DATABASE_URL", "REDIS_URL", "OTP_SECRET", "SMS_REGIONS", "SMS_PROVIDERS"} {
			r.check(r.text(name, "") != "", "must be set in production", name)
		}
		r.check(r.text("JWT_SECRET", "")+r.text("JWT_KEYS", "") != "", "must be set in production, or JWT_KEYS", "JWT_SECRET")
		const problem = "must not have console or smtp, alone or first, in production"
		r.check(len(c.SMSProviders) == 0 || !slices.Contains(forDevelopment, c.SMSProviders[0]), problem, "SMS_PROVIDERS")
		for _, route := range c.SMSRoutes {
			r.check(!slices.Contains(forDevelopment, route[0]), problem, "SMS_ROUTES")
		}
		webhook := slices.Contains(c.UsedProviders(), "webhook")
		r.check(!webhook || !c.SMSWebhook.Secret.IsZero(), "must be set in production for webhook in SMS_PROVIDERS or SMS_ROUTES", "SMS_WEBHOOK_SECRET")
	}
}
