package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/redisstore"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/sqlitestore"
	"dekamond-otp/internal/token"
)

var now = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

func random() string {
	b := make([]byte, 48)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// sound are the settings of a deployment in which there is nothing to find.
func sound() map[string]string {
	return map[string]string{
		"APP_ENV": "production", "DATABASE_URL": "postgres://otp:hunter2@db/otp", "REDIS_URL": "redis://redis", "OTP_SECRET": random(), "JWT_SECRET": random(),
		"SMS_REGIONS": "IR,AE", "SMS_PROVIDERS": "webhook,twilio", "SMS_WEBHOOK_URL": "https://sms.example.com/send", "SMS_WEBHOOK_SECRET": "whsec_" + random(),
		"TWILIO_ACCOUNT_SID": "AC00112233445566778899aabbccddeeff", "TWILIO_AUTH_TOKEN": "00112233445566778899aabbccddeeff", "TWILIO_FROM": "+15005550006",
		"ADMIN_API_KEY": random(), "TRUSTED_PROXIES": "172.16.0.0/12", "CORS_ORIGINS": "https://app.example.com", "PUBLIC_URL": "https://otp.example.com",
	}
}

// load changes the sound settings by NAME=value.
func load(t *testing.T, changes ...string) *config.Config {
	t.Helper()
	env := sound()
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		env[name] = value
	}
	c, err := config.Load(func(name string) string { return env[name] }, sms.Settings())
	if err != nil {
		t.Fatalf("%v: %v", changes, err)
	}
	return c
}

