package pgstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/account/accounttest"
	"dekamond-otp/internal/pgstore/pgtest"
)

func open(t *testing.T, url string) *Accounts {
	t.Helper()
	a, err := Open(url)
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
		a := open(t, pgtest.NewDatabase(t))
		if applied, err := a.Migrate(t.Context()); err != nil || len(applied) == 0 {
			t.Fatalf("Migrate: %v, %v", applied, err)
		}
		return accounttest.Store{Store: a, Exec: func(t *testing.T, statement, id string) {
			t.Helper()
			if _, err := a.pool.Exec(t.Context(), statement, id); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

func TestMigrateByManyCopies(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a := open(t, url)
	pending, err := a.Pending(t.Context())
	if err != nil || len(pending) == 0 {
		t.Fatalf("Pending before: %v, %v; want the migrations", pending, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for range 8 {
		wg.Go(func() {
			names, err := open(t, url).Migrate(t.Context())
			if err != nil {
				t.Errorf("Migrate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, names...)
		})
	}
	wg.Wait()
	if strings.Join(applied, " ") != strings.Join(pending, " ") {
		t.Errorf("8 copies applied %v; want each of %v once", applied, pending)
	}
	if pending, err := a.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("Pending after: %v, %v; want none", pending, err)
	}
}

// TestListUsesIndexes holds the promise that a page costs no scan of all users.
func TestListUsesIndexes(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const fill = `
		insert into users (id, phone, created_at)
		select gen_random_uuid(), '+98912' || lpad(n::text, 7, '0'), now() from generate_series(1, 50000) n`
	for _, statement := range []string{fill, `analyze users`} {
		if _, err := a.pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct{ sql, low, high string }{
		"newest":        {listUsers, "", ""},
		"full number":   {listUsersByPhone, "+989120012345", "+989120012345:"},
		"rare prefix":   {listUsersByPhone, "+98912001", "+98912001:"},
		"common prefix": {listUsersByPhone, "+989", "+989:"},
	} {
		args := []any{"ffffffff-ffff-ffff-ffff-ffffffffffff", 21}
		if tc.low != "" {
			args = append(args, tc.low, tc.high)
		}
		rows, err := a.pool.Query(t.Context(), "explain "+tc.sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan") || !strings.Contains(text, "Index") {
			t.Errorf("%s:\n%s\nwant no sequential scan", name, text)
		}
	}
}

func TestUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, address := range map[string]string{"mute": listener.Addr().String(), "closed": closed.Addr().String()} {
		a := open(t, "postgres://user:pass-word@"+address+"/db?sslmode=disable")
		began := time.Now()
		err := a.Ping(t.Context())
		if took := time.Since(began); !errors.Is(err, account.ErrUnavailable) || took > 3*time.Second {
			t.Errorf("Ping, %s server: %v after %v; want ErrUnavailable within the timeouts", name, err, took)
		}
		if err != nil && strings.Contains(err.Error(), "pass-word") {
			t.Errorf("the error prints the password: %v", err)
		}
	}
}

func TestStatementTimeout(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	began := time.Now()
	err := a.do(t.Context(), func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, `select pg_sleep(10)`)
		return err
	})
	if took := time.Since(began); !errors.Is(err, account.ErrUnavailable) || took > 5*time.Second {
		t.Errorf("a statement of 10 s: %v after %v; want ErrUnavailable", err, took)
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open("postgres://user:pass-word@host:port/db"); err == nil || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("Open: %v; want an error without the password", err)
	}
}
