// Package pgtest creates a Postgres database for a test.
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
	run(t, server, "create database "+name)
	t.Cleanup(func() { run(t, server, "drop database "+name+" with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// run runs a statement on a connection of its own.
func run(t testing.TB, url, statement string) {
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
