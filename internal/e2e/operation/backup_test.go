package operation

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
)

// backupCommands returns the commands in docs/deploy/backup.md that begin with a program. Lines of one block are one
// command.
func backupCommands(t *testing.T, program string) string {
	t.Helper()
	page := file(t, servicetest.Root+"docs/deploy/backup.md")
	block := regexp.MustCompile("(?ms)^```\n(" + regexp.QuoteMeta(program) + " .*?)^```$").FindStringSubmatch(page)
	if block == nil {
		t.Fatalf("docs/deploy/backup.md has no %s", program)
	}
	return block[1]
}

// shell runs commands in a folder.
func shell(t *testing.T, dir, commands string, env ...string) {
	t.Helper()
	c := exec.Command("sh", "-euc", commands)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", commands, err, out)
	}
}

// TestBackup checks that the commands of docs/deploy/backup.md bring the users and their sessions back on an empty
// database and over what came later, with a Redis that has lost everything.
func TestBackup(t *testing.T) {
	secrets := append([]string{"OTP_SECRET=" + servicetest.OTPSecret, "JWT_SECRET=" + servicetest.JWTSecret},
		servicetest.Unlimited...)
	for _, wiped := range []bool{true, false} {
		name := map[bool]string{true: "empty", false: "later"}[wiped]
		t.Run("postgres "+name, func(t *testing.T) {
			needs(t, "pg_dump", "pg_restore")
			dir, stores := t.TempDir(), servicetest.RealStores(t)
			_, database, _ := strings.Cut(stores[0], "=")
			restoreBrings(t, dir, append(stores, secrets...), func() {
				shell(t, dir, backupCommands(t, "pg_dump"), stores[0])
			}, func() []string {
				if wiped {
					pgtest.Exec(t, database, `drop schema public cascade; create schema public`)
				}
				shell(t, dir, backupCommands(t, "pg_restore"), stores[0])
				return append([]string{stores[0], "REDIS_URL=embedded"}, secrets...)
			})
		})
		t.Run("sqlite "+name, func(t *testing.T) {
			needs(t, "sqlite3")
			dir := t.TempDir()
			restoreBrings(t, dir, secrets, func() {
				shell(t, dir, backupCommands(t, "sqlite3"))
			}, func() []string {
				if wiped {
					if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
						t.Fatal(err)
					}
					if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				shell(t, dir, backupCommands(t, "rm"))
				return secrets
			})
		})
	}
}

// needs skips the test if a program is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("there is no %s, so that the backup is not tested", p)
		}
	}
}

// restoreBrings starts the service in dir with the settings env, lets people log in, dumps, and changes more. Then it
// stops the service, restores, starts it with the settings that restore returns, and checks who is known.
func restoreBrings(t *testing.T, dir string, env []string, dump func(), restore func() []string) {
	const early, left, late = "+989121234567", "+989121234568", "+989121234569"
	s := servicetest.Launch(t, dir, env...)
	s.Await()
	first := s.Login(early)
	current := s.Want(s.Refresh(first.Text("refresh_token")), 200, "")
	gone := s.Login(left)
	s.Want(s.Call("POST", "/logout", "", servicetest.Bearer(gone)), 204, "")
	dump()
	lost := s.Login(late)
	s.End(os.Kill)

	s = servicetest.Launch(t, dir, restore()...)
	s.Await()
	for what, user := range map[string]string{early: first.Text("user", "id"), left: gone.Text("user", "id")} {
		if again := s.Login(what); again.Text("user", "id") != user || again.Field("new_user") != false {
			t.Errorf("%s is %s after the restore; want the user %s", what, again.Body, user)
		}
	}
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(current)), 200, "")
	s.Want(s.Refresh(current.Text("refresh_token")), 200, "")
	s.Want(s.Refresh(gone.Text("refresh_token")), 401, "invalid_refresh_token")
	s.Want(s.Refresh(lost.Text("refresh_token")), 401, "invalid_refresh_token")
	if again := s.Login(late); again.Field("new_user") != true {
		t.Errorf("%s registered after the dump and is still known: %s", late, again.Body)
	}
}