// bad are the findings that are not ok, as "mark about".
func bad(found []Finding) (lines []string) {
	for _, f := range found {
		if f.Mark != OK {
			lines = append(lines, string(f.Mark)+" "+f.About)
		}
	}
	return lines
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		changes, want string
	}{
		{"", ""},
		{"APP_ENV=development", "weak APP_ENV"},
		{"APP_ENV=development SMS_PROVIDERS=console HTTP_ADDR=:1628", "weak APP_ENV, weak HTTP_ADDR"},
		{"APP_ENV=development SMS_PROVIDERS=console HTTP_ADDR=127.0.0.1:1628", "weak APP_ENV"},
		{"INTERNAL_ADDR=:1629", "weak INTERNAL_ADDR"},
		{"INTERNAL_ADDR=0.0.0.0:1629", "weak INTERNAL_ADDR"},
		{"INTERNAL_ADDR=[::1]:1629", ""},
		{"INTERNAL_ADDR=localhost:1629", ""},
		{"INTERNAL_ADDR=off", "note INTERNAL_ADDR"},
		{"TRUSTED_PROXIES=", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES= HTTP_ADDR=127.0.0.1:80", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=10.0.0.1,0.0.0.0/0", "wrong TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=::/0", "wrong TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=0.0.0.0/1,128.0.0.0/1", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=2000::/3", "weak TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES=10.0.0.0/8,fd00::/16", ""},
		{"OTP_LIMIT_PHONE=off", "weak OTP_LIMIT_PHONE"},
		{"OTP_LIMIT_IP=off OTP_RESEND_AFTER=off", "weak OTP_LIMIT_IP, weak OTP_RESEND_AFTER"},
		{"OTP_MAX_ATTEMPTS=10", "weak OTP_MAX_ATTEMPTS"},
		{"OTP_MAX_ATTEMPTS=10 OTP_LENGTH=8", ""},
		{"OTP_TEST_NUMBERS=+15550001111:123456", "weak OTP_TEST_NUMBERS"},
		{"ACCESS_TTL=24h", "weak ACCESS_TTL"},
		{"SMS_REGIONS=*", "weak SMS_REGIONS"},
		{"SMS_REGIONS=* APP_ENV=development SMS_PROVIDERS=console", "weak APP_ENV, note SMS_REGIONS"},
		{"DEFAULT_REGION=DE", "weak DEFAULT_REGION"},
		{"DEFAULT_REGION=IR", ""},
		{"SMS_ROUTES=AE=smsir;IR=smsir SMSIR_API_KEY=k SMSIR_LINE=1", "wrong SMS_ROUTES"},
		{"SMS_ROUTES=AE=smsir,twilio;IR=smsir SMSIR_API_KEY=k SMSIR_LINE=1", ""},
		{"SMS_ROUTES=DE=twilio;*=webhook", "note SMS_ROUTES"},
		{"SMS_PROVIDERS=webhook", "note SMS_PROVIDERS"},
		{"SMS_PROVIDERS=webhook,console", "weak SMS_PROVIDERS"},
		{"CORS_ORIGINS=*", "weak CORS_ORIGINS"},
		{"CORS_ORIGINS=http://app.example.com", "weak CORS_ORIGINS"},
		{"CORS_ORIGINS=http://localhost:3000", ""},
		{"PUBLIC_URL=http://otp.example.com", "weak PUBLIC_URL"},
		{"SMS_WEBHOOK_URL=http://sms.example.com", "weak SMS_WEBHOOK_URL"},
		{"SMS_WEBHOOK_URL=http://sms:8080", ""},
		{"SMS_WEBHOOK_URL=http://10.0.0.1", ""},
		{"TWILIO_BASE_URL=http://198.51.100.1", "weak TWILIO_BASE_URL"},
		{"LOG_LEVEL=debug", "note LOG_LEVEL"},
	} {
		c := load(t, strings.Fields(tc.changes)...)
		if got := strings.Join(bad(examineSettings(c, nil)), ", "); got != tc.want {
			t.Errorf("with %q: %s; want %s", tc.changes, got, tc.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	same := random()
	for _, tc := range []struct {
		changes []string
		want    string
	}{
		{nil, ""},
		{[]string{"OTP_SECRET=an-otp-secret-of-more-than-32-bytes"}, "weak OTP_SECRET"},
		{[]string{"ADMIN_API_KEY=" + random() + ",an-admin-key-of-more-than-32-bytes"}, "weak ADMIN_API_KEY"},
		{[]string{"SMS_WEBHOOK_SECRET=" + same, "OTP_SECRET=" + same}, "weak SMS_WEBHOOK_SECRET"},
		{[]string{"SMS_WEBHOOK_SECRET=hello"}, "weak SMS_WEBHOOK_SECRET"},
		{[]string{"VONAGE_SIGNATURE_SECRET=short"}, ""},
		{[]string{"ADMIN_API_KEY="}, "note ADMIN_API_KEY"},
		{[]string{"APP_ENV=development", "OTP_SECRET=", "JWT_SECRET="}, "note OTP_SECRET, note JWT_SECRET"},
	} {
		if got := strings.Join(bad(examineSecrets(load(t, tc.changes...))), ", "); got != tc.want {
			t.Errorf("with %v: %s; want %s", tc.changes, got, tc.want)
		}
	}
}

func TestRedis(t *testing.T) {
	production, cluster := load(t), load(t, "REDIS_MODE=cluster")
	healthy := func() (redisstore.Facts, *redisstore.Node) {
		n := redisstore.Node{Product: "redis", Version: "8.0.1", Policy: "noeviction", AppendOnly: true}
		r := redisstore.Facts{Latency: 400 * time.Microsecond, Nodes: []redisstore.Node{n}}
		return r, &r.Nodes[0]
	}
	for _, tc := range []struct {
		name   string
		c      *config.Config
		change func(r *redisstore.Facts, n *redisstore.Node)
		want   string // the line that is not ok
	}{
		{"healthy", production, func(*redisstore.Facts, *redisstore.Node) {}, ""},
		{"eviction", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "allkeys-lru" }, "wrong redis maxmemory-policy is allkeys-lru: limits and codes may vanish; set it to noeviction"},
		{"a policy of a stranger's", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "hunter2" }, "wrong redis maxmemory-policy is not noeviction"},
		{"no INFO", production, func(_ *redisstore.Facts, n *redisstore.Node) { *n = redisstore.Node{Silent: true} }, "note redis does not let this user ask about it"},
		{"no policy", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "" }, "note redis does not tell its maxmemory-policy"},
		{"old", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "6.0.16" }, "wrong redis is older than 6.2"},
		{"old enough", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "6.2.0" }, ""},
		{"a version of a stranger's", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "hunter2" }, ""},
		{"nothing on disk", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly, n.Snapshots = false, new(false) }, "weak redis keeps nothing on disk"},
		{"snapshots", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly, n.Snapshots = false, new(true) }, "note redis makes snapshots"},
		{"no CONFIG", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly = false }, "note redis has appendonly off, and whether it makes snapshots could not be read"},
		{"disk", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Unsaved = true }, "wrong redis could not write to its disk"},
		{"full", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Used, n.Memory = 95, 100 }, "weak redis has 95% of its maxmemory in use"},
		{"replica", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Replica = true }, "wrong redis is a replica"},
		{"loading", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Loading = true }, "wrong redis is reading its data"},
		{"a cluster", production, func(_ *redisstore.Facts, n *redisstore.Node) { n.Cluster = true }, "wrong redis is a cluster; set REDIS_MODE=cluster"},
		{"no cluster", cluster, func(*redisstore.Facts, *redisstore.Node) {}, "wrong redis is no cluster"},
		{"a cluster with holes", cluster, func(_ *redisstore.Facts, n *redisstore.Node) { n.Cluster, n.Uncovered = true, true }, "wrong redis is a cluster that does not serve all slots"},
		{"two of a kind", cluster, func(r *redisstore.Facts, n *redisstore.Node) {
			n.Cluster, n.Policy = true, "volatile-ttl"
			r.Nodes = append(r.Nodes, *n)
		}, "wrong redis maxmemory-policy is volatile-ttl"},
		{"far", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.Latency = 20 * time.Millisecond }, "weak redis is 20.0 ms away"},
		{"public", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.Password = true, true }, "wrong redis is reached over a public address without TLS"},
		{"public with TLS", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.Password, r.TLS = true, true, true }, ""},
		{"public and open", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.TLS = true, true }, "wrong redis has a public address and asks for no password"},
		{"any certificate", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.TLS, r.Unverified = true, true }, "weak redis may show any certificate"},
		{"certificate", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.Certificate = now.Add(5 * 24 * time.Hour) }, "weak redis has a certificate that expires on 2026-11-29"},
		{"no scripts", production, func(r *redisstore.Facts, _ *redisstore.Node) { r.NoScripts = probe.Error("lets this user not") }, "wrong redis runs no scripts, by which everything is decided: it lets this user not"},
	} {
		r, n := healthy()
		tc.change(&r, n)
		var got []string
		for _, f := range examineRedis(r, nil, tc.c, now) {
			if strings.Contains(f.Text, "hunter2") {
				t.Errorf("%s: %s; want no word of the server's", tc.name, f.Text)
			}
			if f.Mark != OK {
				got = append(got, string(f.Mark)+" redis "+f.Text)
			}
		}
		if line := strings.Join(got, "\n"); !strings.HasPrefix(line, tc.want) || len(got) > 1 || (tc.want == "") != (line == "") {
			t.Errorf("%s: %s; want %s alone", tc.name, line, tc.want)
		}
	}
	r, _ := healthy()
	if got, want := examineRedis(r, nil, production, now)[0], (Finding{OK, "redis", "redis 8.0.1, noeviction, appendonly, 0.4 ms"}); got != want {
		t.Errorf("the first line is %v; want %v", got, want)
	}
	if got := bad(examineRedis(r, io.EOF, production, now)); !slices.Equal(got, []string{"wrong redis"}) {
		t.Errorf("without an answer: %v; want it wrong", got)
	}
	if got := bad(examineEmbeddedRedis(production)); !slices.Equal(got, []string{"weak redis"}) {
		t.Errorf("embedded in production: %v; want it weak", got)
	}
}

