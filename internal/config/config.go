// Package config owns the list of the service's settings: their names, defaults and ranges, and the rules between them.
// It turns environment variables into typed values. Package setting reads a single setting, each provider describes its
// own settings, and the caller opens what the settings name.
//
// Load reports every fault at once, so that a deployment is mended in one round. Production has no default for a
// setting whose development default would be unsafe or would lose data there: such a setting must be set by name.
package config

import (
	"cmp"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
)

// The names of stores inside the process.
const (
	embedded     = "embedded" // As REDIS_URL.
	sqlitePrefix = "sqlite:"  // Of DATABASE_URL.
)

// Config holds the settings. Each field is the variable of the same name; docs/settings.md explains them.
type Config struct {
	Production      bool          // APP_ENV=production.
	HTTPAddr        string        // host:port; without a host every interface.
	HTTPMaxHeader   int           // Bytes, 4 KiB to 1 MiB.
	HTTPIdleTimeout time.Duration // 1s to 1h.
	InternalAddr    string        // host:port of the operator's page and of the metrics; empty = off.
	PublicURL       string        // http(s)://host[/path] without a final slash, for providers' callbacks, or empty.
	HookSecret      secret.Secret // URL-safe; the secret path of delivery reports that are not signed.

	DatabaseURL     secret.Secret // postgres://, postgresql:// or sqlite:PATH; see SQLitePath. Zero if PGHost names it.
	PGHost          string        // The Postgres if DatabaseURL is zero. The driver reads it and its siblings itself.
	postgresParts   []string      // PGHost and those of its siblings that are set.
	MigrateOnStart  bool
	RedisURL        secret.Secret // redis:// or rediss:// with one or more hosts, or embedded; see EmbeddedRedis.
	RedisMode       string        // single, cluster or sentinel.
	RedisMaster     string        // Not empty in the mode sentinel.
	RedisPartitions int           // 1 to 1024.

	RedisTimeout     time.Duration // Of an answer, and to connect; 50ms to 1s.
	RedisPoolTimeout time.Duration // For a connection while all are in use; 50ms to 2s.

	OTPSecret        secret.Secret // At least 32 bytes; zero in development if the service has to make one.
	OTPLength        int           // Digits, 6 to 10.
	OTPTTL           time.Duration // 30s to 10m.
	OTPMaxAttempts   int           // 1 to 10.
	OTPResendAfter   time.Duration // 0 to OTPTTL; 0 = off.
	OTPDailyAttempts int           // 1 to 100.
	OTPLimitPhone    Limit
	OTPLimitIP       Limit
	OTPLimitTriesIP  Limit
	OTPTestNumbers   map[string]string // E.164 number to its fixed code of OTPLength digits.
	DeviceTTL        time.Duration     // 1s to 87600h; 0 = off.
	SignupLogsIn     bool
	DormantAfter     time.Duration // Up to 87600h; 0 = off.

	JWTSecret   secret.Secret // At least 32 bytes, not guessable; zero if JWTKeys alone sign.
	JWTKeys     string        // A folder; if it is empty, JWTSecret signs. See MakesKey.
	JWTKeyGrace time.Duration // 0 to 24h.
	JWTIssuer   string
	JWTAudience string
	AccessTTL   time.Duration // 1m to 24h.
	TokenPhone  bool          // Whether access tokens have the user's phone.
	RefreshTTL  time.Duration // AccessTTL to 8760h.

	DefaultRegion  string              // ISO 3166 code; if it is empty, only international numbers are read.
	SMSRegions     []string            // ISO 3166 codes, or "*" alone for all.
	SMSProviders   []string            // Names of providers, the preferred one first.
	SMSRoutes      map[string][]string // The same for one ISO 3166 code, or "*" for all other regions.
	SMSTexts       string              // A folder of templates; if it is empty, only the shipped ones are used.
	AppName        string              // Up to 40 characters; if it is empty, the messages name no service.
	WebOTPOrigin   string              // A host, or empty.
	AndroidAppHash string              // 11 characters, or empty.
	Providers      setting.Values      // The settings of all providers, whether they are used or not.

	AdminAPIKey    []secret.Secret // At least 32 bytes each; without any the admin endpoints are off.
	AuditTTL       time.Duration   // 1h to 87600h.
	TrustedProxies []netip.Prefix  // Masked; a single address is a prefix of full length.
	CORSOrigins    []string        // scheme://host[:port] in lower case, or "*" alone for all.

	LoginPage  bool
	TermsURL   string // http(s)://…, or empty.
	PrivacyURL string // http(s)://…, or empty.
	SMSNotice  bool
	AppColor   brand.Color // Or none.
	AppLogo    string      // The path of an SVG or PNG file, or empty; see brand.ReadLogo.

	LogLevel  slog.Level
	LogFormat string // text or json.
}

// A Limit allows Max events in every interval of length Window. The zero Limit allows everything.
type Limit struct {
	Max    int           // 1 to 1000.
	Window time.Duration // 1s to 24h.
}

// SQLitePath returns the file of the embedded database; ok is false if DatabaseURL names a Postgres.
func (c *Config) SQLitePath() (path string, ok bool) {
	return strings.CutPrefix(c.DatabaseURL.Reveal(), sqlitePrefix)
}

// DatabaseSetting returns the name of the setting that a fault of the database is about. The part is PGHOST, which is
// the default, or one of its siblings. The setting is the part if the driver reads it from the environment, which it
// does if DATABASE_URL lacks it, and otherwise DATABASE_URL.
func (c *Config) DatabaseSetting(part string) string {
	part = cmp.Or(part, "PGHOST")
	url := c.DatabaseURL.Reveal()
	if url == "" || slices.Contains(c.postgresParts, part) && isPostgres(url) && !hasPart(url, part) {
		return part
	}
	return "DATABASE_URL"
}

// EmbeddedRedis reports whether Redis runs inside the process.
func (c *Config) EmbeddedRedis() bool { return c.RedisURL.Reveal() == embedded }

// UsedProviders returns the names in SMSProviders and SMSRoutes, sorted, each once.
func (c *Config) UsedProviders() []string {
	used := slices.Clone(c.SMSProviders)
	for _, names := range c.SMSRoutes {
		used = append(used, names...)
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// Load reads the settings from getenv, those of the given providers among them. The error is a setting.Faults with
// every fault at once.
func Load(getenv func(string) string, providers []setting.Provider) (*Config, error) {
	r := &reader{Reader: setting.NewReader(getenv), providers: providers}
	r.readEnvironment()
	c := &Config{Production: r.production}
	r.readServer(c)
	r.readStores(c)
	r.readCodes(c)
	r.readTokens(c)
	r.readMessages(c)
	r.readAccess(c)
	r.readLoginPage(c)
	r.readProviders(c)

	r.checkStores(c)
	r.checkCodes(c)
	r.checkSecrets(c)
	if c.Production {
		r.checkProduction(c)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Names returns the names of all settings, sorted.
func Names(providers []setting.Provider) (names []string) {
	// Load reads every setting, and works without any.
	_, _ = Load(func(name string) string {
		names = append(names, name)
		return ""
	}, providers)
	slices.Sort(names)
	return slices.Compact(names)
}

// KeyFolder reads JWT_KEYS and what its default depends on, so that a signing key can be made where nothing else is
// set. The error is a setting.Faults.
func KeyFolder(getenv func(string) string) (string, error) {
	r := &reader{Reader: setting.NewReader(getenv)}
	r.readEnvironment()
	path := r.keyFolder()
	r.Check(path != "", "must be set", "JWT_KEYS")
	return path, r.Err()
}
