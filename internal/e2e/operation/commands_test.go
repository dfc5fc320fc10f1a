package operation

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestFaultySettings(t *testing.T) {
	status, _, log := servicetest.Run(t, t.TempDir(), []string{
		"APP_ENV=production", "OTP_SECRET=hunter2", "OTP_TTL=1h", "SMS_PROVIDERS=pigeon", "JWT_KEY_GRACE=x",
	})
	if status != 2 || strings.Contains(log, "hunter2") || strings.Contains(log, "pigeon") {
		t.Errorf("status %d, %s; want 2 and no values", status, log)
	}
	for _, name := range []string{
		"DATABASE_URL", "REDIS_URL", "OTP_SECRET", "OTP_TTL", "JWT_SECRET", "JWT_KEY_GRACE", "SMS_REGIONS",
		"SMS_PROVIDERS",
	} {
		if !strings.Contains(log, `"variable":"`+name+`"`) { // production logs JSON
			t.Errorf("%s is not named:\n%s", name, log)
		}
	}
}

func TestDotEnv(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("OTP_LENGTH=8\nOTP_TTL=3m\n")
	s := servicetest.Launch(t, dir, "OTP_TTL=1m") // the environment has precedence over the file
	s.Await()
	a := s.Want(s.Request(phone), 202, "")
	if a.Field("code_length") != 8.0 || a.Field("expires_in") != 60.0 {
		t.Errorf("request: %s; want the length of .env and the life of the environment", a.Body)
	}
	write("OTP_SECRET='hunter2\n")
	status, _, log := servicetest.Run(t, dir, nil)
	if status != 2 || !strings.Contains(log, ".env: line 1 ") || strings.Contains(log, "hunter2") {
		t.Errorf("status %d, %s; want 2 and the line in the file, without its content", status, log)
	}
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		args   []string
		status int
		out    string
	}{
		{[]string{"help"}, 0, "healthcheck"},
		{[]string{"version"}, 0, "\n"},
		{[]string{"--version"}, 0, "\n"},
		{[]string{"migrate"}, 0, ""},
		{[]string{"healthcheck"}, 1, ""},
		{[]string{"start"}, 2, ""},
		{[]string{"migrate", "now"}, 2, ""},
	} {
		status, out, log := servicetest.Run(t, dir, nil, tc.args...)
		if status != tc.status || !strings.Contains(out, tc.out) {
			t.Errorf("%v: status %d, %q; want %d, %q", tc.args, status, out, tc.status, tc.out)
		}
		if complains := log != "" && !strings.Contains(log, "migrated"); complains != (status != 0) {
			t.Errorf("%v: status %d, and on standard error %q", tc.args, status, log)
		}
	}
	s := servicetest.Launch(t, dir)
	s.Await()
	address := "HTTP_ADDR=" + strings.TrimPrefix(s.URL, "http://127.0.0.1")
	if status, _, log := servicetest.Run(t, dir, []string{address}, "healthcheck"); status != 0 {
		t.Errorf("healthcheck: %d, %s; want 0", status, log)
	}
}

// TestAddressInUse checks that an address in use is named by its setting before anything is made, that such an
// INTERNAL_ADDR keeps nobody from logging in, and that the banner then shows no page of the operator.
func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir, taken := t.TempDir(), l.Addr().String()
	status, out, log := servicetest.Run(t, dir, []string{"HTTP_ADDR=" + taken})
	if status != 1 || out != "" || !strings.HasPrefix(log, "HTTP_ADDR: "+taken+" is in use: ") {
		t.Errorf("with HTTP_ADDR in use: %d, %q, %s; want 1 and its name", status, out, log)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("with HTTP_ADDR in use the service made %v, %v; want nothing", made, err)
	}
	s := servicetest.Launch(t, dir, "INTERNAL_ADDR="+taken)
	s.Await()
	if log := s.Log.String(); !strings.Contains(log, "INTERNAL_ADDR: "+taken+" is in use: ") {
		t.Errorf("with INTERNAL_ADDR in use: %s; want a warning with its name", log)
	}
	s.Login(phone)
	if out := s.Stdout.String(); !strings.Contains(out, s.URL+"/docs") || strings.Contains(out, taken) {
		t.Errorf("the banner is %s; want no page of the operator", out)
	}
}