func TestDatabase(t *testing.T) {
	production, byHand := load(t), load(t, "MIGRATE_ON_START=false")
	for _, tc := range []struct {
		name   string
		c      *config.Config
		change func(p *pgstore.Facts)
		want   string
	}{
		{"healthy", production, func(*pgstore.Facts) {}, ""},
		{"old", production, func(p *pgstore.Facts) { p.Version = 140020 }, "weak database Postgres 14 has had no fixes since November 2026; upgrade it"},
		{"replica", production, func(p *pgstore.Facts) { p.Replica = true }, "wrong database takes no writes"},
		{"read-only", production, func(p *pgstore.Facts) { p.ReadOnly = true }, "wrong database takes no writes"},
		{"no room", production, func(p *pgstore.Facts) { p.Connections = 10 }, "wrong database has 10 connections, fewer than the 16 of one copy"},
		{"nearly full", production, func(p *pgstore.Facts) { p.Used = 95 }, "weak database has 95 of its 97 connections in use"},
		{"pending", production, func(p *pgstore.Facts) { p.Pending = []string{"1", "2"} }, "note database lacks 2 migration(s), which the next start applies"},
		{"pending by hand", byHand, func(p *pgstore.Facts) { p.Pending = []string{"1"} }, "wrong database lacks 1 migration(s), and MIGRATE_ON_START is off; run: dekamond-otp migrate"},
		{"may not migrate", production, func(p *pgstore.Facts) { p.Pending, p.MayMigrate = []string{"1"}, false }, "wrong database lacks 1 migration(s), and its user"},
		{"far", production, func(p *pgstore.Facts) { p.Latency = 42 * time.Millisecond }, "weak database is 42.0 ms away"},
		{"public", production, func(p *pgstore.Facts) { p.Public, p.Unverified = true, true }, "wrong database is reached over a public address without TLS"},
		{"public, unverified", production, func(p *pgstore.Facts) { p.Public, p.TLS, p.Unverified = true, true, true }, "weak database may show any certificate"},
		{"public, verified", production, func(p *pgstore.Facts) { p.Public, p.TLS = true, true }, ""},
		{"private, unverified", production, func(p *pgstore.Facts) { p.TLS, p.Unverified = true, true }, ""},
		{"certificate", production, func(p *pgstore.Facts) { p.Certificate = now.Add(-time.Hour) }, "weak database has a certificate that expired on 2026-11-24"},
		{"password", production, func(p *pgstore.Facts) { p.KnownPassword = true }, "weak database has a password that attackers try first"},
		{"superuser", production, func(p *pgstore.Facts) { p.Superuser = true }, "weak database lets the service do anything"},
		{"fsync", production, func(p *pgstore.Facts) { p.Unsafe = true }, "weak database has fsync or synchronous_commit off"},
	} {
		p := pgstore.Facts{Version: 170006, Latency: time.Millisecond, MayMigrate: true, Pool: 16, Connections: 97, Used: 5}
		tc.change(&p)
		var got []string
		for _, f := range examinePostgres(p, nil, tc.c, now) {
			if f.Mark != OK {
				got = append(got, string(f.Mark)+" database "+f.Text)
			}
		}
		if line := strings.Join(got, "\n"); !strings.HasPrefix(line, tc.want) || len(got) > 1 || (tc.want == "") != (line == "") {
			t.Errorf("%s: %s; want %s alone", tc.name, line, tc.want)
		}
	}
	if got := bad(examinePostgres(pgstore.Facts{}, io.EOF, production, now)); !slices.Equal(got, []string{"wrong database"}) {
		t.Errorf("without an answer: %v; want it wrong", got)
	}
	development := load(t, "APP_ENV=development")
	for _, tc := range []struct {
		file sqlitestore.Facts
		err  error
		c    *config.Config
		want string
	}{
		{sqlitestore.Facts{}, nil, development, ""},
		{sqlitestore.Facts{}, nil, production, "weak database"},
		{sqlitestore.Facts{Missing: true}, nil, development, "note database"},
		{sqlitestore.Facts{WorldReadable: true}, nil, development, "weak database"},
		{sqlitestore.Facts{Pending: []string{"1"}}, nil, development, "note database"},
		{sqlitestore.Facts{}, os.ErrPermission, development, "wrong database"},
	} {
		if got := strings.Join(bad(examineSQLite(tc.file, tc.err, tc.c)), ", "); got != tc.want {
			t.Errorf("%+v, %v: %s; want %s", tc.file, tc.err, got, tc.want)
		}
	}
}

