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
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/pgstore/pgtest"
	"dekamond-otp/internal/probe"
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
	a := open(t, address)
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

// TestRefusals checks that a server that refuses what a setting says is told from one that does not answer, even if the
// connection was first tried with TLS, which is the default.
func TestRefusals(t *testing.T) {
	address := pgtest.NewDatabase(t)
	const role, password = "test_refusals", "a/b+c=d@e"
	pgtest.NewRole(t, address, role, password)
	for _, tc := range []struct {
		change func(u *url.URL)
		want   string // a setting; "" if the connection works
	}{
		{func(*url.URL) {}, ""},
		{func(u *url.URL) { u.User = url.UserPassword(role, "wrong") }, "PGPASSWORD"},
		{func(u *url.URL) { u.User = url.User(role) }, "PGPASSWORD"},
		{func(u *url.URL) { u.User = url.User("nobody") }, "PGUSER"},
		{func(u *url.URL) { u.Path = "/no_such_database" }, "PGDATABASE"},
		{func(u *url.URL) { u.RawQuery = "sslmode=require" }, "PGSSLMODE"},
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		u.RawQuery, u.User = "", url.UserPassword(role, password)
		tc.change(u)
		a, err := Open(Options{URL: u.String()})
		if err != nil {
			t.Fatal(err)
		}
		_, inspected := a.Inspect(t.Context())
		for call, err := range map[string]error{"Ping": a.Ping(t.Context()), "Inspect": inspected} {
			refused, _ := errors.AsType[probe.Refusal](err)
			if refused.Setting != tc.want || (err == nil) != (tc.want == "") {
				t.Errorf("%s of %s: %v; want a refusal about %q", call, u.Redacted(), err, tc.want)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMisfits checks that a URL that the driver does not take is explained, and nothing of it quoted.
func TestMisfits(t *testing.T) {
	for parameters, want := range map[string]string{
		"/otp?sslmode=hunter2":                    "sslmode",
		"/otp?sslrootcert=/hunter2":               "sslrootcert",
		"/otp?connect_timeout=hunter2":            "connect_timeout",
		"/otp?target_session_attrs=hunter2":       "target_session_attrs",
		"/otp?pool_max_conns=hunter2":             "pool_",
		"/otp?service=hunter2":                    "service file",
		":99999/otp":                              "port",
		"/otp?statement_cache_capacity=hunter2":   "is no URL that Postgres knows",
		"/otp?default_query_exec_mode=hunter2%60": "is no URL that Postgres knows",
	} {
		_, err := Open(Options{URL: "postgres://otp:hunter2@db" + parameters})
		refused, ok := errors.AsType[probe.Refusal](err)
		if !ok || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, about %s; want %s in it, and no value", parameters, err, refused.Setting, want)
		}
	}
}

// TestInspectWithoutRoom checks that a database that answers and takes no write is found.
func TestInspectWithoutRoom(t *testing.T) {
	address := pgtest.NewDatabase(t)
	exec := migrated(t, address)
	if got, err := inspect(t, address); err != nil || got.NoWrites != nil {
		t.Errorf("Inspect: %v, %v; want that it takes writes", got.NoWrites, err)
	}
	exec(`create function refuse() returns trigger language plpgsql as
		$$ begin raise exception 'could not extend file' using errcode = '53100'; end $$`)
	exec("create trigger full_disk before insert on health execute function refuse()")
	got, err := inspect(t, address)
	if pg, ok := errors.AsType[*pgconn.PgError](got.NoWrites); err != nil || !ok || pg.Code != "53100" {
		t.Errorf("Inspect of a full disk: %v, %v; want SQLSTATE 53100", got.NoWrites, err)
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
