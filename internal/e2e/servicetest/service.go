// Package servicetest runs the built binary for the tests below internal/e2e: it builds it, starts it with given
// settings on empty stores, makes HTTP calls and holds every answer against openapi.yaml. There is no second wiring:
// the tests know the service only by its settings, its HTTP interface, its output and its log.
//
// Several packages of tests run at the same time on the same servers. Each test therefore has databases of its own in
// Postgres and in Redis. Only the cluster is shared, because it has a single database.
package servicetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Root is the path from a package of tests to the root of the repository.
const Root = "../../../"

// Patience is how long a test waits for something that has to happen. It only decides how late a test fails, so it is
// long enough for the slowest machine.
const Patience = 5 * time.Minute

// The secrets that tests share between copies of the service.
const (
	AdminKey  = "an-admin-key-of-more-than-32-bytes"
	OTPSecret = "an-otp-secret-of-more-than-32-bytes"
	JWTSecret = "a-jwt-secret-of-more-than-32-bytes"
)

// Unlimited are settings that turn off the limits of requests and the wait before a resend, and let a code live for as
// long as a slow machine may need to use it.
var Unlimited = []string{
	"OTP_TTL=10m",
	"OTP_RESEND_AFTER=off",
	"OTP_LIMIT_PHONE=off",
	"OTP_LIMIT_IP=off",
	"OTP_LIMIT_TRIES_IP=off",
	"ADMIN_API_KEY=" + AdminKey,
}

var binary string

// Options are how the tests of a package run.
type Options struct {
	Race  bool   // Builds the binary with the race detector, with which it starts ten times as slowly.
	AtEnd func() // Is called after the tests. Optional.
}

// Main builds the binary, reads openapi.yaml, runs the tests of a package and exits.
func Main(m *testing.M, o Options) {
	os.Exit(func() int {
		dir, remove, err := buildDirectory()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer remove()
		if err := build(dir, o.Race); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if _, err := document(); err != nil { // takes too long to be a part of a test that measures time
			fmt.Fprintf(os.Stderr, "openapi.yaml: %v\n", err)
			return 1
		}
		if o.AtEnd != nil {
			defer o.AtEnd()
		}
		return m.Run()
	}())
}

// buildDirectory returns the directory for the binary. .ci/with-services names one in TEST_BUILD_DIR, which all
// packages of a run share; otherwise each package has its own, which remove deletes.
func buildDirectory() (dir string, remove func(), err error) {
	if dir := os.Getenv("TEST_BUILD_DIR"); dir != "" {
		return dir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "otp-e2e")
	return dir, func() { os.RemoveAll(dir) }, err
}

// build builds the binary in a directory. Packages that build at the same time do so one after another, and the go
// command leaves a binary alone that is up to date.
func build(dir string, race bool) error {
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer lock.Close() // which releases the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	binary = filepath.Join(dir, fmt.Sprintf("dekamond-otp-race=%t", race))
	args := []string{"build", fmt.Sprintf("-race=%t", race), "-o", binary, "dekamond-otp"}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// A Service is a running process of the binary.
type Service struct {
	t *testing.T

	Dir         string   // the working directory
	Env         []string // the settings that it was started with
	Cmd         *exec.Cmd
	URL         string // of the HTTP interface, known once Await has returned
	Stdout, Log Output
	Exited      chan struct{} // closed when the process has ended
	Unvalidated bool          // turns off the check against openapi.yaml, for tests with thousands of calls
	Unrepeated  bool          // makes Call return the 503 of a database that takes no writes
}

// An Output is a file that a process writes to by itself, so that a reader misses nothing that was written.
type Output struct{ *os.File }

// NewOutput returns an empty Output that is removed when the test ends.
func NewOutput(t *testing.T) Output {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Output{f}
}

// String returns all that has been written so far.
func (o Output) String() string {
	text, _ := os.ReadFile(o.Name())
	return string(text)
}

// Command returns a command that runs the binary in dir, on a free port and with patience for Redis on a slow machine,
// with the settings of env and no others.
func Command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Dir = dir
	c.Env = append([]string{
		"HTTP_ADDR=127.0.0.1:0",
		"INTERNAL_ADDR=off",
		"REDIS_TIMEOUT=1s",
		"REDIS_POOL_TIMEOUT=2s",
		"PATH=" + os.Getenv("PATH"),
	}, env...)
	return c
}