func TestClocks(t *testing.T) {
	for skew, want := range map[time.Duration]Mark{0: OK, 900 * time.Millisecond: OK, -1100 * time.Millisecond: Weak, 59 * time.Second: Weak, -61 * time.Second: Wrong} {
		found := examineClocks(clock{"Redis", skew, true}, clock{"the database", 0, false})
		if len(found) != 1 || found[0].Mark != want {
			t.Errorf("%s off: %v; want %s, and nothing of a clock that was not asked", skew, found, want)
		}
	}
}

// described returns a provider that was not opened.
func described(name string) provider {
	d, _ := sms.Describe(name)
	return provider{Description: d}
}

func TestProviders(t *testing.T) {
	c := load(t)
	for _, tc := range []struct {
		account sms.Account
		err     error
		want    string
	}{
		{sms.Account{}, nil, ""},
		{sms.Account{Unproved: true}, nil, ""},
		{sms.Account{Closed: true}, nil, "wrong twilio"},
		{sms.Account{TestOnly: true}, nil, "wrong twilio"},
		{sms.Account{Empty: true}, nil, "weak twilio"},
		{sms.Account{LowQuality: true}, nil, "weak twilio"},
		{sms.Account{Proxied: true}, nil, "note twilio"},
		{sms.Account{Unchecked: "may not ask"}, nil, "note twilio"},
		{sms.Account{Certificate: now.Add(time.Hour)}, nil, "weak twilio"},
		{sms.Account{}, syscall.ECONNREFUSED, "wrong twilio"},
	} {
		p := described("twilio")
		p.reports = true
		p.probe = func(context.Context) (sms.Account, error) { return tc.account, tc.err }
		if got := strings.Join(bad(p.examine(t.Context(), c, now)), ", "); got != tc.want {
			t.Errorf("%+v, %v: %s; want %s", tc.account, tc.err, got, tc.want)
		}
	}
	refusing := described("twilio")
	refusing.reports = true
	refusing.probe = func(context.Context) (sms.Account, error) {
		return sms.Account{}, fmt.Errorf("%w (answered 401)", sms.ErrCredentials)
	}
	want := findings{{Wrong, "twilio", "refuses the credentials (answered 401)"}}
	if got := refusing.examine(t.Context(), c, now); !slices.Equal(got, want) {
		t.Errorf("where it refuses: %v; want %v", got, want)
	}
	silent := described("twilio")
	if got := bad(silent.examine(t.Context(), c, now)); !slices.Equal(got, []string{"note twilio"}) {
		t.Errorf("without reports: %v; want a note", got)
	}
	faulty := described("sns")
	faulty.fault = io.EOF
	if got := bad(faulty.examine(t.Context(), c, now)); !slices.Equal(got, []string{"wrong sns"}) {
		t.Errorf("with a fault: %v; want it wrong", got)
	}
}

