// Package migrations owns the schema: NNNNN_name.sql files, applied once each, in the order of their names.
//
// The files are written for Postgres. What SQLite does not know of them is left out when it reads them;
// the rest is SQL that both understand, and the stores choose what to put into a column. Where the two have
// to do a thing in different ways, each has a file of its own: NNNNN_name.postgres.sql, NNNNN_name.sqlite.sql.
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
	name     string // in the names of the files that are for it alone
	lock     string // makes a second run wait until the transaction ends
	patience string // with the locks of everybody else
	adjust   *strings.Replacer
}

var (
	// Postgres is PostgreSQL and what speaks its protocol.
	Postgres = Dialect{
		name: "postgres", lock: `select pg_advisory_xact_lock(7823614207)`, patience: `set local lock_timeout = '1s'`, adjust: strings.NewReplacer(),
	}
	// SQLite is SQLite, opened so that a transaction takes the write lock at once.
	SQLite = Dialect{name: "sqlite", lock: `select 1`, patience: `select 1`, adjust: strings.NewReplacer(`collate "C"`, "")}
)

const (
	tries = 20
	pause = 500 * time.Millisecond // before a migration that others kept waiting is tried again
)

// Apply runs the migrations that the database does not have, each in a transaction of its own, and gives
// their names. Any number of copies may run it at once, and copies of the version before may go on: a
// migration that has to wait for them gives up after a moment, since all others would wait behind it, and
// is tried again.
func Apply(ctx context.Context, db *sql.DB, d Dialect) (applied []string, err error) {
	for failed := 0; ; {
		name, err := d.applyNext(ctx, db)
		switch {
		case err == nil && name == "":
			return applied, nil
		case err == nil:
			applied, failed = append(applied, name), 0
			continue
		case !waited(err) || failed == tries:
			return applied, err
		}
		failed++
		select {
		case <-ctx.Done():
			return applied, err
		case <-time.After(pause):
		}
	}
}

// waited tells whether somebody else's lock was in the way (PostgreSQL manual, appendix A).
func waited(err error) bool { return slices.Contains([]string{"55P03", "40P01"}, state(err)) }

// denied tells whether the user may not read what is there (the same).
func denied(err error) bool { return state(err) == "42501" }

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

// applyNext runs the first migration that the database does not have; there is none where name is empty.
func (d Dialect) applyNext(ctx context.Context, db *sql.DB) (name string, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	for _, statement := range []string{d.lock, `create table if not exists schema_migrations (name text primary key)`} {
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
		text, err := files.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("migrations: %w", err)
		}
		for _, statement := range []string{d.patience, d.adjust.Replace(string(text))} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return "", fmt.Errorf("migrations: %s: %w", name, err)
			}
		}
		if _, err := tx.ExecContext(ctx, `insert into schema_migrations (name) values ($1)`, name); err != nil {
			return "", fmt.Errorf("migrations: %s: %w", name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	return name, nil
}

// Pending gives the names of the migrations that the database does not have, and changes nothing.
func Pending(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	pending, err := d.missing(ctx, db)
	if err != nil && !denied(err) && db.PingContext(ctx) == nil {
		return d.names() // the database answers, and has no table of migrations
	}
	return pending, err
}

func (d Dialect) missing(ctx context.Context, db interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
},
) (pending []string, err error) {
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

// names are the files for the database, in the order of their numbers.
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
