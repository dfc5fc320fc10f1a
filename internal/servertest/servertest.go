// Package servertest starts servers of stores for tests that change, kill or restart them. A server ends with its test,
// and also when the tests are killed. The programs are those that .ci/with-services has found.
package servertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for a server. It only decides how late a test fails.
const patience = 5 * time.Minute

// Need returns the path that a variable of .ci/with-services has for a program. Without it the test is skipped, or it
// fails if CI is set.
func Need(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	missing := ""
	if _, err := exec.LookPath("setpriv"); err != nil {
		missing = "there is no setpriv, which ends the servers with the tests"
	}
	if path == "" {
		missing = variable + " is not set; make test sets it where the server can be found or installed"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") != "":
		t.Fatal(missing)
	default:
		t.Skip("SKIPPED: " + missing)
	}
	return path
}

// Home returns a new directory for the data of servers, which every user may enter. It is removed when the test ends,
// or by .ci/with-services if the tests were killed.
func Home(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("TEST_BUILD_DIR"), "otp-servers-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Folder makes a folder that belongs to a user, or to that of the tests if owner is nil.
func Folder(t testing.TB, dir string, owner *user.User) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if owner == nil {
		return
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
}

// File writes a file that every user may read.
func File(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Nobody returns the user that runs a server in place of root, whom it refuses. It returns nil if the tests are run by
// another user.
func Nobody(t testing.TB) *user.User {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u
		}
	}
	t.Fatal("there is no user who could run the server")
	return nil
}

// FreeAddress returns an address of a port that no server uses now, below the range of outgoing connections.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(8000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// Port returns the port of an address.
func Port(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

// A Server is a process of a store.
type Server struct {
	T       testing.TB
	Name    string
	Address string       // host and port
	Args    []string     // the program and its arguments
	Owner   *user.User   // nil: the user of the tests
	Dying   string       // the signal, such as KILL, that ends it when the test ends or is killed
	Log     string       // the file of its output; the process starts in the folder of the file
	Ready   func() error // returns nil once the server answers

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// Command returns a command that runs a program as a user, nil for that of the tests, and ends it with the tests.
func Command(owner *user.User, dying string, args ...string) *exec.Cmd {
	privileges := []string{"--pdeathsig", dying}
	if owner != nil {
		privileges = append(privileges, "--reuid", owner.Uid, "--regid", owner.Gid, "--init-groups")
	}
	return exec.Command("setpriv", append(privileges, args...)...)
}

// Launch starts the process. It may be called again after the process has ended.
func (s *Server) Launch() {
	s.T.Helper()
	output, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.T.Fatal(err)
	}
	defer output.Close() // the process has its own descriptor
	cmd, exited := Command(s.Owner, s.Dying, s.Args...), make(chan struct{})
	cmd.Dir = filepath.Dir(s.Log)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		s.T.Fatal(err)
	}
	s.cmd, s.exited = cmd, exited
	go func() { _ = cmd.Wait(); close(exited) }()
	s.T.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SignalNum("SIG" + s.Dying))
		<-exited
		if text := s.output(); s.T.Failed() {
			s.T.Logf("the end of the log of %s:\n%s", s.Name, text[max(0, len(text)-2000):])
		}
	})
}

func (s *Server) output() string {
	text, _ := os.ReadFile(s.Log)
	return string(text)
}

// Start starts the process and waits until the server answers.
func (s *Server) Start() {
	s.T.Helper()
	s.Launch()
	s.Await()
}

// Await waits until the server answers.
func (s *Server) Await() {
	s.T.Helper()
	var err error
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.exited:
			s.T.Fatalf("%s ended: %s", s.Name, s.output())
		default:
		}
		if err = s.Ready(); err == nil {
			return
		}
	}
	s.T.Fatalf("%s does not answer: %v", s.Name, err)
}

// End sends a signal and waits until the process has ended.
func (s *Server) End(signal syscall.Signal) {
	s.T.Helper()
	_ = s.cmd.Process.Signal(signal)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.T.Fatalf("%s did not end within %v of %v", s.Name, patience, signal)
	}
}
