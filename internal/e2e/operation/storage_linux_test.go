package operation

import (
	"errors"
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

// mountDisk mounts an empty file system of the size, such as 1m, and returns its folder. The test is skipped where it
// may mount none.
func mountDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	switch err := unix.Mount("none", dir, "tmpfs", 0, "size="+size); {
	case errors.Is(err, unix.EPERM):
		t.Skip("this user may mount no file system: run the tests as root")
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDoctorOfDisk checks that the doctor finds what keeps the service from writing its file, and counts it once.
func TestDoctorOfDisk(t *testing.T) {
	dir := mountDisk(t, "1m")
	status, out, log := servicetest.Run(t, dir, nil, "doctor")
	if status != 1 || log != "" {
		t.Errorf("doctor on a full disk: %d, %s; want 1 and nothing", status, log)
	}
	report(t, out, "wrong database the disk of "+dir+" is full, or nearly: 1 MB are left", "1 wrong, 1 weak")

	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=1g"); err != nil {
		t.Fatal(err)
	}
	closed := "the folder " + dir + " is on a file system that accepts no writes: mount a volume there"
	if status, out, _ = servicetest.Run(t, dir, nil, "doctor"); status != 1 {
		t.Errorf("doctor on a read-only file system: %d; want 1", status)
	}
	report(t, out, "wrong database "+closed, "1 wrong, 1 weak")
	secrets := []string{"OTP_SECRET=" + goodOTPSecret, "JWT_SECRET=" + goodJWTSecret}
	status, _, log = servicetest.Run(t, dir, secrets, "serve")
	if status != 1 || !strings.Contains(log, "DATABASE_URL: sqlitestore: "+closed) {
		t.Errorf("serve on a read-only file system: %d, %s; want 1, and %s", status, log, closed)
	}
}

// TestDiskFull tells what happens when the file of the database cannot grow any more: no login is possible, the copy is
// not ready, and soon no code is sent, until there is space again.
func TestDiskFull(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	s.Login("+989121230001")
	code := s.Code(phone)
	awaitReady(t, s, "up", "up")

	wal, err := os.Stat(filepath.Join(s.Dir, "data", "otp.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	const left = 3 * 4096 // for fewer pages than a login writes
	before := len(s.Log.String())
	s.Unrepeated = true
	limitFiles(t, s, uint64(wal.Size())+left)
	s.Want(s.Verify(phone, code), 503, "unavailable")
	awaitReady(t, s, "down", "up")
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
			return strings.Contains(s.Log.String()[before:], message)
		})
		if n := strings.Count(s.Log.String()[before:], message); n != 1 {
			t.Errorf("the log has %d times %s; want it once", n, message)
		}
	}

	limitFiles(t, s, unix.RLIM_INFINITY)
	servicetest.Eventually(t, "codes are sent again", func() bool { return s.Request(phone).Status == 202 })
	s.Unrepeated = false
	s.Want(s.Verify(phone, s.ShownCode(phone)), 201, "")
	awaitReady(t, s, "up", "up")
	if !strings.Contains(s.Log.String(), `msg="store takes writes again" store=database`) {
		t.Error("the log does not report that the database takes writes again")
	}
}