// TestMisspeltSettings checks that serve and doctor name a misspelt setting of the environment and of .env.
func TestMisspeltSettings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("SMS_PROVIDER=twilio\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servicetest.Launch(t, dir, "OTP_LENGT=8")
	s.Await()
	for _, want := range []string{
		"name=SMS_PROVIDER in=.env meant=SMS_PROVIDERS",
		"name=OTP_LENGT in=environment meant=OTP_LENGTH",
	} {
		if !strings.Contains(s.Log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.Log.String())
		}
	}
	_, out, _ := servicetest.Run(t, dir, []string{"OTP_LENGT=8"}, "doctor")
	report(t, out,
		"weak .env has SMS_PROVIDER, which is no setting; do you mean SMS_PROVIDERS?",
		"weak environment has OTP_LENGT, which is no setting; do you mean OTP_LENGTH?",
	)
}

func TestMigrateOnStart(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		dir := t.TempDir()
		env := append(stores, "MIGRATE_ON_START=false")
		status, _, log := servicetest.Run(t, dir, env)
		if status != 1 || !strings.Contains(log, "dekamond-otp migrate") {
			t.Errorf("with a database that is not migrated: %d, %s; want 1 and what to do", status, log)
		}
		status, _, log = servicetest.Run(t, dir, env, "migrate")
		if status != 0 || !strings.Contains(log, "00001") {
			t.Errorf("migrate: %d, %s; want 0 and what was applied", status, log)
		}
		servicetest.Launch(t, dir, env...).Await()
	})
}

// TestEmbeddedOpensNoOtherPort reads the sockets of the process where Linux shows them.
func TestEmbeddedOpensNoOtherPort(t *testing.T) {
	s := servicetest.Start(t, nil)
	out, err := exec.Command("ss", "-Hltnp").Output()
	if err != nil {
		t.Skip("the sockets of a process are read with ss of Linux (iproute2), which this machine does not have")
	}
	var ports []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "pid="+strconv.Itoa(s.Cmd.Process.Pid)+",") {
			ports = append(ports, strings.Fields(line)[3])
		}
	}
	if len(ports) != 1 || ports[0] != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("the service listens on %v; want one address, on loopback", ports)
	}
}

// TestUnlockCommand checks that the command frees a phone in the stores of a service that runs, and says what it needs.
func TestUnlockCommand(t *testing.T) {
	env := append(servicetest.RealStores(t),
		"OTP_DAILY_ATTEMPTS=1", "OTP_SECRET="+servicetest.OTPSecret, "DEFAULT_REGION=IR")
	s := servicetest.Start(t, env)
	code := s.Code(phone)
	s.Want(s.Verify(phone, servicetest.WrongCode(code)), 401, "")
	s.Want(s.Verify(phone, code), 401, "")
	status, out, log := servicetest.Run(t, t.TempDir(), env, "unlock", "0912 123 4567")
	if want := "+98912•••67 is free (wrong attempts: 1, messages: 1)\n"; status != 0 || out != want {
		t.Errorf("unlock: %d, %s%s; want 0 and %s", status, out, log, want)
	}
	s.Want(s.Verify(phone, code), 201, "")
	for _, tc := range []struct {
		env, args []string
		status    int
		says      string
	}{
		{env, []string{"unlock"}, 2, "unlock needs a phone"},
		{env, []string{"unlock", "hunter2"}, 2, "no phone that the service would take"},
		{nil, []string{"unlock", phone}, 1, "REDIS_URL: is embedded"},
		{env[:2], []string{"unlock", "+" + phone[1:]}, 1, "OTP_SECRET: is not set"},
	} {
		status, _, log := servicetest.Run(t, t.TempDir(), tc.env, tc.args...)
		if status != tc.status || !strings.Contains(log, tc.says) || strings.Contains(log, "hunter2") {
			t.Errorf("%v: %d, %s; want %d, and %s", tc.args, status, log, tc.status, tc.says)
		}
	}
}
