package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
)

// production has the fewest settings with which APP_ENV=production starts.
var production = map[string]string{
	"APP_ENV":            "production",
	"DATABASE_URL":       "postgres://otp:pw@db:5432/otp",
	"REDIS_URL":          "redis://:pw@redis:6379/0",
	"OTP_SECRET":         strings.Repeat("otp1", 8),
	"JWT_SECRET":         "wK8h3oPzT1v7RmQ5yLxE2bNcF9dGjS4u",
	"SMS_REGIONS":        "IR,DE",
	"SMS_PROVIDERS":      "webhook",
	"SMS_WEBHOOK_URL":    "https://sms.example.com/send",
	"SMS_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}

func with(base map[string]string, settings ...string) func(string) string {
	env := maps.Clone(base)
	if env == nil {
		env = make(map[string]string)
	}
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

// load is Load with the settings of the real providers.
func load(getenv func(string) string) (*Config, error) { return Load(getenv, sms.Settings()) }

func mustLoad(t *testing.T, getenv func(string) string) *Config {
	t.Helper()
	c, err := load(getenv)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// developmentDefaults returns what development has without any setting.
func developmentDefaults() *Config {
	return &Config{
		HTTPMaxHeader:   16 << 10,
		HTTPIdleTimeout: 75 * time.Second,
		HTTPAddr:        "127.0.0.1:1628",
		InternalAddr:    "127.0.0.1:1629",

		DatabaseURL:      secret.New("sqlite:data/otp.db"),
		MigrateOnStart:   true,
		RedisURL:         secret.New("embedded"),
		RedisMode:        "single",
		RedisPartitions:  16,
		RedisTimeout:     300 * time.Millisecond,
		RedisPoolTimeout: time.Second,

		OTPLength:        6,
		OTPTTL:           2 * time.Minute,
		OTPMaxAttempts:   5,
		OTPResendAfter:   30 * time.Second,
		OTPDailyAttempts: 30,
		OTPLimitPhone:    Limit{3, 10 * time.Minute},
		OTPLimitIP:       Limit{30, 10 * time.Minute},
		OTPLimitTriesIP:  Limit{20, 10 * time.Minute},
		DeviceTTL:        4320 * time.Hour,
		SignupLogsIn:     true,

		JWTKeys:     "data/keys",
		JWTKeyGrace: 10 * time.Minute,
		JWTIssuer:   "dekamond-otp",
		JWTAudience: "dekamond-otp",
		AccessTTL:   15 * time.Minute,
		RefreshTTL:  720 * time.Hour,

		SMSRegions:   []string{"*"},
		SMSProviders: []string{"console"},
		Providers:    make(setting.Values),

		AuditTTL:  2160 * time.Hour,
		LoginPage: true,
		LogLevel:  slog.LevelInfo,
		LogFormat: "text",
	}
}

func TestDevelopmentDefaults(t *testing.T) {
	want := developmentDefaults()
	for _, p := range sms.Settings() {
		for _, v := range p.Variables {
			want.Providers[v.Name] = secret.Secret{}
		}
	}
	for name, value := range map[string]string{
		"SMS_WEBHOOK_CHANNELS":    "sms",
		"SMSIR_PARAMETER":         "CODE",
		"VONAGE_SIGNATURE_METHOD": "md5hash",
		"WHATSAPP_LANGUAGE":       "en_US",
		"SMTP_ADDR":               "127.0.0.1:1025",
	} {
		want.Providers[name] = secret.New(value)
	}
	got := mustLoad(t, func(string) string { return " " }) // An empty variable counts as not set.
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Load with nothing set\n got %s\nwant %s", reveal(got), reveal(want))
	}
	if path, ok := got.SQLitePath(); path != "data/otp.db" || !ok {
		t.Errorf("SQLitePath = %q, %t, want data/otp.db", path, ok)
	}
	if !got.EmbeddedRedis() {
		t.Error("the Redis of development is not embedded")
	}
}

func TestProduction(t *testing.T) {
	c := mustLoad(t, with(production))
	if !c.Production || c.HTTPAddr != ":1628" || c.LogFormat != "json" {
		t.Errorf("Production, HTTPAddr, LogFormat = %t, %q, %q", c.Production, c.HTTPAddr, c.LogFormat)
	}
	if _, ok := c.SQLitePath(); ok || c.EmbeddedRedis() {
		t.Error("a store of production is embedded by default")
	}
	if got, want := c.OTPSecret.Reveal(), production["OTP_SECRET"]; got != want {
		t.Errorf("OTPSecret = %q, want %q", got, want)
	}
	c = mustLoad(t, with(production, "DATABASE_URL=sqlite:/var/lib/otp.db", "REDIS_URL=embedded"))
	if path, _ := c.SQLitePath(); path != "/var/lib/otp.db" || !c.EmbeddedRedis() {
		t.Errorf("stores embedded by name: path %q, embedded Redis %t", path, c.EmbeddedRedis())
	}
}

func prefixes(texts ...string) (ps []netip.Prefix) {
	for _, s := range texts {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

var valueTests = []struct {
	in   string
	got  func(*Config) any
	want any
}{
	{"HTTP_ADDR= [::1]:0 ", func(c *Config) any { return c.HTTPAddr }, "[::1]:0"},
	{"HTTP_MAX_HEADER=4096", func(c *Config) any { return c.HTTPMaxHeader }, 4 << 10},
	{"HTTP_MAX_HEADER=32KiB", func(c *Config) any { return c.HTTPMaxHeader }, 32 << 10},
	{"HTTP_MAX_HEADER=32 kb", func(c *Config) any { return c.HTTPMaxHeader }, 32 << 10},
	{"HTTP_MAX_HEADER=64k", func(c *Config) any { return c.HTTPMaxHeader }, 64 << 10},
	{"HTTP_MAX_HEADER=1M", func(c *Config) any { return c.HTTPMaxHeader }, 1 << 20},
	{"HTTP_IDLE_TIMEOUT=620s", func(c *Config) any { return c.HTTPIdleTimeout }, 620 * time.Second},
	{
		"DATABASE_URL=postgresql:///otp?host=/run/postgresql",
		func(c *Config) any { return c.DatabaseURL.Reveal() },
		"postgresql:///otp?host=/run/postgresql",
	},
	{
		"DATABASE_URL=postgres://u:p@a:5432,b:5432/otp",
		func(c *Config) any { return c.DatabaseURL.Reveal() },
		"postgres://u:p@a:5432,b:5432/otp",
	},
	{"MIGRATE_ON_START=false", func(c *Config) any { return c.MigrateOnStart }, false},
	{"REDIS_URL=rediss://u:p@,q@[::1]:6379/1?x=,", func(c *Config) any { return c.RedisMode }, "single"},
	{"OTP_LENGTH=10", func(c *Config) any { return c.OTPLength }, 10},
	{"OTP_TTL=90s", func(c *Config) any { return c.OTPTTL }, 90 * time.Second},
	{"OTP_RESEND_AFTER=0", func(c *Config) any { return c.OTPResendAfter }, time.Duration(0)},
	{"OTP_RESEND_AFTER=off", func(c *Config) any { return c.OTPResendAfter }, time.Duration(0)},
	{"OTP_RESEND_AFTER=2m", func(c *Config) any { return c.OTPResendAfter }, 2 * time.Minute},
	{"OTP_LIMIT_PHONE=5/1h", func(c *Config) any { return c.OTPLimitPhone }, Limit{5, time.Hour}},
	{"OTP_LIMIT_IP=off", func(c *Config) any { return c.OTPLimitIP }, Limit{}},
	{"OTP_LIMIT_TRIES_IP=100/1h", func(c *Config) any { return c.OTPLimitTriesIP }, Limit{100, time.Hour}},
	{"OTP_LIMIT_TRIES_IP=off", func(c *Config) any { return c.OTPLimitTriesIP }, Limit{}},
	{"OTP_LIMIT_IP=off", func(c *Config) any { return c.OTPLimitTriesIP }, Limit{20, 10 * time.Minute}},
	{"DEVICE_TTL=720h", func(c *Config) any { return c.DeviceTTL }, 720 * time.Hour},
	{"DEVICE_TTL=off", func(c *Config) any { return c.DeviceTTL }, time.Duration(0)},
	{
		"OTP_TEST_NUMBERS=+15550001111:123456, +15550002222:000000",
		func(c *Config) any { return c.OTPTestNumbers },
		map[string]string{"+15550001111": "123456", "+15550002222": "000000"},
	},
	{"TOKEN_PHONE=true", func(c *Config) any { return c.TokenPhone }, true},
	{"SIGNUP_LOGS_IN=false", func(c *Config) any { return c.SignupLogsIn }, false},
	{"DORMANT_AFTER=4320h", func(c *Config) any { return c.DormantAfter }, 4320 * time.Hour},
	{"DORMANT_AFTER=off", func(c *Config) any { return c.DormantAfter }, time.Duration(0)},
	{"JWT_KEY_GRACE=0", func(c *Config) any { return c.JWTKeyGrace }, time.Duration(0)},
	{"JWT_SECRET=" + secret64[:32], func(c *Config) any { return c.JWTSecret.Reveal() }, secret64[:32]},
	{"AUDIT_TTL=1h", func(c *Config) any { return c.AuditTTL }, time.Hour},
	{"ADMIN_API_KEY=" + secret64[:32], func(c *Config) any { return revealAll(c.AdminAPIKey) }, secret64[:32]},
	{
		"ADMIN_API_KEY=" + secret64[:32] + " , " + secret64[32:],
		func(c *Config) any { return revealAll(c.AdminAPIKey) },
		secret64[:32] + " " + secret64[32:],
	},
	{"DEFAULT_REGION=ir", func(c *Config) any { return c.DefaultRegion }, "IR"},
	{"SMS_REGIONS=ir, De", func(c *Config) any { return c.SMSRegions }, []string{"IR", "DE"}},
	{
		"SMS_WEBHOOK_SECRET=any text",
		func(c *Config) any { return c.Providers.Text("SMS_WEBHOOK_SECRET") },
		"any text",
	},
	{
		"SMS_WEBHOOK_CHANNELS=voice, sms",
		func(c *Config) any { return c.Providers.List("SMS_WEBHOOK_CHANNELS") },
		[]string{"voice", "sms"},
	},
	{"SMS_PROVIDERS=smtp,console", func(c *Config) any { return c.SMSProviders }, []string{"smtp", "console"}},
	{
		"SMS_ROUTES=ir=smtp, console ; *=console;",
		func(c *Config) any { return c.SMSRoutes },
		map[string][]string{"IR": {"smtp", "console"}, "*": {"console"}},
	},
	{"SMS_ROUTES=IR=smtp", func(c *Config) any { return c.UsedProviders() }, []string{"console", "smtp"}},
	{"INTERNAL_ADDR=off", func(c *Config) any { return c.InternalAddr }, ""},
	{"INTERNAL_ADDR=:1629", func(c *Config) any { return c.InternalAddr }, ":1629"},
	{"REDIS_PARTITIONS=1024", func(c *Config) any { return c.RedisPartitions }, 1024},
	{"REDIS_TIMEOUT=1s", func(c *Config) any { return c.RedisTimeout }, time.Second},
	{"REDIS_POOL_TIMEOUT=50ms", func(c *Config) any { return c.RedisPoolTimeout }, 50 * time.Millisecond},
	{"PUBLIC_URL=https://example.com/otp/", func(c *Config) any { return c.PublicURL }, "https://example.com/otp"},
	{"HOOK_SECRET=" + secret64[:16], func(c *Config) any { return c.HookSecret.Reveal() }, secret64[:16]},
	{"APP_NAME=کافه بازار", func(c *Config) any { return c.AppName }, "کافه بازار"},
	{"APP_NAME=دیجی\u200cکالا", func(c *Config) any { return c.AppName }, "دیجی\u200cکالا"},
	{
		"WEBOTP_ORIGIN=https://Login.example.com/",
		func(c *Config) any { return c.WebOTPOrigin },
		"login.example.com",
	},
	{"WEBOTP_ORIGIN=login.example.com", func(c *Config) any { return c.WebOTPOrigin }, "login.example.com"},
	{"ANDROID_APP_HASH=FA+9qCX9VSu", func(c *Config) any { return c.AndroidAppHash }, "FA+9qCX9VSu"},
	{"SMSIR_TEMPLATE=123456", func(c *Config) any { return c.Providers.Int("SMSIR_TEMPLATE") }, 123456},
	{"SMSIR_LINE=30004505000017", func(c *Config) any { return c.Providers.Int("SMSIR_LINE") }, 30004505000017},
	{
		"TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.1,2001:db8::1",
		func(c *Config) any { return c.TrustedProxies },
		prefixes("10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128"),
	},
	{
		"CORS_ORIGINS=https://App.example.com,http://localhost:3000",
		func(c *Config) any { return c.CORSOrigins },
		[]string{"https://app.example.com", "http://localhost:3000"},
	},
	{
		"CORS_ORIGINS=capacitor://localhost,http://[::1]:3000",
		func(c *Config) any { return c.CORSOrigins },
		[]string{"capacitor://localhost", "http://[::1]:3000"},
	},
	{"CORS_ORIGINS=*", func(c *Config) any { return c.CORSOrigins }, []string{"*"}},
	{"TERMS_URL=https://a.example/t?l=de#1", func(c *Config) any { return c.TermsURL }, "https://a.example/t?l=de#1"},
	{"PRIVACY_URL=http://127.0.0.1/p", func(c *Config) any { return c.PrivacyURL }, "http://127.0.0.1/p"},
	{"SMS_NOTICE=true", func(c *Config) any { return c.SMSNotice }, true},
	{"APP_COLOR=#FFCC00", func(c *Config) any { return c.AppColor }, brand.Color("#ffcc00")},
	{"APP_LOGO=data/logo.svg", func(c *Config) any { return c.AppLogo }, "data/logo.svg"},
	{"LOG_LEVEL=error", func(c *Config) any { return c.LogLevel }, slog.LevelError},
}

func TestValues(t *testing.T) {
	for _, tc := range valueTests {
		c, err := load(with(nil, tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		if got := tc.got(c); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.in, got, tc.want)
		}
	}
}

// reveal prints a Config with its secrets, for the message of a failed test.
func reveal(c *Config) string {
	var b strings.Builder
	for f, v := range reflect.ValueOf(c).Elem().Fields() {
		value := v.Interface()
		switch v := value.(type) {
		case secret.Secret:
			value = v.Reveal()
		case setting.Values:
			shown := make(map[string]string)
			for name := range v {
				shown[name] = v.Text(name)
			}
			value = shown
		}
		fmt.Fprintf(&b, "%s=%v ", f.Name, value)
	}
	return b.String()
}

const secret64 = "hJ7vQ2mXc9RtW4zKpL6yBnF3sDgE8uAaN5wCxM1kTbYqVrZoHiUjOlGdSfPeI0Xt"

func revealAll(secrets []secret.Secret) string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return strings.Join(texts, " ")
}

func TestWeakSecrets(t *testing.T) {
	for _, weak := range []string{
		strings.Repeat("a", 32),
		strings.Repeat("a", 100),
		strings.Repeat("ab", 20),
		strings.Repeat("secret", 6),
		strings.Repeat("secret", 6) + "sec",
		strings.Repeat("0123456789abcdef", 2),
		strings.Repeat("changeme", 4),
		strings.Repeat(secret64[:20], 2),
		strings.Repeat("0", 31) + "1",
		strings.Repeat("a", 40) + "b",
		"A-STRING-SECRET-AT-LEAST-256-BITS-LONG",
		"your-super-secret-jwt-token-with-at-least-32-characters-long",
		"your_jwt_secret_of_32_characters_or_more",
		"please-change-me-please-change-me-now",
		"a secret32 secret, so CHANGE ME before use",
		"do-not-use-this-secret-in-production!",
		"REPLACE_ME_WITH_A_RANDOM_SECRET_STRING",
		"put-your-secret-key-here-32-characters",
	} {
		_, err := load(with(nil, "JWT_SECRET="+weak))
		if err == nil || !strings.HasPrefix(err.Error(), "JWT_SECRET: must ") || strings.Contains(err.Error(), weak) {
			t.Errorf("JWT_SECRET=%s: %v; want a fault that does not quote it", weak, err)
		}
	}
	for _, good := range []string{
		secret64,
		secret64[:32],
		"correct horse battery staple, or so",
		"a-jwt-secret-of-more-than-32-bytes",
		"login-production-4f0c1d7be2a95386cd01",
		"f3b0c44298fc1c149afbf4c8996fb924",
		"xJyourK8h3oPzT1v7RmQ5yLxE2bNcF9dGjS4",
	} {
		if _, err := load(with(nil, "JWT_SECRET="+good)); err != nil {
			t.Errorf("JWT_SECRET=%s: %v; want no fault", good, err)
		}
	}
}

func TestKeysInProduction(t *testing.T) {
	const folder = "/etc/otp/keys"
	c := mustLoad(t, with(production, "JWT_SECRET=", "JWT_KEYS="+folder))
	if c.JWTKeys != folder || !c.JWTSecret.IsZero() {
		t.Errorf("JWTKeys, JWTSecret = %q, %v", c.JWTKeys, c.JWTSecret)
	}
	mustLoad(t, with(production, "JWT_KEYS="+folder)) // beside the secret
}

// TestKeyOfDevelopment checks that a key is made in development's own folder alone.
func TestKeyOfDevelopment(t *testing.T) {
	for settings, want := range map[string]bool{
		"":                                       true,
		"JWT_KEYS=data/keys":                     true,
		"JWT_KEYS=keys":                          false,
		"JWT_SECRET=" + production["JWT_SECRET"]: false,
	} {
		if c := mustLoad(t, with(nil, settings)); c.MakesKey() != want {
			t.Errorf("MakesKey with %q: %t in %s; want %t", settings, c.MakesKey(), c.JWTKeys, want)
		}
	}
	if c := mustLoad(t, with(production, "JWT_KEYS=data/keys")); c.MakesKey() {
		t.Error("MakesKey in production; want keys made by the operator alone")
	}
}

func TestKeyFolder(t *testing.T) {
	for settings, want := range map[string]string{
		"JWT_KEYS= keys |OTP_TTL=x":             "keys", // whatever else is wrong
		"APP_ENV=production|JWT_KEYS=/app/keys": "/app/keys",
		"JWT_KEYS=keys|JWT_SECRET=x":            "keys",
		"":                                      "data/keys",
	} {
		if got, err := KeyFolder(with(nil, strings.Split(settings, "|")...)); got != want || err != nil {
			t.Errorf("KeyFolder with %s: %q, %v; want %s", settings, got, err, want)
		}
	}
	for setting, want := range map[string]string{
		"APP_ENV=production": "JWT_KEYS: must be set",
		"JWT_SECRET=x":       "JWT_KEYS: must be set", // development signs with the secret
		"JWT_KEYS=-----BEGIN PRIVATE KEY-----\nMC4": "JWT_KEYS: must be the path of a folder",
	} {
		if _, err := KeyFolder(with(nil, setting)); err == nil || err.Error() != want {
			t.Errorf("KeyFolder with %q: %v; want %s", setting, err, want)
		}
	}
}

func TestSeveralRedisHosts(t *testing.T) {
	const hosts = "REDIS_URL=redis://u:pw@a:6379,b:6379,[::1]:6379"
	mustLoad(t, with(nil, hosts, "REDIS_MODE=cluster"))
	c := mustLoad(t, with(nil, hosts, "REDIS_MODE=sentinel", "REDIS_MASTER=main"))
	if c.RedisMode != "sentinel" || c.RedisMaster != "main" {
		t.Errorf("RedisMode, RedisMaster = %q, %q", c.RedisMode, c.RedisMaster)
	}
}

var secret32 = secret64[:32]

const anyProvider = "each must be console, kavenegar, smsir, smtp, sns, telegram, twilio, vonage, webhook or whatsapp"

var faultTests = []struct {
	base     map[string]string
	settings string // Separated by a bar.
	want     string
}{
	{nil, "APP_ENV=Production", "APP_ENV: must be development or production"},
	{nil, "HTTP_ADDR=1628", "HTTP_ADDR: must be host:port"},
	{nil, "HTTP_MAX_HEADER=4095", "HTTP_MAX_HEADER: must be a size from 4 to 1024 KiB, such as 4KiB"},
	{nil, "HTTP_MAX_HEADER=2MiB", "HTTP_MAX_HEADER: must be a size from 4 to 1024 KiB, such as 4KiB"},
	{nil, "HTTP_MAX_HEADER=16pt", "HTTP_MAX_HEADER: must be a size from 4 to 1024 KiB, such as 4KiB"},
	{nil, "HTTP_MAX_HEADER=16.5KiB", "HTTP_MAX_HEADER: must be a size from 4 to 1024 KiB, such as 4KiB"},
	{nil, "HTTP_MAX_HEADER=-16KiB", "HTTP_MAX_HEADER: must be a size from 4 to 1024 KiB, such as 4KiB"},
	{nil, "HTTP_IDLE_TIMEOUT=0s", "HTTP_IDLE_TIMEOUT: must be a duration from 1s to 1h in whole seconds"},
	{nil, "HTTP_ADDR=:16280000", "HTTP_ADDR: must be host:port"},
	{nil, "DATABASE_URL=mysql://u:hunter2@db/otp", "DATABASE_URL: must be postgres://… or sqlite:PATH"},
	{nil, "DATABASE_URL=sqlite://data/otp.db", "DATABASE_URL: must be postgres://… or sqlite:PATH"},
	{nil, "DATABASE_URL=sqlite: ", "DATABASE_URL: must be postgres://… or sqlite:PATH"},
	{nil, "MIGRATE_ON_START=yes", "MIGRATE_ON_START: must be true or false"},
	{
		nil,
		"REDIS_URL=unix:///run/redis.sock",
		"REDIS_URL: must be redis://HOST or rediss://HOST, with commas between several hosts, or embedded",
	},
	{
		nil,
		"REDIS_URL=redis://:hunter2@",
		"REDIS_URL: must be redis://HOST or rediss://HOST, with commas between several hosts, or embedded",
	},
	{
		nil,
		"REDIS_URL=redis://a:6379,,b:6379|REDIS_MODE=cluster",
		"REDIS_URL: must be redis://HOST or rediss://HOST, with commas between several hosts, or embedded",
	},
	{nil, "REDIS_URL=redis://:hunter2@a:6379,b:6379", "REDIS_URL: must have one host with REDIS_MODE=single"},
	{nil, "REDIS_MODE=master", "REDIS_MODE: must be single, cluster or sentinel"},
	{nil, "REDIS_MODE=cluster", "REDIS_MODE: must be single with an embedded Redis"},
	{nil, "REDIS_URL=redis://a|REDIS_MODE=sentinel", "REDIS_MASTER: must be set with REDIS_MODE=sentinel"},
	{nil, "OTP_SECRET=" + secret32[1:], "OTP_SECRET: must be at least 32 bytes long"},
	{nil, "OTP_LENGTH=5", "OTP_LENGTH: must be a whole number from 6 to 10"},
	{nil, "OTP_LENGTH=11", "OTP_LENGTH: must be a whole number from 6 to 10"},
	{nil, "OTP_LENGTH=7x", "OTP_LENGTH: must be a whole number from 6 to 10"},
	{nil, "OTP_TTL=29s", "OTP_TTL: must be a duration from 30s to 10m in whole seconds"},
	{nil, "OTP_TTL=11m", "OTP_TTL: must be a duration from 30s to 10m in whole seconds"},
	{nil, "OTP_TTL=90500ms", "OTP_TTL: must be a duration from 30s to 10m in whole seconds"},
	{nil, "OTP_TTL=120", "OTP_TTL: must be a duration from 30s to 10m in whole seconds"},
	{nil, "OTP_MAX_ATTEMPTS=0", "OTP_MAX_ATTEMPTS: must be a whole number from 1 to 10"},
	{nil, "OTP_RESEND_AFTER=-1s", "OTP_RESEND_AFTER: must be a duration from 0s to 10m in whole seconds, or off"},
	{nil, "OTP_RESEND_AFTER=121s", "OTP_RESEND_AFTER: must not be longer than OTP_TTL"},
	{nil, "OTP_RESEND_AFTER=9m|OTP_TTL=5x", "OTP_TTL: must be a duration from 30s to 10m in whole seconds"},
	{nil, "OTP_DAILY_ATTEMPTS=101", "OTP_DAILY_ATTEMPTS: must be a whole number from 1 to 100"},
	{
		nil,
		"OTP_LIMIT_PHONE=7",
		"OTP_LIMIT_PHONE: must be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h, or off",
	},
	{
		nil,
		"OTP_LIMIT_PHONE=0/7m",
		"OTP_LIMIT_PHONE: must be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h, or off",
	},
	{
		nil,
		"OTP_LIMIT_IP=7/25h",
		"OTP_LIMIT_IP: must be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h, or off",
	},
	{
		nil,
		"OTP_LIMIT_TRIES_IP=1001/10m",
		"OTP_LIMIT_TRIES_IP: must be N/DURATION such as 3/10m, from 1 to 1000 in 1s to 24h, or off",
	},
	{nil, "DEVICE_TTL=0s", "DEVICE_TTL: must be a duration from 1s to 87600h in whole seconds, or off"},
	{nil, "DEVICE_TTL=180d", "DEVICE_TTL: must be a duration from 1s to 87600h in whole seconds, or off"},
	{
		nil,
		"OTP_TEST_NUMBERS=+05550001111:123457",
		"OTP_TEST_NUMBERS: must be a list such as +15550001111:123456, with each number once",
	},
	{
		nil,
		"OTP_TEST_NUMBERS=+15550003333",
		"OTP_TEST_NUMBERS: must be a list such as +15550001111:123456, with each number once",
	},
	{
		nil,
		"OTP_TEST_NUMBERS=+15550003333:123457,+15550003333:123458",
		"OTP_TEST_NUMBERS: must be a list such as +15550001111:123456, with each number once",
	},
	{
		nil,
		"OTP_TEST_NUMBERS=+15550003333:1234567,+15550004444:7",
		"OTP_TEST_NUMBERS: must have codes of OTP_LENGTH digits",
	},
	{nil, "TOKEN_PHONE=on", "TOKEN_PHONE: must be true or false"},
	{nil, "SIGNUP_LOGS_IN=2", "SIGNUP_LOGS_IN: must be true or false"},
	{nil, "JWT_SECRET=" + secret32[1:], "JWT_SECRET: must be at least 32 bytes long"},
	{nil, "JWT_SECRET=" + secret32 + "|OTP_SECRET=" + secret32, "JWT_SECRET: must not be the same as OTP_SECRET"},
	{nil, "JWT_SECRET=" + strings.Repeat("9f", 16), "JWT_SECRET: must not repeat a part of itself"},
	{
		nil,
		"JWT_SECRET=a-string-secret-at-least-256-bits-long",
		"JWT_SECRET: must be a secret of your own, such as openssl rand -base64 48 makes",
	},
	{
		production,
		"JWT_SECRET=|JWT_KEYS=-----BEGIN PRIVATE KEY-----\nMC4CAQ",
		"JWT_KEYS: must be the path of a folder",
	},
	{nil, "JWT_KEY_GRACE=25h", "JWT_KEY_GRACE: must be a duration from 0s to 24h in whole seconds"},
	{nil, "DORMANT_AFTER=0", "DORMANT_AFTER: must be a duration from 1s to 87600h in whole seconds, or off"},
	{nil, "AUDIT_TTL=59m", "AUDIT_TTL: must be a duration from 1h to 87600h in whole seconds"},
	{nil, "ACCESS_TTL=25h", "ACCESS_TTL: must be a duration from 1m to 24h in whole seconds"},
	{nil, "REFRESH_TTL=8761h", "REFRESH_TTL: must be a duration from 1m to 8760h in whole seconds"},
	{nil, "REFRESH_TTL=14m", "REFRESH_TTL: must not be shorter than ACCESS_TTL"},
	{nil, "DEFAULT_REGION=UK", "DEFAULT_REGION: must be an ISO 3166 code of two letters"},
	{nil, "DEFAULT_REGION=IR,DE", "DEFAULT_REGION: must be an ISO 3166 code of two letters"},
	{nil, "SMS_REGIONS=IR,ZZ", "SMS_REGIONS: each must be an ISO 3166 code of two letters, or *"},
	{nil, "SMS_REGIONS=IR,*", "SMS_REGIONS: each must be an ISO 3166 code of two letters, or *"},
	{nil, "SMS_REGIONS=,", "SMS_REGIONS: each must be an ISO 3166 code of two letters, or *"},
	{
		nil,
		"SMS_PROVIDERS=console,pigeon",
		"SMS_PROVIDERS: " + anyProvider,
	},
	{nil, "SMS_PROVIDERS=console,console", "SMS_PROVIDERS: must name each provider once at most"},
	{nil, "SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL: must be set for webhook in SMS_PROVIDERS or SMS_ROUTES"},
	{
		nil,
		"SMS_PROVIDERS=twilio|TWILIO_ACCOUNT_SID=AC1|TWILIO_FROM=+15005550006",
		"TWILIO_AUTH_TOKEN: must be set for twilio in SMS_PROVIDERS or SMS_ROUTES",
	},
	{nil, "SMS_ROUTES=IR=kavenegar", "KAVENEGAR_API_KEY: must be set for kavenegar in SMS_PROVIDERS or SMS_ROUTES"},
	{nil, "SMS_PROVIDERS=smsir|SMSIR_API_KEY=hunter2", "SMSIR_TEMPLATE: must be set for smsir, or SMSIR_LINE"},
	{
		nil,
		"SMS_PROVIDERS=telegram|TELEGRAM_TOKEN=hunter2|OTP_LENGTH=9",
		"OTP_LENGTH: must be at most 8 for telegram in SMS_PROVIDERS or SMS_ROUTES",
	},
	{
		nil,
		"SMS_ROUTES=IR=console;IR=smtp",
		"SMS_ROUTES: must be routes such as IR=kavenegar,smsir;*=twilio, with each region once",
	},
	{
		nil,
		"SMS_ROUTES=ZZ=console",
		"SMS_ROUTES: must be routes such as IR=kavenegar,smsir;*=twilio, with each region once",
	},
	{
		nil,
		"SMS_ROUTES=IR",
		"SMS_ROUTES: " + anyProvider + ", in the list after each =",
	},
	{
		nil,
		"SMS_ROUTES=IR=pigeon",
		"SMS_ROUTES: " + anyProvider + ", in the list after each =",
	},
	{nil, "SMS_WEBHOOK_CHANNELS=sms,pigeon", "SMS_WEBHOOK_CHANNELS: each must be sms, whatsapp, telegram or voice"},
	{nil, "INTERNAL_ADDR=1629", "INTERNAL_ADDR: must be host:port, or off"},
	{nil, "REDIS_PARTITIONS=0", "REDIS_PARTITIONS: must be a whole number from 1 to 1024"},
	{nil, "REDIS_TIMEOUT=2s", "REDIS_TIMEOUT: must be a duration from 50ms to 1s"},
	{nil, "REDIS_POOL_TIMEOUT=0s", "REDIS_POOL_TIMEOUT: must be a duration from 50ms to 2s"},
	{nil, "TERMS_URL=/terms", "TERMS_URL: must be a URL of http or https"},
	{nil, "PRIVACY_URL=javascript:alert(1)", "PRIVACY_URL: must be a URL of http or https"},
	{nil, "SMS_NOTICE=maybe", "SMS_NOTICE: must be true or false"},
	{nil, "APP_COLOR=green", "APP_COLOR: must be a colour such as #3f51d9"},
	{nil, "APP_LOGO=<svg/>", "APP_LOGO: must be the path of a file"},
	{nil, "PUBLIC_URL=otp.example.net", "PUBLIC_URL: must be a URL such as https://otp.example.com"},
	{
		nil,
		"PUBLIC_URL=https://user:hunter2@example.net",
		"PUBLIC_URL: must be a URL such as https://otp.example.com",
	},
	{nil, "HOOK_SECRET=hunter2", "HOOK_SECRET: must be 16 to 128 letters, digits, - and _"},
	{nil, "HOOK_SECRET=hunter2/hunter2/hunter2", "HOOK_SECRET: must be 16 to 128 letters, digits, - and _"},
	{nil, "APP_NAME=" + strings.Repeat("ab", 21), "APP_NAME: must be at most 40 printable characters"},
	{nil, "APP_NAME=Shop\u202e", "APP_NAME: must be at most 40 printable characters"},
	{
		nil,
		"WEBOTP_ORIGIN=https://login.example.net:8443",
		"WEBOTP_ORIGIN: must be an origin such as https://login.example.com, without a port",
	},
	{
		nil,
		"WEBOTP_ORIGIN=http://login.example.net",
		"WEBOTP_ORIGIN: must be an origin such as https://login.example.com, without a port",
	},
	{
		nil,
		"WEBOTP_ORIGIN=https://a..example.net",
		"WEBOTP_ORIGIN: must be an origin such as https://login.example.com, without a port",
	},
	{nil, "ANDROID_APP_HASH=FA+9qCX9VS", "ANDROID_APP_HASH: must be the 11 characters of the app's hash"},
	{nil, "TWILIO_BASE_URL=twilio.example.net", "TWILIO_BASE_URL: must be a URL of http or https"},
	{nil, "VONAGE_SIGNATURE_METHOD=sha3", "VONAGE_SIGNATURE_METHOD: must be md5hash, md5, sha1, sha256 or sha512"},
	{nil, "SMS_WEBHOOK_URL=sms.example.com/send", "SMS_WEBHOOK_URL: must be a URL of http or https"},
	{nil, "SMS_WEBHOOK_URL=https:///hunter2", "SMS_WEBHOOK_URL: must be a URL of http or https"},
	{nil, "SMS_WEBHOOK_URL=http://u:hunter2@%zz", "SMS_WEBHOOK_URL: must be a URL of http or https"},
	{nil, "SMS_WEBHOOK_SECRET=whsec_c2hvcnQ=", "SMS_WEBHOOK_SECRET: must be base64 of 24 to 64 bytes after whsec_"},
	{
		nil,
		"SMS_WEBHOOK_SECRET=whsec_" + secret32 + "?",
		"SMS_WEBHOOK_SECRET: must be base64 of 24 to 64 bytes after whsec_",
	},
	{nil, "ADMIN_API_KEY=" + secret32[1:], "ADMIN_API_KEY: each must be at least 32 bytes long"},
	{nil, "ADMIN_API_KEY=" + secret32 + "," + secret32[1:], "ADMIN_API_KEY: each must be at least 32 bytes long"},
	{
		nil,
		"ADMIN_API_KEY=" + secret64[32:] + "," + secret32 + "|JWT_SECRET=" + secret32,
		"ADMIN_API_KEY: must not be the same as OTP_SECRET or JWT_SECRET",
	},
	{
		nil,
		"ADMIN_API_KEY=" + secret32 + "|OTP_SECRET=" + secret32,
		"ADMIN_API_KEY: must not be the same as OTP_SECRET or JWT_SECRET",
	},
	{nil, "TRUSTED_PROXIES=10.0.0.0/33", "TRUSTED_PROXIES: each must be a CIDR or an address"},
	{nil, "TRUSTED_PROXIES=fe80::1%eth0", "TRUSTED_PROXIES: each must be a CIDR or an address"},
	{nil, "TRUSTED_PROXIES=::ffff:10.0.0.1", "TRUSTED_PROXIES: each must be a CIDR or an address"},
	{nil, "TRUSTED_PROXIES=10.0.0.1,", "TRUSTED_PROXIES: each must be a CIDR or an address"},
	{
		nil,
		"CORS_ORIGINS=https://a.example/",
		"CORS_ORIGINS: each must be an origin such as https://example.com, or *",
	},
	{
		nil,
		"CORS_ORIGINS=https://*.a.example",
		"CORS_ORIGINS: each must be an origin such as https://example.com, or *",
	},
	{nil, "CORS_ORIGINS=a.example", "CORS_ORIGINS: each must be an origin such as https://example.com, or *"},
	{nil, "LOG_LEVEL=INFO+1", "LOG_LEVEL: must be debug, info, warn or error"},
	{nil, "LOG_FORMAT=xml", "LOG_FORMAT: must be text or json"},

	{production, "DATABASE_URL=", "DATABASE_URL: must be set in production, or PGHOST"},
	{production, "REDIS_URL=", "REDIS_URL: must be set in production"},
	{production, "OTP_SECRET=", "OTP_SECRET: must be set in production"},
	{production, "OTP_SECRET=" + secret32[1:], "OTP_SECRET: must be at least 32 bytes long"},
	{production, "JWT_SECRET=", "JWT_SECRET: must be set in production, or JWT_KEYS"},
	{production, "SMS_REGIONS=", "SMS_REGIONS: must be set in production"},
	{production, "SMS_PROVIDERS=", "SMS_PROVIDERS: must be set in production"},
	{
		production,
		"SMS_PROVIDERS=console",
		"SMS_PROVIDERS: must not have console or smtp, alone or first, in production",
	},
	{
		production,
		"SMS_PROVIDERS=console,webhook",
		"SMS_PROVIDERS: must not have console or smtp, alone or first, in production",
	},
	{
		production,
		"SMS_ROUTES=IR=smtp,webhook",
		"SMS_ROUTES: must not have console or smtp, alone or first, in production",
	},
	{production, "SMS_WEBHOOK_URL=", "SMS_WEBHOOK_URL: must be set for webhook in SMS_PROVIDERS or SMS_ROUTES"},
	{
		production,
		"SMS_WEBHOOK_SECRET=",
		"SMS_WEBHOOK_SECRET: must be set in production for webhook in SMS_PROVIDERS or SMS_ROUTES",
	},
}

func TestFaults(t *testing.T) {
	for _, tc := range faultTests {
		c, err := load(with(tc.base, strings.Split(tc.settings, "|")...))
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.settings, err, tc.want)
			continue
		}
		if c != nil {
			t.Errorf("%s: a Config and an error", tc.settings)
		}
		for setting := range strings.SplitSeq(tc.settings, "|") {
			name, value, _ := strings.Cut(setting, "=")
			// A value such as REDIS_MODE=sentinel may be in the error, because it is a word of the documentation.
			const words = "console webhook cluster sentinel twilio smsir kavenegar telegram"
			own := len(value) > 1 && !strings.Contains(words, value)
			if own && strings.Contains(err.Error(), value) {
				t.Errorf("the value of %s is in the error %q", name, err)
			}
		}
	}
}

func TestFaultsAllAtOnce(t *testing.T) {
	_, err := load(with(map[string]string{
		"APP_ENV":          "production",
		"OTP_TTL":          "1h",
		"OTP_LENGTH":       "x",
		"OTP_TEST_NUMBERS": "+15550001111:1",
		"REFRESH_TTL":      "2m",
	}))
	want := `OTP_LENGTH: must be a whole number from 6 to 10
OTP_TTL: must be a duration from 30s to 10m in whole seconds
REFRESH_TTL: must not be shorter than ACCESS_TTL
DATABASE_URL: must be set in production, or PGHOST
REDIS_URL: must be set in production
OTP_SECRET: must be set in production
SMS_REGIONS: must be set in production
SMS_PROVIDERS: must be set in production
JWT_SECRET: must be set in production, or JWT_KEYS`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if faults, ok := errors.AsType[setting.Faults](err); !ok || len(faults) != 9 || faults[1].Variable != "OTP_TTL" {
		t.Errorf("the error is %T %v, want Faults", err, faults)
	}
}

// TestPostgresInParts checks that the parts of a Postgres URL can be settings of their own, so that a password needs no
// escaping.
func TestPostgresInParts(t *testing.T) {
	for _, tc := range []struct {
		settings []string
		url      string
		named    string // by DatabaseSetting
	}{
		{[]string{"DATABASE_URL=", "PGHOST=db", "PGPASSWORD=a/b+c=d@e"}, "", "PGUSER"},
		{[]string{"PGHOST=db"}, production["DATABASE_URL"], "DATABASE_URL"},
		{[]string{"PGHOST=db", "PGUSER=otp"}, "postgres://db/otp", "PGUSER"},
		{[]string{"PGHOST=db", "PGUSER=otp"}, "postgres://otp:x@db/otp", "DATABASE_URL"},
		{[]string{"PGHOST=db", "PGUSER=otp"}, "postgres://db/otp?user=otp", "DATABASE_URL"},
		{[]string{"DATABASE_URL=postgres:///otp", "PGHOST=db", "PGPORT=5433"}, "postgres:///otp", "DATABASE_URL"},
	} {
		for _, base := range []map[string]string{production, nil} {
			c, err := load(with(base, append([]string{"DATABASE_URL=" + tc.url}, tc.settings...)...))
			if err != nil {
				t.Errorf("%v: %v", tc.settings, err)
				continue
			}
			_, sqlite := c.SQLitePath()
			if got := c.DatabaseURL.Reveal(); got != tc.url || sqlite || c.DatabaseSetting("PGUSER") != tc.named {
				t.Errorf("%v: %q, named %s; want %q, named %s",
					tc.settings, got, c.DatabaseSetting("PGUSER"), tc.url, tc.named)
			}
		}
	}
	if c := mustLoad(t, with(nil, "PGHOST=db")); c.DatabaseSetting("") != "PGHOST" {
		t.Errorf("the database of PGHOST is named %s; want PGHOST", c.DatabaseSetting(""))
	}
	mixed := mustLoad(t, with(nil, "DATABASE_URL=postgres://otp@db/?sslmode=require", "PGHOST=other", "PGUSER=other",
		"PGPASSWORD=x", "PGDATABASE=otp", "PGSSLMODE=disable"))
	for part, want := range map[string]string{
		"":              "DATABASE_URL",
		"PGUSER":        "DATABASE_URL",
		"PGPASSWORD":    "PGPASSWORD",
		"PGDATABASE":    "PGDATABASE",
		"PGSSLMODE":     "DATABASE_URL",
		"PGSSLROOTCERT": "DATABASE_URL",
	} {
		if got := mixed.DatabaseSetting(part); got != want {
			t.Errorf("%s beside a URL: %s; want %s", part, got, want)
		}
	}
	if c := mustLoad(t, with(nil, "DATABASE_URL=sqlite:otp.db", "PGHOST=db")); c.DatabaseSetting("") != "DATABASE_URL" {
		t.Errorf("a file beside PGHOST is named %s; want DATABASE_URL", c.DatabaseSetting(""))
	}
	for faulty, want := range map[string]string{
		"DATABASE_URL=":       "DATABASE_URL: must be set in production, or PGHOST",
		"PGPORT=postgres":     "PGPORT: each must be a whole number",
		"PGSSLMODE=sometimes": "PGSSLMODE: must be disable,",
	} {
		if _, err := load(with(production, faulty)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v; want %s", faulty, err, want)
		}
	}
}

// TestUnescapedPassword checks that the fault of a URL says which characters have to be escaped, and quotes nothing.
func TestUnescapedPassword(t *testing.T) {
	for _, raw := range []string{
		"hun/ter2",
		"12/hunter2",
		"hunter2/",
		"hun?ter2",
		"12?hunter2",
		"hun#ter2",
		"12#hunter2",
		"hun%ter2",
		"hunter2%",
		"hun ter2",
		"hun^ter2",
		"hun/t@er2",
	} {
		for _, setting := range []string{
			"DATABASE_URL=postgres://otp:" + raw + "@db:5432/otp?sslmode=disable",
			"DATABASE_URL=postgresql://otp:" + raw + "@db/otp",
			"REDIS_URL=redis://:" + raw + "@redis:6379/0",
			"REDIS_URL=rediss://otp:" + raw + "@redis",
		} {
			name, _, _ := strings.Cut(setting, "=")
			_, err := load(with(production, setting))
			want := name + ": must be a URL whose user and password are escaped"
			if err == nil || !strings.HasPrefix(err.Error(), want) ||
				strings.Contains(err.Error(), "ter2") {
				t.Errorf("%s: %v; want the characters to escape, and no part of the password", setting, err)
			}
		}
	}
	_, err := load(with(production, "DATABASE_URL=postgres://otp:a+b=c@d&e!@db:5432/otp?sslmode=disable"))
	const want = "DATABASE_URL: must be a URL whose user and password are escaped"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("a password with @ in a URL of Postgres, whose driver reads the host behind the first @: %v", err)
	}
	for _, sound := range []string{
		"DATABASE_URL=postgres://otp:a+b=c&e!@db:5432/otp?sslmode=disable",
		"REDIS_URL=redis://:a@b@redis:6379/0",
		"DATABASE_URL=postgres://otp:%2F%3F%23%25%40@db/otp",
		"DATABASE_URL=postgres://db/otp?user=otp@server&password=a@b",
		"DATABASE_URL=postgres:///otp?host=/run/postgresql",
		"DATABASE_URL=postgres://otp@a:5432,b:5433/otp",
		"REDIS_URL=redis://:%2F%25@a:1,b:2/0",
	} {
		more := []string{sound}
		if strings.Contains(sound, ",b:2") {
			more = append(more, "REDIS_MODE=cluster")
		}
		if _, err := load(with(production, more...)); err != nil {
			t.Errorf("%s: %v; want no fault", sound, err)
		}
	}
}
