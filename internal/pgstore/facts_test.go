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

	"dekamond-otp/internal/pgstore/pgtest"
)

func inspect(t *testing.T, address string) (Facts, error) {
	t.Helper()
	a, err := Open(Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	return a.Inspect(t.Context())
}

func TestInspect(t *testing.T) {
	address := pgtest.NewDatabase(t)
	got, err := inspect(t, address)
	known := got.Version >= 100000 && got.MayMigrate && len(got.Pending) > 0
	room := got.Pool == maxConns && got.Connections >= maxConns && got.Used >= 1
	local := !got.Replica && !got.ReadOnly && !got.Public && !got.TLS
	if err != nil || !known || !room || !local || got.Latency <= 0 || got.Skew.Abs() > time.Minute {
		t.Errorf("Inspect of an empty database: %+v, %v", got, err)
	}
	migrated(t, address)
	if got, err := inspect(t, address); err != nil || len(got.Pending) != 0 {
		t.Errorf("Inspect of a migrated database: %+v, %v; want nothing pending", got, err)
	}
}

// migrated migrates the database, and returns a function that executes statements in it.
func migrated(t *testing.T, address string) (exec func(sql string)) {
	t.Helper()
	a, err := Open(Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(sql string) {
		t.Helper()
		err := a.within(t.Context(), a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
			_, err := c.Exec(ctx, sql)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestInspectAsRole(t *testing.T) {
	address := pgtest.NewDatabase(t)
	exec := migrated(t, address)
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
	if _, err := inspect(t, u.String()); !errors.Is(err, errRights) {
		t.Errorf("Inspect as a role that may not read the tables: %v; want %v", err, errRights)
	}
	exec("grant select on schema_migrations to " + role)
	if _, err := inspect(t, u.String()); !errors.Is(err, errRights) {
		t.Errorf("Inspect as a role that may not write the tables: %v; want %v", err, errRights)
	}
	exec("grant select, insert, update, delete on users, sessions, audit, health to " + role)
	got, err := inspect(t, u.String())
	if err != nil || got.Superuser || !got.ReadOnly || !got.Unsafe || got.Pool != 7 {
		t.Errorf("Inspect as a role of its own: %+v, %v; want no superuser, read-only, unsafe, a pool of 7", got, err)
	}
	query.Set("sslmode", "require")
	u.RawQuery = query.Encode()
	if _, err := inspect(t, u.String()); !errors.Is(err, errNoTLS) {
		t.Errorf("Inspect with TLS, which the server does not have: %v; want %v", err, errNoTLS)
	}
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	u.Path = "/no_such_database"
	if _, err := inspect(t, u.String()); err == nil || !strings.Contains(err.Error(), "3D000") {
		t.Errorf("Inspect of no database: %v; want SQLSTATE 3D000", err)
	}
}

// TestInspectConn checks what each sslmode promises (PostgreSQL manual, SSL Support).
func TestInspectConn(t *testing.T) {
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	for mode, unverified := range map[string]bool{
		"disable":     true,
		"allow":       true,
		"prefer":      true,
		"require":     true,
		"verify-full": false,
	} {
		c, err := pgx.ParseConfig("postgres://otp:hunter2@db.example.com/otp?sslmode=" + mode)
		if err != nil {
			t.Fatal(err)
		}
		var got Facts
		if inspectConn(conn, c, &got); got.Unverified != unverified || got.KnownPassword {
			t.Errorf("sslmode=%s: %+v; want unverified: %v", mode, got, unverified)
		}
	}
	for address, want := range map[string]bool{
		"postgres://otp:otp@db/otp":      true,
		"postgres://otp:postgres@db/otp": true,
		"postgres://otp@db/otp":          false,
	} {
		c, err := pgx.ParseConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		var got Facts
		if inspectConn(conn, c, &got); got.KnownPassword != want {
			t.Errorf("%s: a known password: %v; want %v", address, got.KnownPassword, want)
		}
	}
}

// TestInspectInTime checks that Inspect leaves a server that does not answer when ctx is done.
func TestInspectInTime(t *testing.T) {
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
	if _, err := a.Inspect(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Inspect: %v; want the deadline", err)
	}
	_ = a.Close()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("Inspect and Close took %v; want them in time", took)
	}
}
