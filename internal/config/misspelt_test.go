package config

import (
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/sms"
)

// TestMisspeltNames checks which names in the environment are taken for misspelt settings, and for which.
//
//nolint:misspell // on purpose
func TestMisspeltNames(t *testing.T) {
	for name, want := range map[string]string{
		"OTP_LENGHT":         "OTP_LENGTH",
		"OTP_LENGT":          "OTP_LENGTH",
		"OTP_LNGHT":          "OTP_LENGTH",
		"OPT_LENGTH":         "OTP_LENGTH",
		"OTP_LEN":            "OTP_LENGTH",
		"otp_length":         "OTP_LENGTH",
		"Otp_Lenght":         "OTP_LENGTH",
		"OTP-LENGTH":         "OTP_LENGTH",
		"otp.length":         "OTP_LENGTH",
		"OTP__LENGTH":        "OTP_LENGTH",
		"OTPLENGTH":          "OTP_LENGTH",
		"OTPLENGHT":          "OTP_LENGTH",
		" OTP_LENGTH":        "OTP_LENGTH",
		"OTP_LENGTH ":        "OTP_LENGTH",
		"\ufeffOTP_LENGTH":   "OTP_LENGTH",
		"DATABSE_URL":        "DATABASE_URL",
		"DATABASE_URI":       "DATABASE_URL",
		"DATABASE_ULR":       "DATABASE_URL",
		"JWT_ISUER":          "JWT_ISSUER",
		"JTW_SECRET":         "JWT_SECRET",
		"JWT_KEY":            "JWT_KEYS",
		"REDIS_URI":          "REDIS_URL",
		"REDIS_ULR":          "REDIS_URL",
		"HTTP_ADRR":          "HTTP_ADDR",
		"HTTP_ADDRESS":       "HTTP_ADDR",
		"SMS_PROVIDER":       "SMS_PROVIDERS",
		"SMS_REGION":         "SMS_REGIONS",
		"SNS_REGON":          "SNS_REGION",
		"APP_NMAE":           "APP_NAME",
		"APP_EN":             "APP_ENV",
		"LOG_LEVL":           "LOG_LEVEL",
		"CORS_ORIGIN":        "CORS_ORIGINS",
		"TRUSTED_PROXYS":     "TRUSTED_PROXIES",
		"TRUSTED_PROXY":      "TRUSTED_PROXIES",
		"PGPASWORD":          "PGPASSWORD",
		"PGDATABSE":          "PGDATABASE",
		"PG_HOST":            "PGHOST",
		"OTP_CODE_LENGTH":    "OTP_LENGTH",
		"ACCESS_TOKEN_TTL":   "ACCESS_TTL",
		"ADMIN_KEY":          "ADMIN_API_KEY",
		"TELEGRAM_BOT_TOKEN": "TELEGRAM_TOKEN",
		"TWILLIO_AUTH_TOKEN": "TWILIO_AUTH_TOKEN",
		"KAVENEGAR_SENDR":    "KAVENEGAR_SENDER",
		"OTP_EXPIRY":         "", // no setting resembles it, and no other program has such a name
		"SMS_SENDER":         "",
		"JWT_ALGORITHM":      "",
	} {
		got := Misspelt(nil, []string{name}, sms.Settings())
		if len(got) != 1 || got[0].Near != want || got[0].Place != Environment {
			t.Errorf("Misspelt(%q) = %+v; want one, near %q", name, got, want)
		}
	}
}

