package config

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/setting"
)

// A reader reads the settings, section by section.
type reader struct {
	*setting.Reader
	production bool
	providers  []setting.Provider
}

// These are shorter names for the parsers of most settings.
var (
	either   = setting.OneOf
	hidden   = setting.Secret
	hostPort = setting.HostPort
	onOff    = setting.Bool
	seconds  = setting.Seconds
	whole    = setting.Int
)

func read[T any](r *reader, name, def string, parse setting.Parser[T]) T {
	return setting.Read(r.Reader, name, def, parse)
}

// def returns the default of the environment that the service runs in.
func (r *reader) def(development, production string) string {
	if r.production {
		return production
	}
	return development
}

// readEnvironment reads APP_ENV, on which the defaults of other settings depend.
func (r *reader) readEnvironment() {
	environment := read(r, "APP_ENV", "development", either("development", "production"))
	r.production = environment == "production"
}

func (r *reader) readServer(c *Config) {
	c.HTTPAddr = read(r, "HTTP_ADDR", r.def("127.0.0.1:1628", ":1628"), hostPort)
	c.HTTPMaxHeader = read(r, "HTTP_MAX_HEADER", "16KiB", setting.Bytes(4<<10, 1<<20))
	c.HTTPIdleTimeout = read(r, "HTTP_IDLE_TIMEOUT", "75s", seconds("1s", "1h"))
	c.InternalAddr = read(r, "INTERNAL_ADDR", "127.0.0.1:1629", setting.Or("off", "", hostPort))
	c.PublicURL = read(r, "PUBLIC_URL", "", baseURL)
	c.HookSecret = read(r, "HOOK_SECRET", "", hidden(pathSecret))
}

func (r *reader) readStores(c *Config) {
	r.readPostgres(c)
	database := r.def(sqlitePrefix+"data/otp.db", "")
	if c.PGHost != "" {
		database = ""
	}
	c.DatabaseURL = read(r, "DATABASE_URL", database, hidden(databaseURL))
	c.MigrateOnStart = read(r, "MIGRATE_ON_START", "true", onOff)
	c.RedisURL = read(r, "REDIS_URL", r.def(embedded, ""), hidden(setting.Or(embedded, embedded, redisURL)))
	c.RedisMode = read(r, "REDIS_MODE", "single", either("single", "cluster", "sentinel"))
	c.RedisMaster = r.Text("REDIS_MASTER", "")
	c.RedisPartitions = read(r, "REDIS_PARTITIONS", "16", whole(1, 1024))
	c.RedisTimeout = read(r, "REDIS_TIMEOUT", "300ms", setting.Duration("50ms", "1s"))
	c.RedisPoolTimeout = read(r, "REDIS_POOL_TIMEOUT", "1s", setting.Duration("50ms", "2s"))
}

// readPostgres reads the parts of a Postgres URL that are settings of their own, by the names and with the meaning that
// all programs of Postgres give them (PostgreSQL manual, libpq, Environment Variables). The driver reads them from the
// environment, too, and takes from them what DATABASE_URL lacks.
func (r *reader) readPostgres(c *Config) {
	for _, part := range slices.Sorted(maps.Keys(postgresParameters)) {
		if r.Text(part, "") != "" {
			c.postgresParts = append(c.postgresParts, part)
		}
	}
	c.PGHost = r.Text("PGHOST", "")
	read(r, "PGPORT", "", setting.List(whole(1, 65535)))
	r.Text("PGUSER", "")
	r.Text("PGPASSWORD", "")
	r.Text("PGDATABASE", "")
	read(r, "PGSSLMODE", "", either("disable", "allow", "prefer", "require", "verify-ca", "verify-full"))
}

