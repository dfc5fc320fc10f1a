package operation

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestStoresDown(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	s := servicetest.Start(t, []string{databaseURL, redisURL}, "OTP_RESEND_AFTER=off", "ADMIN_API_KEY="+servicetest.AdminKey)
	s.Want(s.Call("GET", "/readyz", ""), 200, "")

	database.Shut(true)
	code := s.Code(servicetest.Phone) // works without the database
	for range 10 {                    // and costs no try
		s.Want(s.Verify(servicetest.Phone, code), 503, "unavailable")
	}
	s.Want(s.Call("GET", "/users", "", "X-API-Key: "+servicetest.AdminKey), 503, "unavailable")
	ready := s.Want(s.Call("GET", "/readyz", ""), 503, "unavailable")
	if ready.Text("checks", "database") != "down" || ready.Text("checks", "redis") != "up" {
		t.Errorf("readyz: %s; want the database down", ready.Body)
	}
	s.Want(s.Call("GET", "/healthz", ""), 200, "")
	database.Shut(false)
	login := s.Want(s.Verify(servicetest.Phone, code), 201, "")

	code = s.Code(servicetest.Phone)
	redis.Shut(true)
	s.AwaitMessages()
	sent := strings.Count(s.Stdout.String(), "SMS to")
	s.Want(s.Request(servicetest.Phone), 503, "unavailable")
	s.Want(s.Verify(servicetest.Phone, code), 503, "unavailable")
	if got := strings.Count(s.Stdout.String(), "SMS to"); got != sent {
		t.Errorf("%d messages were sent without Redis", got-sent)
	}
	s.Want(s.Call("GET", "/me", "", "Authorization: Bearer "+login.Text("access_token")), 200, "")
	ready = s.Want(s.Call("GET", "/readyz", ""), 503, "unavailable")
	if ready.Text("checks", "database") != "up" || ready.Text("checks", "redis") != "down" {
		t.Errorf("readyz: %s; want redis down", ready.Body)
	}
	redis.Shut(false)
	s.Want(s.Verify(servicetest.Phone, code), 200, "")
}

func TestWaitsForStores(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	database.Shut(true)
	redis.Shut(true)
	s := servicetest.Launch(t, t.TempDir(), databaseURL, redisURL)
	servicetest.Eventually(t, "the log says that it waits for the database", func() bool { return strings.Contains(s.Log.String(), "store=database") })
	database.Shut(false)
	servicetest.Eventually(t, "the log says that it waits for redis", func() bool { return strings.Contains(s.Log.String(), "store=redis") })
	redis.Shut(false)
	s.Await()
	s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 201, "")
}

// TestStops holds that a message in hand is delivered before the service ends.
func TestStops(t *testing.T) {
	p := servicetest.NewWebhook(t)
	p.Hold = make(chan struct{})
	s := servicetest.Start(t, nil, p.Settings()...)
	s.Want(s.Call("GET", "/readyz", ""), 200, "") // its connection stays open, and idle
	s.Want(s.Request(servicetest.Phone), 202, "")
	servicetest.Eventually(t, "the message is on its way", func() bool { return len(p.Messages()) == 1 })
	s.Signal(syscall.SIGTERM)
	servicetest.Eventually(t, "the service takes no new connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(p.Hold)
	select {
	case <-s.Exited:
	case <-time.After(5 * time.Second):
		t.Fatal("the service does not end after its last message")
	}
	if state := s.Cmd.ProcessState; state.ExitCode() != 0 || !strings.Contains(s.Log.String(), `msg="message sent"`) {
		t.Errorf("it ended with %v, %s; want 0 and the message sent", state, s.Log.String())
	}
}

func TestFaultySettings(t *testing.T) {
	status, _, log := servicetest.Run(t, t.TempDir(), []string{"APP_ENV=production", "OTP_SECRET=hunter2", "OTP_TTL=1h", "SMS_PROVIDERS=pigeon", "JWT_KEY_GRACE=x"})
	if status != 2 || strings.Contains(log, "hunter2") || strings.Contains(log, "pigeon") {
		t.Errorf("status %d, %s; want 2 and no values", status, log)
	}
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "OTP_SECRET", "OTP_TTL", "JWT_SECRET", "JWT_KEY_GRACE", "SMS_REGIONS", "SMS_PROVIDERS"} {
		if !strings.Contains(log, name+": ") {
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
	s := servicetest.Launch(t, dir, "OTP_TTL=1m") // the environment comes first
	s.Await()
	if a := s.Want(s.Request(servicetest.Phone), 202, ""); a.Field("code_length") != 8.0 || a.Field("expires_in") != 60.0 {
		t.Errorf("request: %s; want the length of .env and the life of the environment", a.Body)
	}
	write("OTP_SECRET='hunter2\n")
	if status, _, log := servicetest.Run(t, dir, nil); status != 2 || !strings.Contains(log, ".env") || strings.Contains(log, "hunter2") {
		t.Errorf("status %d, %s; want 2, the file's name and nothing of what it holds", status, log)
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
		{[]string{"migrate"}, 0, ""},
		{[]string{"healthcheck"}, 1, ""},
		{[]string{"start"}, 2, ""},
		{[]string{"migrate", "now"}, 2, ""},
	} {
		if status, out, log := servicetest.Run(t, dir, nil, tc.args...); status != tc.status || !strings.Contains(out, tc.out) || (status != 0) != (log != "" && !strings.Contains(log, "migrated")) {
			t.Errorf("%v: status %d, %q, %q; want %d, %q", tc.args, status, out, log, tc.status, tc.out)
		}
	}
	s := servicetest.Launch(t, dir)
	s.Await()
	if status, _, log := servicetest.Run(t, dir, []string{"HTTP_ADDR=" + strings.TrimPrefix(s.URL, "http://127.0.0.1")}, "healthcheck"); status != 0 {
		t.Errorf("healthcheck: %d, %s; want 0", status, log)
	}
}

func TestMigrateOnStart(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		dir := t.TempDir()
		env := append(stores, "MIGRATE_ON_START=false")
		if status, _, log := servicetest.Run(t, dir, env); status != 1 || !strings.Contains(log, "dekamond-otp migrate") {
			t.Errorf("with a database that is not migrated: %d, %s; want 1 and what to do", status, log)
		}
		if status, _, log := servicetest.Run(t, dir, env, "migrate"); status != 0 || !strings.Contains(log, "00001") {
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
		t.Skip("ss is not on this machine")
	}
	var ports []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "pid="+strconv.Itoa(s.Cmd.Process.Pid)+",") {
			ports = append(ports, strings.Fields(line)[3])
		}
	}
	if len(ports) != 1 || ports[0] != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("it listens on %v; want its one address, on loopback", ports)
	}
}
