package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"regexp"
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
)

var now = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

func random() string {
	b := make([]byte, 48)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// sound returns the settings of a deployment without findings.
func sound() map[string]string {
	return map[string]string{
		"APP_ENV":            "production",
		"DATABASE_URL":       "postgres://otp:hunter2@db/otp",
		"REDIS_URL":          "redis://redis",
		"OTP_SECRET":         random(),
		"JWT_SECRET":         random(),
		"SMS_REGIONS":        "IR,AE",
		"SMS_PROVIDERS":      "webhook,twilio",
		"SMS_WEBHOOK_URL":    "https://sms.example.com/send",
		"SMS_WEBHOOK_SECRET": "whsec_" + random(),
		"TWILIO_ACCOUNT_SID": "AC00112233445566778899aabbccddeeff",
		"TWILIO_AUTH_TOKEN":  "00112233445566778899aabbccddeeff",
		"TWILIO_FROM":        "+15005550006",
		"ADMIN_API_KEY":      random(),
		"TRUSTED_PROXIES":    "172.16.0.0/12",
		"CORS_ORIGINS":       "https://app.example.com",
		"PUBLIC_URL":         "https://otp.example.com",
	}
}

// load returns the sound settings with changes, each NAME=value.
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

// bad returns the findings that are not ok, as "mark about".
func bad(found []Finding) (lines []string) {
	for _, f := range found {
		if f.Mark != OK {
			lines = append(lines, string(f.Mark)+" "+f.About)
		}
	}
	return lines
}

// alone checks that want is how the only finding that is not ok begins, or that there is none if want is empty.
func alone(t *testing.T, name string, found []Finding, want string) {
	t.Helper()
	var got []string
	for _, f := range found {
		if strings.Contains(f.Text, "hunter2") {
			t.Errorf("%s: %s; want no text of the server", name, f.Text)
		}
		if f.Mark != OK {
			got = append(got, string(f.Mark)+" "+f.About+" "+f.Text)
		}
	}
	line := strings.Join(got, "\n")
	if !strings.HasPrefix(line, want) || len(got) > 1 || (want == "") != (line == "") {
		t.Errorf("%s: %s; want %s alone", name, line, want)
	}
}

func TestClocks(t *testing.T) {
	for skew, want := range map[time.Duration]Mark{
		0:                        OK,
		1900 * time.Millisecond:  OK,
		-2100 * time.Millisecond: Weak,
		59 * time.Second:         Weak,
		-61 * time.Second:        Wrong,
	} {
		found := examineClocks(clock{"Redis", skew, true}, clock{"the database", 0, false})
		if len(found) != 1 || found[0].Mark != want {
			t.Errorf("%s off: %v; want %s, and nothing about a clock that was not asked", skew, found, want)
		}
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
		{
			fmt.Errorf("%w: hunter2", probe.Refusal{Words: "refuses user or password", Setting: "PGUSER"}),
			"refuses user or password",
		},
		{fmt.Errorf("hunter2: %w", state("53100")), "has a full disk"},
		{state("XX000"), "answers with SQLSTATE XX000"},
		{state("hunter2"), "does not answer as it should"},
		{
			&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			"has a certificate of an authority that is not known here",
		},
		{
			&tls.CertificateVerificationError{
				Err: x509.HostnameError{Certificate: new(x509.Certificate), Host: "hunter2"},
			},
			"has a certificate for another name",
		},
		{
			x509.CertificateInvalidError{Reason: x509.Expired, Detail: "hunter2"},
			"has a certificate that is not valid now",
		},
		{&tls.CertificateVerificationError{Err: errors.New("hunter2")}, "has a certificate that is not valid"},
		{tls.RecordHeaderError{Msg: "hunter2"}, "does not speak TLS there"},
		{
			&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
			"refuses the connection: nothing listens there",
		},
		{
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hunter2"}},
			"has a name that cannot be resolved",
		},
		{context.DeadlineExceeded, "does not answer in time"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "does not answer in time"},
		{io.ErrUnexpectedEOF, "hangs up"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "cannot be opened by this user"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "is on a file system that accepts no writes"},
		{errors.New("hunter2"), "does not answer as it should"},
	} {
		if got := plain(tc.err); got != tc.want {
			t.Errorf("plain(%v) = %q; want %q", tc.err, got, tc.want)
		}
	}
}

var secretNames = regexp.MustCompile(`(SECRET|TOKEN|KEY)$|^(DATABASE_URL|SMS_WEBHOOK_URL)$`)

// TestExamine checks the form of the report, that everything is asked at the same time, and that the report contains no
// secret.
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
		"ok     APP_ENV             is production\n",
		"\n\nok     redis               , 0.0 ms\n",
		"wrong  twilio              does not answer as it should\n",
		"ok     webhook             takes the credentials\n",
		"ok     clock               agrees with that of Redis\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, b.String())
		}
	}
	got, want := r.Count(Wrong), strings.Count("\n"+b.String(), "\nwrong ")
	end := fmt.Sprintf("\n%d wrong, %d weak\n", got, r.Count(Weak))
	if got != want || !strings.HasSuffix(b.String(), end) {
		t.Errorf("%d wrong, and the report has %d such lines; want as many, and the end %q:\n%s",
			got, want, end, b.String())
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if secretNames.MatchString(name) && strings.Contains(b.String(), env[name]) {
			t.Errorf("the report has the value of %s:\n%s", name, b.String())
		}
	}
}