func (r *reader) readCodes(c *Config) {
	c.OTPSecret = read(r, "OTP_SECRET", "", hidden(long))
	c.OTPLength = read(r, "OTP_LENGTH", "6", whole(6, 10))
	c.OTPTTL = read(r, "OTP_TTL", "2m", seconds("30s", "10m"))
	c.OTPMaxAttempts = read(r, "OTP_MAX_ATTEMPTS", "5", whole(1, 10))
	c.OTPResendAfter = read(r, "OTP_RESEND_AFTER", "30s", setting.Or("off", 0, seconds("0s", "10m")))
	c.OTPDailyAttempts = read(r, "OTP_DAILY_ATTEMPTS", "30", whole(1, 100))
	c.OTPLimitPhone = read(r, "OTP_LIMIT_PHONE", "3/10m", setting.Or("off", Limit{}, limit))
	c.OTPLimitIP = read(r, "OTP_LIMIT_IP", "30/10m", setting.Or("off", Limit{}, limit))
	c.OTPLimitTriesIP = read(r, "OTP_LIMIT_TRIES_IP", "20/10m", setting.Or("off", Limit{}, limit))
	c.OTPTestNumbers = read(r, "OTP_TEST_NUMBERS", "", testNumbers)
	c.DeviceTTL = read(r, "DEVICE_TTL", "4320h", setting.Or[time.Duration]("off", 0, seconds("1s", "87600h")))
	c.SignupLogsIn = read(r, "SIGNUP_LOGS_IN", "true", onOff)
	c.DormantAfter = read(r, "DORMANT_AFTER", "off", setting.Or[time.Duration]("off", 0, seconds("1s", "87600h")))
}

func (r *reader) readTokens(c *Config) {
	c.JWTSecret = read(r, "JWT_SECRET", "", hidden(strong))
	c.JWTKeys = r.keyFolder()
	c.JWTKeyGrace = read(r, "JWT_KEY_GRACE", "10m", seconds("0s", "24h"))
	c.JWTIssuer = r.Text("JWT_ISSUER", "dekamond-otp")
	c.JWTAudience = r.Text("JWT_AUDIENCE", "dekamond-otp")
	c.AccessTTL = read(r, "ACCESS_TTL", "15m", seconds("1m", "24h"))
	c.TokenPhone = read(r, "TOKEN_PHONE", "false", onOff)
	c.RefreshTTL = read(r, "REFRESH_TTL", "720h", seconds("1m", "8760h"))
}

func (r *reader) readMessages(c *Config) {
	all := []string{"*"}
	c.DefaultRegion = read(r, "DEFAULT_REGION", "", region)
	c.SMSRegions = read(r, "SMS_REGIONS", r.def("*", ""), setting.Or("*", all, setting.List(region)))
	c.SMSProviders = read(r, "SMS_PROVIDERS", r.def("console", ""), r.providerNames)
	c.SMSRoutes = read(r, "SMS_ROUTES", "", r.routes)
	c.SMSTexts = read(r, "SMS_TEXTS", "", folder)
	c.AppName = read(r, "APP_NAME", "", appName)
	c.WebOTPOrigin = read(r, "WEBOTP_ORIGIN", "", originHost)
	c.AndroidAppHash = read(r, "ANDROID_APP_HASH", "", appHash)
}

func (r *reader) readAccess(c *Config) {
	c.AdminAPIKey = read(r, "ADMIN_API_KEY", "", setting.List(hidden(long)))
	c.AuditTTL = read(r, "AUDIT_TTL", "2160h", seconds("1h", "87600h"))
	c.TrustedProxies = read(r, "TRUSTED_PROXIES", "", setting.List[netip.Prefix](prefix))
	c.CORSOrigins = read(r, "CORS_ORIGINS", "", setting.Or("*", []string{"*"}, setting.List(origin)))
	c.LogLevel = read[slog.Level](r, "LOG_LEVEL", "info", level)
	c.LogFormat = read(r, "LOG_FORMAT", r.def("text", "json"), either("text", "json"))
}

func (r *reader) readLoginPage(c *Config) {
	c.LoginPage = read(r, "LOGIN_PAGE", "true", onOff)
	c.TermsURL = read(r, "TERMS_URL", "", setting.URL)
	c.PrivacyURL = read(r, "PRIVACY_URL", "", setting.URL)
	c.SMSNotice = read(r, "SMS_NOTICE", "false", onOff)
	c.AppColor = read(r, "APP_COLOR", "", color)
	c.AppLogo = read(r, "APP_LOGO", "", file)
}

