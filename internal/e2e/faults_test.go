package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A provider is a webhook that keeps what it is sent.
type provider struct {
	*httptest.Server
	status   atomic.Int64
	hold     chan struct{} // if it is not nil, answers wait for it
	mu       sync.Mutex
	messages []map[string]string
}

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := new(provider)
	p.status.Store(200)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
		if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Errorf("the signature of %s is wrong", body)
		}
		var m map[string]string
		if err := json.Unmarshal(body, &m); err != nil || m["id"] != r.Header.Get("webhook-id") {
			t.Errorf("message %s: %v", body, err)
		}
		p.mu.Lock()
		p.messages = append(p.messages, m)
		p.mu.Unlock()
		if p.hold != nil {
			<-p.hold
		}
		w.WriteHeader(int(p.status.Load()))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) sent() []map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]map[string]string(nil), p.messages...)
}

func (p *provider) env() []string {
	return []string{"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + p.URL, "SMS_WEBHOOK_SECRET=" + webhookSecret}
}

// A gate is a TCP proxy that can be closed.
type gate struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	shut     bool
	conns    []net.Conn
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, target: target}
	t.Cleanup(func() { l.Close(); g.set(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(c)
		}
	}()
	return g
}

func (g *gate) pass(c net.Conn) {
	defer c.Close()
	out, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	g.conns = append(g.conns, c, out)
	shut := g.shut
	g.mu.Unlock()
	if shut {
		return
	}
	go func() { _, _ = io.Copy(out, c); out.Close() }()
	_, _ = io.Copy(c, out)
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}

// through gives the setting NAME=URL with the gate's address in it.
func through(t *testing.T, setting string) (*gate, string) {
	t.Helper()
	name, value, _ := strings.Cut(setting, "=")
	u, err := url.Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Host)
	u.Host = g.listener.Addr().String()
	return g, name + "=" + u.String()
}

func TestStoresDown(t *testing.T) {
	stores := real(t)
	database, databaseURL := through(t, stores[0])
	redis, redisURL := through(t, stores[1])
	s := start(t, []string{databaseURL, redisURL}, "OTP_RESEND_AFTER=off", "ADMIN_API_KEY="+adminKey)
	s.want(s.call("GET", "/readyz", ""), 200, "")

	database.set(true)
	code := s.code(phone) // works without the database
	for range 10 {        // and costs no try
		s.want(s.verify(phone, code), 503, "unavailable")
	}
	s.want(s.call("GET", "/users", "", "X-API-Key: "+adminKey), 503, "unavailable")
	ready := s.want(s.call("GET", "/readyz", ""), 503, "unavailable")
	if ready.text("checks", "database") != "down" || ready.text("checks", "redis") != "up" {
		t.Errorf("readyz: %s; want the database down", ready.body)
	}
	s.want(s.call("GET", "/healthz", ""), 200, "")
	database.set(false)
	login := s.want(s.verify(phone, code), 201, "")

	code = s.code(phone)
	redis.set(true)
	s.delivered()
	sent := strings.Count(s.out.String(), "SMS to")
	s.want(s.request(phone), 503, "unavailable")
	s.want(s.verify(phone, code), 503, "unavailable")
	if got := strings.Count(s.out.String(), "SMS to"); got != sent {
		t.Errorf("%d messages were sent without Redis", got-sent)
	}
	s.want(s.call("GET", "/me", "", "Authorization: Bearer "+login.text("access_token")), 200, "")
	ready = s.want(s.call("GET", "/readyz", ""), 503, "unavailable")
	if ready.text("checks", "database") != "up" || ready.text("checks", "redis") != "down" {
		t.Errorf("readyz: %s; want redis down", ready.body)
	}
	redis.set(false)
	s.want(s.verify(phone, code), 200, "")
}

