package operation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dekamond-otp/internal/e2e/servicetest"
)

// limitFiles sets the size beyond which the service can write no file.
func limitFiles(t *testing.T, s *servicetest.Service, size uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(s.Cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(size, limit.Max)
	if err := unix.Prlimit(s.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull tells what happens when the file of the database cannot grow any more: no login is possible, the copy is
// not ready, and soon no code is sent, until there is space again.
func TestDiskFull(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	s.Login("+989121230001")
	s.Want(s.Call("GET", "/readyz", ""), 200, "")
	code := s.Code(phone)

	wal, err := os.Stat(filepath.Join(s.Dir, "data", "otp.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	const left = 3 * 4096 // for fewer pages than a login writes
	limitFiles(t, s, uint64(wal.Size())+left)
	s.Want(s.Verify(phone, code), 503, "unavailable")
	ready := s.Want(s.Call("GET", "/readyz", ""), 503, "unavailable")
	if ready.Text("checks", "database") != "down" || ready.Text("checks", "redis") != "up" {
		t.Errorf("readyz: %s; want the database down", ready.Body)
	}
	servicetest.Eventually(t, "requests for a code are refused", func() bool { return s.Request(phone).Status == 503 })
	s.AwaitMessages()
	sent := strings.Count(s.Stdout.String(), "SMS to")
	refused := s.Want(s.Request("+989121230002"), 503, "unavailable")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("the refusal has no Retry-After")
	}
	if got := strings.Count(s.Stdout.String(), "SMS to"); got != sent {
		t.Errorf("%d messages were sent for which no login is possible", got-sent)
	}
	for _, message := range []string{
		`msg="store takes no writes" store=database setting=DATABASE_URL`,
		`msg="store has taken no write for 10s" store=database setting=DATABASE_URL`,
	} {
		servicetest.Eventually(t, "the log has "+message, func() bool {
			return strings.Contains(s.Log.String(), message)
		})
		if n := strings.Count(s.Log.String(), message); n != 1 {
			t.Errorf("the log has %d times %s; want it once", n, message)
		}
	}

	limitFiles(t, s, unix.RLIM_INFINITY)
	servicetest.Eventually(t, "codes are sent again", func() bool { return s.Request(phone).Status == 202 })
	s.Want(s.Verify(phone, s.ShownCode(phone)), 201, "")
	s.Want(s.Call("GET", "/readyz", ""), 200, "")
	if !strings.Contains(s.Log.String(), `msg="store takes writes again" store=database`) {
		t.Error("the log does not report that the database takes writes again")
	}
}
