package pgstore

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/pgstore/pgtest"
)

func facts(t *testing.T, address string) (doctor.Postgres, error) {
	t.Helper()
	a, err := Open(Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	return a.Facts(t.Context())
}

func TestFacts(t *testing.T) {
	address := pgtest.NewDatabase(t)
	got, err := facts(t, address)
	if err != nil || got.Version < 100000 || !got.MayMigrate || len(got.Pending) == 0 || got.Pool != maxConns || got.Connections < maxConns || got.Used < 1 ||
		got.Replica || got.ReadOnly || got.Public || got.TLS || got.Latency <= 0 || got.Skew.Abs() > time.Minute {
		t.Errorf("Facts of an empty database: %+v, %v", got, err)
	}
	a, err := Open(Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	exec := func(sql string) {
		t.Helper()
		if err := a.within(t.Context(), a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error { _, err := c.Exec(ctx, sql); return err }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := facts(t, address); err != nil || len(got.Pending) != 0 {
		t.Errorf("Facts of a migrated database: %+v, %v; want nothing pending", got, err)
	}

	role := "doctor_" + address[strings.LastIndex(address, "test_"):strings.LastIndex(address, "?")]
	exec("create role " + role + " login")
	defer exec("drop owned by " + role + "; drop role " + role)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	query := u.Query()
	query.Set("default_transaction_read_only", "on")
	query.Set("synchronous_commit", "off")
	query.Set("pool_max_conns", "7")
	u.RawQuery = query.Encode()
	if _, err := facts(t, u.String()); !errors.Is(err, errOthers) {
		t.Errorf("Facts for a role that may not read the tables: %v; want %v", err, errOthers)
	}
	exec("grant select on schema_migrations to " + role)
	if _, err := facts(t, u.String()); !errors.Is(err, errOthers) {
		t.Errorf("Facts for a role that may not write the tables: %v; want %v", err, errOthers)
	}
	exec("grant select, insert, update, delete on users, sessions, audit to " + role)
	if got, err := facts(t, u.String()); err != nil || got.Superuser || !got.ReadOnly || !got.Unsafe || got.Pool != 7 {
		t.Errorf("Facts for a role of its own: %+v, %v; want no superuser, read-only, unsafe, a pool of 7", got, err)
	}
	query.Set("sslmode", "require")
	u.RawQuery = query.Encode()
	if _, err := facts(t, u.String()); !errors.Is(err, errNoTLS) {
		t.Errorf("Facts with TLS, which the server does not have: %v; want %v", err, errNoTLS)
	}
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	u.Path = "/no_such_database"
	if _, err := facts(t, u.String()); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("Facts of no database: %v; want SQLSTATE 3D000", err)
	}
}

// TestLook holds what each sslmode promises (PostgreSQL manual, SSL Support).
func TestLook(t *testing.T) {
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	for mode, unverified := range map[string]bool{"disable": true, "allow": true, "prefer": true, "require": true, "verify-full": false} {
		c, err := pgx.ParseConfig("postgres://otp:hunter2@db.example.com/otp?sslmode=" + mode)
		if err != nil {
			t.Fatal(err)
		}
		var got doctor.Postgres
		if look(conn, c, &got); got.Unverified != unverified || got.KnownPassword {
			t.Errorf("sslmode=%s: %+v; want unverified: %v", mode, got, unverified)
		}
	}
	for address, want := range map[string]bool{"postgres://otp:otp@db/otp": true, "postgres://otp:postgres@db/otp": true, "postgres://otp@db/otp": false} {
		c, err := pgx.ParseConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		var got doctor.Postgres
		if look(conn, c, &got); got.KnownPassword != want {
			t.Errorf("%s: a known password: %v; want %v", address, got.KnownPassword, want)
		}
	}
}

// TestFactsInTime holds that a server that says nothing is given up when ctx is done.
func TestFactsInTime(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := Open(Options{URL: "postgres://otp:hunter2@" + l.Addr().String() + "/otp?sslmode=disable"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := a.Facts(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Facts: %v; want the deadline", err)
	}
	_ = a.Close()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("Facts and Close took %v; want them in time", took)
	}
}
