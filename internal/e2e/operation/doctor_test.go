package operation

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
)

const (
	goodOTPSecret = "7gJ2pQx0Vd8mWbT5sKfR1yLhZ4nCaEuG9oXiPq3="
	goodJWTSecret = "Zt6Kc1WqPz8RmX4vBn0LdYs7HfJgUa2EoT5iQx9="
)

// report checks that a report has lines. A space in a line stands for any number of spaces.
func report(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		pattern := `(?m)^` + strings.ReplaceAll(regexp.QuoteMeta(line), " ", " +")
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("the report lacks %q:\n%s", line, out)
		}
	}
}

func TestDoctorInDevelopment(t *testing.T) {
	dir := t.TempDir()
	status, out, log := servicetest.Run(t, dir, nil, "doctor")
	if status != 0 || log != "" {
		t.Errorf("doctor: %d, %s; want 0 and nothing", status, log)
	}
	report(t, out,
		"weak APP_ENV is development",
		"note SMS_REGIONS is *",
		"note OTP_SECRET is made at the first start",
		"ok redis is in the process",
		"note database the file data/otp.db is made at the first start",
		"note service does not run",
		"0 wrong, 1 weak",
	)
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("doctor made %v, %v; want nothing", made, err)
	}
	s := servicetest.Launch(t, dir)
	s.Await()
	address := strings.TrimPrefix(s.URL, "http://")
	if status, out, _ = servicetest.Run(t, dir, []string{"HTTP_ADDR=" + address}, "doctor"); status != 0 {
		t.Errorf("doctor beside the service: %d; want 0", status)
	}
	report(t, out, "ok service runs on "+address, "ok database the file data/otp.db")
}

// evicting starts a server that looks like a Redis that evicts keys, and returns its URL.
func evicting(t *testing.T) (url string) {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for name, command := range map[string]server.Cmd{
		"HELLO": func(c *server.Peer, _ string, _ []string) { c.WriteError("ERR unknown command") },
		"AUTH":  func(c *server.Peer, _ string, _ []string) { c.WriteOK() },
		"PING":  func(c *server.Peer, _ string, _ []string) { c.WriteInline("PONG") },
		"EVAL":  func(c *server.Peer, _ string, _ []string) { c.WriteInt(1) },
		"TIME":  func(c *server.Peer, _ string, _ []string) { c.WriteStrings([]string{"1000000000", "0"}) },
		"INFO": func(c *server.Peer, _ string, _ []string) {
			c.WriteBulk("redis_version:6.0.16\r\nmaxmemory_policy:allkeys-lru\r\n")
		},
	} {
		if err := s.Register(name, command); err != nil {
			t.Fatal(err)
		}
	}
	return "redis://:hunter2@" + s.Addr().String()
}

