// Package migrations owns the schema: files named NNNNN_name.sql, each applied once, in the order of their names.
//
// The files are written for Postgres. Apply removes the few words that SQLite does not know. Both understand the rest,
// and each store decides how it encodes the values of a column. Where the two need different statements, each has a
// file of its own: NNNNN_name.postgres.sql and NNNNN_name.sqlite.sql.
//
// It uses no library: goose v3.30 keeps its lock either in a session, which a pooler in transaction mode hands on to
// another client, or in a table, and even its status creates the table that Pending only reads. It would replace the
// loop in Apply, and need a store for schema_migrations, a file system for each dialect, and the same retries.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

//go:embed *.sql
var files embed.FS

// A Dialect is a kind of database.
type Dialect struct {
	name     string            // in the names of the files that only this dialect applies
	lock     string            // takes a lock that other runs wait for; the end of the transaction releases it
	patience string            // limits how long a migration waits for locks
	adjust   *strings.Replacer // removes what the dialect does not know
}

var (
	// Postgres is PostgreSQL, and any database that speaks its protocol.
	Postgres = Dialect{
		name:     "postgres",
		lock:     `select pg_advisory_xact_lock(7823614207)`,
		patience: `set local lock_timeout = '1s'`,
		adjust:   strings.NewReplacer(),
	}
	// SQLite is SQLite. Its connection must take the write lock at the beginning of a transaction.
	SQLite = Dialect{
		name:     "sqlite",
		lock:     `select 1`,
		patience: `select 1`,
		adjust:   strings.NewReplacer(`collate "C"`, ""),
	}
)

const createTable = `create table if not exists schema_migrations (name text primary key)`

const (
	retries = 20
	pause   = 500 * time.Millisecond // before a retry
)

// Apply runs the migrations that the database does not have, each in a transaction of its own, and returns their
// names. Any number of copies may run it at the same time, while copies of the version before are still at work. A
// migration gives up after waiting a second for a lock, because all other statements on the table would wait behind
// it, and is retried up to 20 times, every half second.
func Apply(ctx context.Context, db *sql.DB, d Dialect) (applied []string, err error) {
	for failures := 0; ; {
		name, err := d.applyNext(ctx, db)
		switch {
		case err == nil && name == "":
			return applied, nil
		case err == nil:
			applied, failures = append(applied, name), 0
			continue
		case !isLocked(err) || failures == retries:
			return applied, err
		}
		failures++
		select {
		case <-ctx.Done():
			return applied, err
		case <-time.After(pause):
		}
	}
}

// isLocked reports whether the lock of another transaction was the cause: lock_not_available or deadlock_detected
// (PostgreSQL manual, appendix A).
func isLocked(err error) bool { return slices.Contains([]string{"55P03", "40P01"}, state(err)) }

// isNew reports whether the database has no table of migrations yet: undefined_table (PostgreSQL manual, appendix A).
// SQLite has no code for that, only words.
func isNew(err error) bool {
	return state(err) == "42P01" || strings.Contains(err.Error(), "no such table")
}

// state returns the SQLSTATE of an error, or "".
func state(err error) string {
	failure, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	if !ok {
		return ""
	}
	return failure.SQLState()
}

// applyNext runs the first migration that the database does not have. It returns "" if there is none.
func (d Dialect) applyNext(ctx context.Context, db *sql.DB) (name string, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // has no effect after the commit
	for _, statement := range []string{d.lock, createTable} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return "", fmt.Errorf("migrations: %w", err)
		}
	}
	pending, err := d.missing(ctx, tx)
	if err != nil {
		return "", err
	}
	if len(pending) > 0 {
		name = pending[0]
		if err := d.run(ctx, tx, name); err != nil {
			return "", fmt.Errorf("migrations: %s: %w", name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	return name, nil
}

// run executes one migration and records it.
func (d Dialect) run(ctx context.Context, tx *sql.Tx, name string) error {
	text, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	for _, statement := range []string{d.patience, d.adjust.Replace(string(text))} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `insert into schema_migrations (name) values ($1)`, name)
	return err
}

// Pending returns the names of the migrations that the database does not have. It changes nothing.
func Pending(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	pending, err := d.missing(ctx, db)
	if err != nil && isNew(err) {
		return d.names()
	}
	return pending, err
}

// A querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (d Dialect) missing(ctx context.Context, db querier) (pending []string, err error) {
	pending, err = d.names()
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `select name from schema_migrations`)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var done string
		if err := rows.Scan(&done); err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		pending = slices.DeleteFunc(pending, func(name string) bool { return name == done })
	}
	return pending, rows.Err()
}

// names returns the names of the dialect's files, in order.
func (d Dialect) names() ([]string, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		parts := strings.Split(name, ".")
		return len(parts) == 3 && parts[1] != d.name
	}), nil
}
