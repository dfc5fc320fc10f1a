// Package e2e starts the built binary and speaks HTTP with it, on embedded stores and on real ones. Every
// answer is held against the OpenAPI document.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/pgstore/pgtest"
)

const (
	adminKey  = "an-admin-key-of-more-than-32-bytes"
	otpSecret = "an-otp-secret-of-more-than-32-bytes"
	jwtSecret = "a-jwt-secret-of-more-than-32-bytes"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "otp-e2e")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "dekamond-otp")
		build := exec.Command("go", "build", "-race", "-o", binary, "dekamond-otp")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		defer func() { closeChromium() }()
		return m.Run()
	}())
}

// modes runs a test on both kinds of stores.
func modes(t *testing.T, test func(t *testing.T, stores []string)) {
	t.Run("embedded", func(t *testing.T) { test(t, nil) })
	t.Run("real", func(t *testing.T) { test(t, real(t)) })
}

// real gives the settings of an empty Postgres database and an empty Redis database.
func real(t *testing.T) []string {
	t.Helper()
	return []string{"DATABASE_URL=" + pgtest.NewDatabase(t), "REDIS_URL=" + redisURL(t)}
}

var redisDatabases atomic.Int64

func redisURL(t *testing.T) string {
	t.Helper()
	o, err := redis.ParseURL(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		t.Fatalf("TEST_REDIS_URL: %v; make test starts what the tests need", err)
	}
	o.DB = int(redisDatabases.Add(1)) // 0 is left to the other packages
	r := redis.NewClient(o)
	defer r.Close()
	if err := r.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("redis://%s/%d", o.Addr, o.DB)
}

// A service is a running binary.
type service struct {
	t           *testing.T
	dir         string
	env         []string
	cmd         *exec.Cmd
	url         string
	out, log    output
	exited      chan struct{}
	unvalidated bool // answers are not held against the document: for thousands of calls
}

// An output is a file that the process writes by itself, so that nothing of it is late.
type output struct{ *os.File }

func newOutput(t *testing.T) output {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return output{f}
}

func (o output) String() string {
	text, _ := os.ReadFile(o.Name())
	return string(text)
}

// command prepares the binary with no settings but these.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Dir, c.Env = dir, append([]string{"HTTP_ADDR=127.0.0.1:0", "INTERNAL_ADDR=off", "PATH=" + os.Getenv("PATH")}, env...)
	return c
}

// start starts the service on a free port and waits until it listens. It is killed when the test ends.
func start(t *testing.T, stores []string, env ...string) *service {
	t.Helper()
	s := launch(t, t.TempDir(), append(stores, env...)...)
	s.await()
	return s
}

// launch is start without the wait.
func launch(t *testing.T, dir string, env ...string) *service {
	t.Helper()
	s := &service{t: t, dir: dir, env: env, cmd: command(t, dir, env), out: newOutput(t), log: newOutput(t), exited: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.out.File, s.log.File
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	t.Cleanup(func() {
		s.signal(syscall.SIGKILL)
		if log := s.log.String(); strings.Contains(log, "DATA RACE") || t.Failed() {
			t.Errorf("the log of the service:\n%s", log)
		}
	})
	return s
}

// signal sends a signal and waits for the end of the process.
func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.exited:
	case <-time.After(15 * time.Second):
		s.t.Error("the service does not end")
		_ = s.cmd.Process.Kill()
	}
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

func (s *service) await() {
	s.t.Helper()
	eventually(s.t, "the service listens", func() bool {
		select {
		case <-s.exited:
			s.t.Fatalf("the service ended: %s", s.log.String())
		default:
		}
		m := listening.FindStringSubmatch(s.log.String())
		if m != nil {
			s.url = "http://" + m[1]
		}
		return m != nil
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

// npm installs a package into a folder.
func npm(dir, pkg string) error {
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--no-save", pkg)
	install.Dir = dir
	out, err := install.CombinedOutput()
	if err != nil {
		return fmt.Errorf("npm install: %w\n%s", err, out)
	}
	return nil
}

// An answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// field gives a member of the body, by the names on the way to it.
func (a answer) field(names ...string) any {
	var v any
	if json.Unmarshal([]byte(a.body), &v) != nil {
		return nil
	}
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func (a answer) text(names ...string) string { s, _ := a.field(names...).(string); return s }

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}

// call makes a request. Headers are "Name: value".
func (s *service) call(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			r.Header.Set(name, value)
			if name == "Host" {
				r.Host = value
			}
		}
	}
	response, err := client.Do(r)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	if !s.unvalidated && method != http.MethodOptions {
		validate(s.t, r, response, text)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (s *service) want(a answer, status int, code string) answer {
	s.t.Helper()
	if a.status != status || a.text("code") != code {
		s.t.Fatalf("answer %d %s; want %d %q", a.status, a.body, status, code)
	}
	return a
}

func (s *service) request(phone string, headers ...string) answer {
	s.t.Helper()
	return s.call("POST", "/otp/request", object("phone", phone), headers...)
}

func (s *service) verify(phone, code string, headers ...string) answer {
	s.t.Helper()
	return s.call("POST", "/otp/verify", object("phone", phone, "code", code), headers...)
}

// code asks for a code and gives the one that the console shows.
func (s *service) code(phone string) string {
	s.t.Helper()
	s.want(s.request(phone), 202, "")
	return s.shown(phone)
}

// shown gives the last code that the console shows to the phone, once every message is out.
func (s *service) shown(phone string) string {
	s.t.Helper()
	s.delivered()
	found := regexp.MustCompile(`SMS to \`+phone+`: (\d+)`).FindAllStringSubmatch(s.out.String(), -1)
	if found == nil {
		s.t.Fatalf("no message to %s on standard output:\n%s", phone, s.out.String())
	}
	return found[len(found)-1][1]
}

var (
	acceptedLine = regexp.MustCompile(`msg=request method=POST route=(/otp/request|/me/phone/request) status=202`)
	endedLine    = regexp.MustCompile(`msg="(message (sent|failed|dropped)|test number asked for its code)"`)
)

// delivered waits until the log says of every accepted request what became of its message.
func (s *service) delivered() {
	s.t.Helper()
	eventually(s.t, "every message is delivered or reported", func() bool {
		log := s.log.String()
		return len(acceptedLine.FindAllString(log, -1)) <= len(endedLine.FindAllString(log, -1))
	})
}

func object(pairs ...string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// wrongCode is not the code.
func wrongCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

var document = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewCallbackValidator(uuid.Validate))
	doc, err := openapi3.NewLoader().LoadFromFile("../httpapi/openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// validate holds an answer against the document. What the document does not name is a 404 or a 405.
func validate(t *testing.T, r *http.Request, response *http.Response, body []byte) {
	t.Helper()
	router, err := document()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if response.StatusCode != 404 && response.StatusCode != 405 {
			t.Errorf("%s %s is not in openapi.yaml and answers %d", r.Method, r.URL.Path, response.StatusCode)
		}
		return
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s: the answer breaks openapi.yaml: %v", r.Method, r.URL.Path, err)
	}
}