func TestShapes(t *testing.T) {
	good := []string{
		"TWILIO_FROM=Dekamond", "TWILIO_FROM=MG00112233445566778899aabbccddeeff", "TWILIO_FROM=12345", "VONAGE_FROM=447700900000", "VONAGE_FROM=Dekamond",
		"KAVENEGAR_API_KEY=" + hex.EncodeToString([]byte("a key of forty and more digits, 32 b")), "KAVENEGAR_SENDER=10004346", "VONAGE_API_KEY=abcd1234",
		"SNS_REGION=eu-central-1", "SNS_REGION=us-gov-west-1", "SNS_SENDER_ID=Dekamond", "WHATSAPP_PHONE_ID=106540352242922", "WHATSAPP_LANGUAGE=fa",
	}
	faulty := []string{
		"TWILIO_ACCOUNT_SID=SK00112233445566778899aabbccddeeff", "TWILIO_AUTH_TOKEN=hunter2", "TWILIO_FROM=+98 912", "TWILIO_FROM=A name that is too long", "VONAGE_FROM=+447700900000",
		"KAVENEGAR_API_KEY=hunter2", "KAVENEGAR_SENDER=mine", "VONAGE_API_KEY=hunter2", "SNS_REGION=Frankfurt", "SNS_SENDER_ID=x", "WHATSAPP_PHONE_ID=+989121234567", "WHATSAPP_LANGUAGE=english",
	}
	for _, change := range slices.Concat(good, faulty) {
		name, _, _ := strings.Cut(change, "=")
		provider, _, _ := strings.Cut(strings.ToLower(name), "_")
		p := described(provider)
		p.reports = true
		found := p.examine(t.Context(), load(t, change), now)
		if wrong := slices.Contains(faulty, change); wrong != slices.Equal(bad(found), []string{"weak " + name}) || !wrong && len(found) > 0 {
			t.Errorf("%s: %v; want it weak: %v", change, found, wrong)
		}
	}
}

