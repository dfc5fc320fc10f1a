package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/account/accounttest"
	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/probe"
)

func open(t *testing.T, path string) *Accounts {
	t.Helper()
	return openWith(t, Options{Path: path, Timeout: time.Hour}) // as long as the machine needs
}

func openWith(t *testing.T, o Options) *Accounts {
	t.Helper()
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// TestForeignFile checks that a start does not wait for a file that is no database to become one.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("a letter to the bank ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	err := open(t, path).Ping(t.Context())
	if _, ok := errors.AsType[probe.Refusal](err); !ok {
		t.Errorf("Ping: %v; want a refusal", err)
	}
}

func TestAccounts(t *testing.T) {
	accounttest.TestStore(t, func(t *testing.T) accounttest.Store {
		calls := new(observertest.Calls)
		a := openWith(t, Options{
			Path:     filepath.Join(t.TempDir(), "a folder", "100%?.db"),
			Timeout:  time.Hour,
			Observer: calls,
		})
		if applied, err := a.Migrate(t.Context()); err != nil || len(applied) == 0 {
			t.Fatalf("Migrate: %v, %v", applied, err)
		}
		return accounttest.Store{
			Store: a,
			Calls: calls,
			Exec: func(t *testing.T, statement, id string) {
				t.Helper()
				if _, err := a.write.ExecContext(t.Context(), statement, id); err != nil {
					t.Fatal(err)
				}
			},
			Age: func(t *testing.T, d time.Duration) {
				t.Helper()
				for table, columns := range accounttest.Times {
					for _, column := range columns {
						move := `update ` + table + ` set ` + column + ` = ` + column + ` - $1`
						if _, err := a.write.ExecContext(t.Context(), move, d.Microseconds()); err != nil {
							t.Fatal(err)
						}
					}
				}
			},
		}
	})
}

// TestFileIsItsOwners checks that no other user of the machine can read the files.
func TestFileIsItsOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	a := open(t, path)
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
}

func TestMigrateTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	a := open(t, path)
	pending, err := a.Pending(t.Context())
	if err != nil || len(pending) == 0 {
		t.Fatalf("Pending before: %v, %v; want the migrations", pending, err)
	}
	if applied, err := a.Migrate(t.Context()); err != nil || len(applied) != len(pending) {
		t.Fatalf("Migrate: %v, %v; want %v", applied, err, pending)
	}
	b := open(t, path)
	if applied, err := b.Migrate(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Migrate again: %v, %v; want none", applied, err)
	}
	if pending, err := b.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("Pending after: %v, %v; want none", pending, err)
	}
}

// TestOverBeforeCommit checks that a call whose time is over between its last statement and the commit is unavailable.
func TestOverBeforeCommit(t *testing.T) {
	a := openWith(t, Options{Path: filepath.Join(t.TempDir(), "otp.db"), Timeout: 100 * time.Millisecond})
	err := a.tx(t.Context(), "test", func(_ context.Context, tx *sql.Tx, _ time.Time) error {
		for { // until the transaction has been rolled back
			if _, err := tx.ExecContext(context.Background(), "select 1"); errors.Is(err, sql.ErrTxDone) {
				return nil
			}
		}
	})
	if !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("a call whose time is over: %v; want ErrUnavailable", err)
	}
}

// TestMigrateFirstVersion checks that a file of the first version keeps its rows.
func TestMigrateFirstVersion(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "otp.db"))
	text, err := os.ReadFile("../../migrations/00001_users_and_sessions.sql")
	if err != nil {
		t.Fatal(err)
	}
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	now := time.Now()
	for _, statement := range []string{
		strings.ReplaceAll(string(text), `collate "C"`, ""),
		`create table schema_migrations (name text primary key)`,
		`insert into schema_migrations values ('00001_users_and_sessions.sql')`,
		fmt.Sprintf(`insert into users values ('%s', '+989121234567', %d, null, null)`, id, now.UnixMicro()),
		fmt.Sprintf(`insert into sessions values ('%s', '%s', '%s', x'01', 'agent', '192.0.2.1', %d, %d, null)`,
			id, id, id, now.UnixMicro(), now.Add(time.Hour).UnixMicro()),
	} {
		if _, err := a.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, old := range accounttest.OldPhones() {
		const insert = `insert into users values ($1, $2, 0, null, null) on conflict do nothing`
		if _, err := a.write.ExecContext(t.Context(), insert, uuid.NewString(), old); err != nil {
			t.Fatal(err)
		}
	}
	if applied, err := a.Migrate(t.Context()); err != nil || len(applied) < 2 {
		t.Fatalf("Migrate: %v, %v; want those after the first", applied, err)
	}
	accounttest.CheckPhones(t, a)
	u, err := a.BySession(t.Context(), uuid.MustParse(id), uuid.MustParse(id))
	if err != nil || u.Phone.E164() != "+989121234567" || !u.LastLoginAt.IsZero() {
		t.Errorf("BySession: %+v, %v; want the user of before", u, err)
	}
	if err := a.Delete(t.Context(), account.Event{ID: uuid.Must(uuid.NewV7()), User: u.ID}); err != nil {
		t.Fatal(err)
	}
	var left int
	err = a.read.QueryRowContext(t.Context(), `select count(*) from sessions`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d sessions of a deleted user, %v; want none", left, err)
	}
}

// TestTouch checks that every Touch writes more than a login, that the database does not grow with it, and that a file
// that takes no writes is unavailable.
func TestTouch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otp.db")
	a := open(t, path)
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	logged := func() int64 {
		t.Helper()
		wal, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return wal.Size()
	}
	pages := func() (n int) {
		t.Helper()
		if err := a.write.QueryRowContext(t.Context(), "pragma page_count").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	touch := func() (written int64) {
		t.Helper()
		before := logged()
		if err := a.Touch(t.Context()); err != nil {
			t.Fatalf("Touch: %v", err)
		}
		return logged() - before
	}
	touch()
	before := logged()
	if _, err := a.Login(t.Context(), account.NewSession{
		Claim:       account.Claim{Phone: phone.Stored("+989121234567")},
		ID:          uuid.Must(uuid.NewV7()),
		Challenge:   uuid.Must(uuid.NewV7()),
		UserID:      uuid.Must(uuid.NewV7()),
		FamilyHash:  make([]byte, 32),
		RefreshHash: make([]byte, 32),
		LogsIn:      true,
		Event:       uuid.Must(uuid.NewV7()),
	}); err != nil {
		t.Fatal(err)
	}
	login, size := logged()-before, pages()
	for n := range 3 {
		if got := touch(); got <= login {
			t.Errorf("Touch %d wrote %d bytes; want more than the %d of a login", n, got, login)
		}
	}
	if got := pages(); got != size {
		t.Errorf("the database has %d pages after more calls of Touch; want the %d that it had", got, size)
	}
	if _, err := a.write.ExecContext(t.Context(), "pragma query_only = 1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Touch(t.Context()); !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("Touch of a file that takes no writes: %v; want ErrUnavailable", err)
	}
}