// refusing starts a server that refuses the credentials of Twilio.
func refusing(t *testing.T) (url string) {
	t.Helper()
	twilio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("Twilio was called with %s %s; want nothing sent", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"code":20003,"message":"hunter2"}`))
	}))
	t.Cleanup(twilio.Close)
	return twilio.URL
}

// weakProduction returns settings with a fault of every kind that doctor finds.
func weakProduction(t *testing.T, database string, webhook *servicetest.Webhook) []string {
	t.Helper()
	return []string{
		"APP_ENV=production",
		"REDIS_URL=" + evicting(t),
		"DATABASE_URL=" + database,
		"MIGRATE_ON_START=false",
		"OTP_SECRET=" + servicetest.OTPSecret,
		"JWT_KEYS=keys",
		"ADMIN_API_KEY=" + servicetest.AdminKey,
		"INTERNAL_ADDR=:1629",
		"SMS_REGIONS=*",
		"SMS_PROVIDERS=twilio,webhook",
		"SMS_WEBHOOK_URL=" + webhook.URL,
		"SMS_WEBHOOK_SECRET=" + servicetest.WebhookSecret,
		"TWILIO_ACCOUNT_SID=AC00112233445566778899aabbccddeeff",
		"TWILIO_AUTH_TOKEN=hunter2",
		"TWILIO_FROM=Dekamond",
		"TWILIO_BASE_URL=" + refusing(t),
		"OTP_LIMIT_IP=off",
		"CORS_ORIGINS=*",
		"TRUSTED_PROXIES=0.0.0.0/0",
	}
}

func TestDoctorInProduction(t *testing.T) {
	database := pgtest.NewDatabase(t)
	webhook := servicetest.NewWebhook(t)
	dir := t.TempDir()
	env := weakProduction(t, database, webhook)
	_, id := servicetest.NewKey(t, filepath.Join(dir, "keys"), "ES256")
	status, out, log := servicetest.Run(t, dir, env, "doctor")
	if status != 1 || log != "" {
		t.Errorf("doctor: %d, %s; want 1, and the counts at the end of the report alone", status, log)
	}
	report(t, out,
		"ok APP_ENV is production",
		"weak INTERNAL_ADDR takes connections from other machines",
		"wrong TRUSTED_PROXIES has a /0",
		"weak OTP_LIMIT_IP is off",
		"note OTP_LIMIT_TRIES_IP counts all people as one address if",
		"ok odds strangers have 1 chance in 21,487 a day",
		"weak SMS_REGIONS is *",
		"weak CORS_ORIGINS is *",
		"weak OTP_SECRET is made of words",
		"weak ADMIN_API_KEY is made of words",
		"weak SMS_WEBHOOK_SECRET is an example",
		"ok JWT_KEYS ES256",
		"wrong redis is older than 6.2",
		"wrong redis maxmemory-policy is allkeys-lru",
		"note redis has appendonly off",
		"ok database Postgres",
		"wrong database lacks",
		"wrong clock is",
		"ok clock agrees with that of the database",
		"weak TWILIO_AUTH_TOKEN does not look like",
		"wrong twilio refuses the credentials (answered 401, code 20003)",
		"ok webhook can be reached",
		"6 wrong",
	)
	if !strings.Contains(out, "kid "+id[:8]) || !strings.Contains(out, "run: dekamond-otp migrate") {
		t.Errorf("the key or the command is not named:\n%s", out)
	}
	for _, secret := range []string{"hunter2", servicetest.OTPSecret, servicetest.AdminKey, servicetest.WebhookSecret} {
		if strings.Contains(out+log, secret) {
			t.Errorf("the report has %s:\n%s", secret, out)
		}
	}
	if n := len(webhook.Messages()); n > 0 {
		t.Errorf("the webhook was called %d times", n)
	}
	unmigrated := []string{"DATABASE_URL=" + database, "MIGRATE_ON_START=false"}
	if status, out, _ := servicetest.Run(t, dir, unmigrated, "doctor"); status != 1 {
		t.Errorf("doctor after doctor: %d, %s; want the migrations still pending", status, out)
	}
}

func TestDoctorOfSoundProduction(t *testing.T) {
	webhook := servicetest.NewWebhook(t)
	env := append(servicetest.RealStores(t),
		"APP_ENV=production",
		"OTP_SECRET="+goodOTPSecret,
		"JWT_SECRET="+goodJWTSecret,
		"SMS_REGIONS=IR",
		"TRUSTED_PROXIES=10.0.0.0/8",
		"SMS_PROVIDERS=webhook",
		"SMS_WEBHOOK_URL="+webhook.URL,
		"SMS_WEBHOOK_SECRET=whsec_"+goodOTPSecret,
	)
	status, out, log := servicetest.Run(t, t.TempDir(), env, "doctor")
	if status != 0 || log != "" {
		t.Errorf("doctor: %d, %s, %s; want 0", status, out, log)
	}
	report(t, out,
		"ok OTP_SECRET",
		"ok JWT_SECRET",
		"ok redis redis",
		"weak redis keeps nothing on disk",
		"note database lacks",
		"ok clock agrees with that of Redis",
	)
}

// TestDoctorInTime checks that doctor asks all servers at once: six that do not answer take one timeout of 5 s, not
// six.
func TestDoctorInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mute := l.Addr().String()
	began := time.Now()
	status, out, _ := servicetest.Run(t, t.TempDir(), []string{
		"REDIS_URL=redis://" + mute,
		"DATABASE_URL=postgres://otp@" + mute + "/otp",
		"SMS_PROVIDERS=twilio,webhook,smtp",
		"SMS_WEBHOOK_URL=https://" + mute,
		"SMTP_ADDR=" + mute,
		"TWILIO_ACCOUNT_SID=AC0",
		"TWILIO_AUTH_TOKEN=x",
		"TWILIO_FROM=Dekamond",
		"TWILIO_BASE_URL=http://" + mute,
		"HTTP_ADDR=" + mute,
	}, "doctor")
	if took := time.Since(began); status != 1 || took > time.Minute {
		t.Errorf("doctor: %d after %v; want 1 after little more than five seconds", status, took)
	}
	report(t, out,
		"wrong redis does not answer in time",
		"wrong database does not answer in time",
		"wrong twilio does not answer in time",
		"wrong webhook does not answer in time",
		"wrong smtp does not answer in time",
		"note service does not run",
	)
}

// TestDoctorNamesSetting checks that the report names the setting that a store refuses or that leads nowhere. The URLs
// leave the mode of TLS to its default, with which a connection is tried twice.
func TestDoctorNamesSetting(t *testing.T) {
	database := pgtest.NewDatabase(t)
	pgtest.NewRole(t, database, "test_doctor", "a/b+c=d@e")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ settings, want string }{
		{"DATABASE_URL=postgres://test_doctor:x@" + u.Host + u.Path, "refuses user or password; see DATABASE_URL"},
		{
			"PGHOST=" + u.Hostname() + " PGPORT=" + u.Port() + " PGUSER=test_doctor PGPASSWORD=x",
			"refuses user or password; see PGPASSWORD",
		},
		{
			"DATABASE_URL=postgres://test_doctor@" + u.Host + " PGPASSWORD=a/b+c=d@e PGDATABASE=none",
			"has no such database; see PGDATABASE",
		},
		{
			"DATABASE_URL=postgres://test_doctor@" + u.Host + u.Path + "?sslmode=require",
			"does not accept TLS, which sslmode requires; see DATABASE_URL",
		},
		{"PGHOST=127.0.0.1 PGPORT=1", "refuses the connection: nothing listens there; see PGHOST"},
	} {
		env := append(strings.Fields(tc.settings), "REDIS_URL=redis://127.0.0.1:1")
		status, out, _ := servicetest.Run(t, t.TempDir(), env, "doctor")
		if status != 1 {
			t.Errorf("%s: %d; want 1", tc.settings, status)
		}
		report(t, out, "wrong database "+tc.want+"\n",
			"wrong redis refuses the connection: nothing listens there; see REDIS_URL\n", "2 wrong")
	}
}

func TestDoctorOfFaultySettings(t *testing.T) {
	status, out, log := servicetest.Run(t, t.TempDir(), []string{"OTP_TTL=1h", "OTP_SECRET=hunter2"}, "doctor")
	if status != 2 || out != "" {
		t.Errorf("doctor: %d, %s; want 2 and no report", status, out)
	}
	for _, fault := range []string{"OTP_TTL: ", "OTP_SECRET: "} {
		if !strings.Contains(log, fault) || strings.Contains(log, "hunter2") {
			t.Errorf("doctor: %s; want %s in it, and no value", log, fault)
		}
	}
}