func TestKeys(t *testing.T) {
	c := load(t, "JWT_SECRET=", "JWT_KEYS=/keys")
	key := token.Key{ID: "ErBDGhgde55BlAwRE", Algorithm: "EdDSA", Made: now.Add(-30 * 24 * time.Hour), Signs: true}
	for _, tc := range []struct {
		change func(k *token.Key)
		c      *config.Config
		want   string
	}{
		{func(*token.Key) {}, c, ""},
		{func(k *token.Key) { k.Made = now.Add(-401 * 24 * time.Hour) }, c, "weak JWT_KEYS"},
		{func(k *token.Key) { k.Made = now.Add(24 * time.Hour) }, c, "weak JWT_KEYS"},
		{func(k *token.Key) { k.WorldReadable = true }, c, "note JWT_KEYS"},
		{func(k *token.Key) { k.Signs = false }, c, "note JWT_KEYS"},
		{func(*token.Key) {}, load(t, "JWT_KEYS=/keys"), "note JWT_SECRET"},
	} {
		k := key
		tc.change(&k)
		if got := strings.Join(bad(examineKeys([]token.Key{k}, nil, tc.c, now)), ", "); got != tc.want {
			t.Errorf("%+v: %s; want %s", k, got, tc.want)
		}
	}
	if got, want := examineKeys(nil, errors.Join(errors.New("one"), errors.New("two")), c, now), (Finding{Wrong, "JWT_KEYS", "one; two"}); !slices.Equal(got, findings{want}) {
		t.Errorf("unreadable keys: %v; want %v", got, want)
	}
	if got := bad(examineTexts([]string{"fa login"}, nil)); !slices.Equal(got, []string{"weak texts"}) {
		t.Errorf("a text of two messages: %v; want it weak", got)
	}
	if got := bad(examineTexts(nil, io.EOF)); !slices.Equal(got, []string{"wrong SMS_TEXTS"}) {
		t.Errorf("a faulty text: %v; want it wrong", got)
	}
}

type state string

func (s state) Error() string    { return "hunter2" }
func (s state) SQLState() string { return string(s) }