// TestForeignNames checks that no name of other programs is taken for a misspelt setting.
func TestForeignNames(t *testing.T) {
	const names = `
		PATH HOME HOSTNAME PWD OLDPWD SHLVL USER LOGNAME SHELL TERM LANG LC_ALL TZ MAIL EDITOR PAGER DISPLAY _ TMPDIR
		SSH_AUTH_SOCK XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS LS_COLORS NODE_ENV RACK_ENV NODE_VERSION JAVA_HOME
		ANDROID_HOME ANDROID_SDK_ROOT GOPATH GOFLAGS GOMAXPROCS GOMEMLIMIT GODEBUG PYTHONPATH VIRTUAL_ENV CI
		HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE SSL_CERT_DIR
		HTTP_HOST HTTP_PORT HTTP_USER_AGENT HTTPS HTTPS_PORT PORT HOST
		OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT OTEL_TRACES_SAMPLER
		AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID GOOGLE_APPLICATION_CREDENTIALS
		PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGREQUIREAUTH PGCHANNELBINDING PGSERVICE
		PGSERVICEFILE PGOPTIONS PGAPPNAME PGSSLMODE PGREQUIRESSL PGSSLCOMPRESSION PGSSLCERT PGSSLKEY PGSSLCERTMODE
		PGSSLROOTCERT PGSSLCRL PGSSLCRLDIR PGSSLSNI PGREQUIREPEER PGSSLMINPROTOCOLVERSION PGSSLNEGOTIATION
		PGGSSENCMODE PGKRBSRVNAME PGGSSLIB PGCONNECT_TIMEOUT PGCLIENTENCODING PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS
		PGDATESTYLE PGTZ PGGEQO PGSYSCONFDIR PGLOCALEDIR PGDATA PGBOUNCER_PORT DATABASE DATABASE_READ_URL
		REDIS_CACHE_URL APP_DISPLAY_NAME POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB
		COMPOSE_PROJECT_NAME DOCKER_HOST PUBLISH PUBLISH_INTERNAL GF_AUTH_ANONYMOUS_ENABLED
		KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT_443_TCP_ADDR
		REDIS_SERVICE_HOST REDIS_SERVICE_PORT REDIS_SERVICE_PORT_REDIS REDIS_PORT REDIS_PORT_6379_TCP
		REDIS_PORT_6379_TCP_ADDR REDIS_PORT_6379_TCP_PORT REDIS_PORT_6379_TCP_PROTO REDIS_MASTER_SERVICE_HOST
		REDIS_MASTER_PORT_6379_TCP REDIS_HOST REDIS_PASSWORD REDIS_DB REDIS_SSL REDIS_TLS REDIS_USER REDIS_MASTER_NAME
		OTP_SERVICE_HOST OTP_SERVICE_PORT OTP_SERVICE_PORT_HTTP OTP_PORT OTP_PORT_1628_TCP OTP_PORT_1628_TCP_ADDR
		SMS_GATEWAY_SERVICE_HOST SMS_GATEWAY_PORT_80_TCP JWT_SERVICE_HOST DEKAMOND_OTP_PORT
		POD_NAME POD_NAMESPACE POD_IP NODE_NAME APP_HOME APP_DIR APP_ROOT APP_PORT APP_URL APP_KEY APP_DEBUG APP_VERSION
		APP_NAMESPACE API_ENV API_NAME DATABASE_HOST DATABASE_USER DATABASE_PASSWORD DATABASE_NAME DATABASE_SSL DB_URL
		TEST_DATABASE_URL DATABASE_URL_1 REDIS_URL_2 SMTP_HOST SMTP_PORT SMTP_USER SMTP_PASSWORD LOG_FILE LOG_DIR
		DEBUG VERBOSE NAME VERSION SECRET TOKEN URL INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID LISTEN_FDS
		TWILIO_API_KEY SNS_TOPIC_ARN WHATSAPP_GROUP ADMIN_EMAIL PUBLIC_DIR DEFAULT_LOCALE TOKEN_FILE container`
	for _, m := range Misspelt(nil, strings.Fields(names), sms.Settings()) {
		t.Errorf("%s is taken for a misspelt %s", m.Name, m.Near)
	}
	if got := Misspelt(Names(sms.Settings()), Names(sms.Settings()), sms.Settings()); len(got) > 0 {
		t.Errorf("Misspelt of the settings themselves: %v; want none", got)
	}
}

// TestMisspelt checks that every unknown name of .env counts, that each name is reported once, and that nothing that
// could be a value is shown.
func TestMisspelt(t *testing.T) {
	file := []string{
		"HTTP_ADDR", "OTP_LEN", "REDIS_HOST", "HTTP_PROXY", "OTEL_TRACES_SAMPLER", "GOMAXPROCS", "PGHOST",
		"q83XhuNter2aGVsbG8gd29ybGQ", // the second line of a secret in Base64
	}
	environment := []string{"OTP_LEN", "REDIS_HOST", "OTP_SECRTE hunter2", "OTP\x1b[31m", "PATH"}
	want := []Misspelling{
		{`"q83…"`, File, ""},
		{"OTP_LEN", File, "OTP_LENGTH"},
		{"REDIS_HOST", File, ""},
		{`"OTP_SECRTE…"`, Environment, "OTP_SECRET"},
	}
	if got := Misspelt(file, environment, sms.Settings()); !slices.Equal(got, want) {
		t.Errorf("Misspelt = %+v; want %+v", got, want)
	}
	if got := Misspelt(nil, nil, sms.Settings()); len(got) != 0 {
		t.Errorf("Misspelt without names = %v; want none", got)
	}
}