// readProviders reads the settings of all providers, and checks the rules of those that are used.
func (r *reader) readProviders(c *Config) {
	c.Providers = make(setting.Values)
	for _, p := range r.providers {
		p.Read(r.Reader, c.Providers)
	}
	for _, name := range c.UsedProviders() {
		r.provider(name).CheckUse(r.Reader, c.OTPLength)
	}
}

// provider returns the provider of that name, which must be a known one.
func (r *reader) provider(name string) setting.Provider {
	return r.providers[slices.IndexFunc(r.providers, func(p setting.Provider) bool { return p.Name == name })]
}

// The checks below are rules between settings. Most hold by themselves for the zero value of a variable with a fault;
// the others name the variables that they depend on.

func (r *reader) checkStores(c *Config) {
	one := redisHosts(c.RedisURL.Reveal()) <= 1
	r.Check(one || c.RedisMode != "single", "must have one host with REDIS_MODE=single", "REDIS_URL")
	r.Check(!c.EmbeddedRedis() || c.RedisMode == "single", "must be single with an embedded Redis", "REDIS_MODE")
	r.Check(c.RedisMaster != "" || c.RedisMode != "sentinel", "must be set with REDIS_MODE=sentinel", "REDIS_MASTER")
}

func (r *reader) checkCodes(c *Config) {
	r.Check(c.OTPResendAfter <= c.OTPTTL, "must not be longer than OTP_TTL", "OTP_RESEND_AFTER", "OTP_TTL")
	for _, code := range c.OTPTestNumbers {
		ok := len(code) == c.OTPLength
		r.Check(ok, "must have codes of OTP_LENGTH digits", "OTP_TEST_NUMBERS", "OTP_LENGTH")
	}
}

func (r *reader) checkSecrets(c *Config) {
	distinct := c.OTPSecret.IsZero() || c.OTPSecret.Reveal() != c.JWTSecret.Reveal()
	r.Check(distinct, "must not be the same as OTP_SECRET", "JWT_SECRET")
	for _, key := range c.AdminAPIKey {
		used := key.Reveal() == c.OTPSecret.Reveal() || key.Reveal() == c.JWTSecret.Reveal()
		r.Check(!used, "must not be the same as OTP_SECRET or JWT_SECRET", "ADMIN_API_KEY")
	}
	r.Check(c.RefreshTTL >= c.AccessTTL, "must not be shorter than ACCESS_TTL", "REFRESH_TTL")
}

func (r *reader) checkProduction(c *Config) {
	hasDatabase := r.Text("DATABASE_URL", "")+r.Text("PGHOST", "") != ""
	r.Check(hasDatabase, "must be set in production, or PGHOST", "DATABASE_URL")
	for _, name := range []string{"REDIS_URL", "OTP_SECRET", "SMS_REGIONS", "SMS_PROVIDERS"} {
		r.Check(r.Text(name, "") != "", "must be set in production", name)
	}
	signs := r.Text("JWT_SECRET", "")+r.Text("JWT_KEYS", "") != ""
	r.Check(signs, "must be set in production, or JWT_KEYS", "JWT_SECRET")

	var development []string
	for _, p := range r.providers {
		if p.Development {
			development = append(development, p.Name)
		}
	}
	slices.Sort(development)
	problem := "must not have " + strings.Join(development, " or ") + ", alone or first, in production"
	delivers := func(names []string) bool { return len(names) == 0 || !slices.Contains(development, names[0]) }
	r.Check(delivers(c.SMSProviders), problem, "SMS_PROVIDERS")
	for _, names := range c.SMSRoutes {
		r.Check(delivers(names), problem, "SMS_ROUTES")
	}
	for _, name := range c.UsedProviders() {
		r.provider(name).CheckProduction(r.Reader)
	}
}