func TestWaitsForStores(t *testing.T) {
	stores := real(t)
	database, databaseURL := through(t, stores[0])
	redis, redisURL := through(t, stores[1])
	database.set(true)
	redis.set(true)
	s := launch(t, t.TempDir(), databaseURL, redisURL)
	eventually(t, "the log says that it waits for the database", func() bool { return strings.Contains(s.log.String(), "store=database") })
	database.set(false)
	eventually(t, "the log says that it waits for redis", func() bool { return strings.Contains(s.log.String(), "store=redis") })
	redis.set(false)
	s.await()
	s.want(s.verify(phone, s.code(phone)), 201, "")
}

// TestStops holds that a message in hand is delivered before the service ends.
func TestStops(t *testing.T) {
	p := newProvider(t)
	p.hold = make(chan struct{})
	s := start(t, nil, p.env()...)
	s.want(s.call("GET", "/readyz", ""), 200, "") // its connection stays open, and idle
	s.want(s.request(phone), 202, "")
	eventually(t, "the message is on its way", func() bool { return len(p.sent()) == 1 })
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the service takes no new connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(p.hold)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		t.Fatal("the service does not end after its last message")
	}
	if state := s.cmd.ProcessState; state.ExitCode() != 0 || !strings.Contains(s.log.String(), `msg="message sent"`) {
		t.Errorf("it ended with %v, %s; want 0 and the message sent", state, s.log.String())
	}
}

// run runs the binary to its end.
func run(t *testing.T, dir string, env []string, args ...string) (status int, out, log string) {
	t.Helper()
	c := command(t, dir, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func TestFaultySettings(t *testing.T) {
	status, _, log := run(t, t.TempDir(), []string{"APP_ENV=production", "OTP_SECRET=hunter2", "OTP_TTL=1h", "SMS_PROVIDERS=pigeon", "JWT_KEY_GRACE=x"})
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
	s := launch(t, dir, "OTP_TTL=1m") // the environment comes first
	s.await()
	if a := s.want(s.request(phone), 202, ""); a.field("code_length") != 8.0 || a.field("expires_in") != 60.0 {
		t.Errorf("request: %s; want the length of .env and the life of the environment", a.body)
	}
	write("OTP_SECRET='hunter2\n")
	if status, _, log := run(t, dir, nil); status != 2 || !strings.Contains(log, ".env") || strings.Contains(log, "hunter2") {
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
		if status, out, log := run(t, dir, nil, tc.args...); status != tc.status || !strings.Contains(out, tc.out) || (status != 0) != (log != "" && !strings.Contains(log, "migrated")) {
			t.Errorf("%v: status %d, %q, %q; want %d, %q", tc.args, status, out, log, tc.status, tc.out)
		}
	}
	s := launch(t, dir)
	s.await()
	if status, _, log := run(t, dir, []string{"HTTP_ADDR=" + strings.TrimPrefix(s.url, "http://127.0.0.1")}, "healthcheck"); status != 0 {
		t.Errorf("healthcheck: %d, %s; want 0", status, log)
	}
}

func TestMigrateOnStart(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		dir := t.TempDir()
		env := append(stores, "MIGRATE_ON_START=false")
		if status, _, log := run(t, dir, env); status != 1 || !strings.Contains(log, "dekamond-otp migrate") {
			t.Errorf("with a database that is not migrated: %d, %s; want 1 and what to do", status, log)
		}
		if status, _, log := run(t, dir, env, "migrate"); status != 0 || !strings.Contains(log, "00001") {
			t.Errorf("migrate: %d, %s; want 0 and what was applied", status, log)
		}
		launch(t, dir, env...).await()
	})
}

// TestEmbeddedOpensNoOtherPort reads the sockets of the process where Linux shows them.
func TestEmbeddedOpensNoOtherPort(t *testing.T) {
	s := start(t, nil)
	out, err := exec.Command("ss", "-Hltnp").Output()
	if err != nil {
		t.Skip("ss is not on this machine")
	}
	var ports []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "pid="+strconv.Itoa(s.cmd.Process.Pid)+",") {
			ports = append(ports, strings.Fields(line)[3])
		}
	}
	if len(ports) != 1 || ports[0] != strings.TrimPrefix(s.url, "http://") {
		t.Errorf("it listens on %v; want its one address, on loopback", ports)
	}
}
