// Package pgtest creates and changes a Postgres database for a test.
package pgtest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// NewDatabase creates an empty database on the server that TEST_POSTGRES_URL names, and returns its URL. The database
// is dropped when the test ends.
func NewDatabase(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("TEST_POSTGRES_URL is not set; make test starts what the tests need")
	}
	name := "test_" + strings.ToLower(rand.Text())
	Exec(t, server, "create database "+name)
	t.Cleanup(func() { Exec(t, server, "drop database "+name+" with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// NewRole creates a role that may make tables in the database, and that has to give the password where the server asks
// for one: the server of .ci/with-services does. The role is dropped when the test ends.
func NewRole(t testing.TB, database, role, password string) {
	t.Helper()
	for _, statement := range []string{
		`do $$ begin create role needs_password; exception when duplicate_object or unique_violation then end $$`,
		`create role ` + quote(role) + ` login password '` + strings.ReplaceAll(password, "'", "''") + `'`,
		`grant needs_password to ` + quote(role),
		`grant all on schema public to ` + quote(role),
	} {
		Exec(t, database, statement)
	}
	t.Cleanup(func() { Exec(t, database, `drop owned by `+quote(role)+`; drop role `+quote(role)) })
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// Exec runs a statement on a connection of its own.
func Exec(t testing.TB, url, statement string) {
	t.Helper()
	ctx := context.Background() // t.Context() is done before the cleanup runs
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}