// Run runs the binary to its end and returns its exit status and what it wrote to standard output and standard error.
func Run(t *testing.T, dir string, env []string, args ...string) (status int, out, log string) {
	t.Helper()
	c := Command(t, dir, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// Start starts the service in a directory of its own and waits until it listens. The process is killed when the test
// ends. If stores is nil, the stores are embedded.
func Start(t *testing.T, stores []string, env ...string) *Service {
	t.Helper()
	s := Launch(t, t.TempDir(), append(stores, env...)...)
	s.Await()
	return s
}

// Launch starts the service in dir without waiting until it listens. The process is killed when the test ends. The test
// fails if the race detector has reported a race in it.
func Launch(t *testing.T, dir string, env ...string) *Service {
	t.Helper()
	s := &Service{
		t:      t,
		Dir:    dir,
		Env:    env,
		Cmd:    Command(t, dir, env),
		Stdout: NewOutput(t),
		Log:    NewOutput(t),
		Exited: make(chan struct{}),
	}
	s.Cmd.Stdout, s.Cmd.Stderr = s.Stdout.File, s.Log.File
	if err := s.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Cmd.Wait(); close(s.Exited) }()
	t.Cleanup(func() {
		s.End(syscall.SIGKILL)
		if log := s.Log.String(); strings.Contains(log, "DATA RACE") || t.Failed() {
			t.Errorf("the log of the service:\n%s", log)
		}
	})
	return s
}

// Signal sends a signal to the process.
func (s *Service) Signal(sig os.Signal) {
	s.t.Helper()
	if err := s.Cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal %v: %v", sig, err)
	}
}

// End sends a signal and waits until the process has ended. It does nothing if the process has ended before.
func (s *Service) End(sig os.Signal) {
	s.t.Helper()
	_ = s.Cmd.Process.Signal(sig)
	select {
	case <-s.Exited:
	case <-time.After(Patience):
		s.t.Errorf("the service did not end within %v of %v", Patience, sig)
		_ = s.Cmd.Process.Kill()
	}
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// Await waits until the service listens and sets its URL. It fails the test if the process ends instead.
func (s *Service) Await() {
	s.t.Helper()
	Eventually(s.t, "the service listens", func() bool {
		select {
		case <-s.Exited:
			s.t.Fatalf("the service ended: %s", s.Log.String())
		default:
		}
		m := listening.FindStringSubmatch(s.Log.String())
		if m != nil {
			s.URL = "http://" + m[1]
		}
		return m != nil
	})
}

// InternalAddress waits until the service serves its metrics and returns their address, host and port.
func (s *Service) InternalAddress() string {
	s.t.Helper()
	var address []string
	Eventually(s.t, "the log names the address of the metrics", func() bool {
		address = regexp.MustCompile(`msg=metrics address=(\S+)`).FindStringSubmatch(s.Log.String())
		return address != nil
	})
	return address[1]
}

// LogLines returns the lines of the log about a request or about the delivery of its message.
func (s *Service) LogLines(requestID string) (found []string) {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, "request_id="+requestID) {
			found = append(found, line)
		}
	}
	return found
}

// Eventually waits until ok returns true. The text completes the sentence "it did not happen that …".
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

// InstallNPM installs npm packages, each NAME@VERSION, into a directory. A later call for the same directory removes
// those of an earlier one.
func InstallNPM(dir string, packages ...string) error {
	args := append([]string{"install", "--no-audit", "--no-fund", "--no-save"}, packages...)
	install := exec.Command("npm", args...)
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w\n%s", err, out)
	}
	return nil
}
