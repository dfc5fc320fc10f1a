package sqlitestore

import (
	"path/filepath"
	"testing"

	"dekamond-otp/internal/account/accounttest"
)

func open(t *testing.T, path string) *Accounts {
	t.Helper()
	a, err := Open(path)
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

func TestAccounts(t *testing.T) {
	accounttest.TestStore(t, func(t *testing.T) accounttest.Store {
		a := open(t, filepath.Join(t.TempDir(), "a folder", "100%?.db"))
		if applied, err := a.Migrate(t.Context()); err != nil || len(applied) == 0 {
			t.Fatalf("Migrate: %v, %v", applied, err)
		}
		return accounttest.Store{Store: a, Exec: func(t *testing.T, statement, id string) {
			t.Helper()
			if _, err := a.write.ExecContext(t.Context(), statement, id); err != nil {
				t.Fatal(err)
			}
		}}
	})
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