func TestPlain(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{probe.Error("asks for a password"), "asks for a password"},
		{fmt.Errorf("hunter2: %w", state("28P01")), "refuses user or password"},
		{state("XX000"), "answers with SQLSTATE XX000"},
		{state("hunter2"), "does not answer as it should"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "has a certificate of an authority that is not known here"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: new(x509.Certificate), Host: "hunter2"}}, "has a certificate for another name"},
		{x509.CertificateInvalidError{Reason: x509.Expired, Detail: "hunter2"}, "has a certificate that is not valid now"},
		{&tls.CertificateVerificationError{Err: errors.New("hunter2")}, "has a certificate that is not valid"},
		{tls.RecordHeaderError{Msg: "hunter2"}, "does not speak TLS there"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "refuses the connection: nothing listens there"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hunter2"}}, "has a name that cannot be resolved"},
		{context.DeadlineExceeded, "does not answer in time"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "does not answer in time"},
		{io.ErrUnexpectedEOF, "hangs up"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "is not for this user to open"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "is where nothing can be written"},
		{errors.New("hunter2"), "does not answer as it should"},
	} {
		if got := plain(tc.err); got != tc.want {
			t.Errorf("plain(%v) = %q; want %q", tc.err, got, tc.want)
		}
	}
}

// TestExamine holds the form of the report, that everything is asked at the same time, and that no secret is in it.
func TestExamine(t *testing.T) {
	env := sound()
	c := load(t)
	asked := make(chan struct{}, 4)
	together := func(ctx context.Context) error {
		asked <- struct{}{}
		for len(asked) < cap(asked) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	webhook, twilio := described("webhook"), described("twilio")
	webhook.probe = func(ctx context.Context) (sms.Account, error) { return sms.Account{}, together(ctx) }
	twilio.probe = func(ctx context.Context) (sms.Account, error) {
		return sms.Account{}, errors.Join(errors.New(env["TWILIO_AUTH_TOKEN"]), together(ctx))
	}
	r := deployment{
		config:    c,
		redis:     func(ctx context.Context) (redisstore.Facts, error) { return redisstore.Facts{}, together(ctx) },
		postgres:  func(ctx context.Context) (pgstore.Facts, error) { return pgstore.Facts{}, together(ctx) },
		providers: []provider{webhook, twilio},
	}.examine(t.Context())
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ok     APP_ENV             is production\n", "\n\nok     redis               , 0.0 ms\n", "wrong  twilio              does not answer as it should\n",
		"ok     webhook             takes the credentials\n", "ok     clock               agrees with that of Redis\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, b.String())
		}
	}
	if got, want := r.Count(Wrong), strings.Count("\n"+b.String(), "\nwrong "); got != want || !strings.HasSuffix(b.String(), fmt.Sprintf("\n%d wrong, %d weak\n", got, r.Count(Weak))) {
		t.Errorf("%d wrong, and the report has %d lines of it:\n%s", got, want, b.String())
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		secret := strings.HasSuffix(name, "SECRET") || strings.HasSuffix(name, "TOKEN") || strings.HasSuffix(name, "KEY") || name == "DATABASE_URL" || name == "SMS_WEBHOOK_URL"
		if secret && strings.Contains(b.String(), env[name]) {
			t.Errorf("the report has the value of %s:\n%s", name, b.String())
		}
	}
}

// TestOpenProviders checks that every provider but the console is probed, and that a provider that cannot be opened does
// not keep the others from being examined.
func TestOpenProviders(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_PROFILE":                 "absent",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	c := load(t, "PUBLIC_URL=")
	c.SMSProviders = nil
	for _, d := range sms.Catalogue {
		c.SMSProviders = append(c.SMSProviders, d.Name)
	}
	for _, p := range openProviders(c) {
		faulty := p.Name == "sns"
		if (p.fault != nil) != faulty || (p.probe == nil) != (faulty || p.Name == "console") {
			t.Errorf("%s: fault %v, probed: %v", p.Name, p.fault, p.probe != nil)
		}
		can := slices.Contains([]string{"kavenegar", "twilio", "vonage"}, p.Name)
		if p.canReport() != can || p.reports {
			t.Errorf("%s reports: %v, can report: %v; want %v", p.Name, p.reports, p.canReport(), can)
		}
	}
}
