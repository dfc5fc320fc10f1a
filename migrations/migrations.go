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
)

//go:embed *.sql
var files embed.FS

// A Dialect is a kind of database.
type Dialect struct {
	name   string // in the names of the files that are for it alone
	lock   string // makes a second run wait until the transaction ends
	adjust *strings.Replacer
}

var (
	// Postgres is PostgreSQL and what speaks its protocol.
	Postgres = Dialect{name: "postgres", lock: `select pg_advisory_xact_lock(7823614207)`, adjust: strings.NewReplacer()}
	// SQLite is SQLite, opened so that a transaction takes the write lock at once.
	SQLite = Dialect{name: "sqlite", lock: `select 1`, adjust: strings.NewReplacer(`collate "C"`, "")}
)

// Apply runs the migrations that the database does not have, in one transaction, and gives their names.
// Any number of copies may run it at once.
func Apply(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	for _, statement := range []string{d.lock, `create table if not exists schema_migrations (name text primary key)`} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
	}
	pending, err := d.missing(ctx, tx)
	if err != nil {
		return nil, err
	}
	for _, name := range pending {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		if _, err := tx.ExecContext(ctx, d.adjust.Replace(string(text))); err != nil {
			return nil, fmt.Errorf("migrations: %s: %w", name, err)
		}
		if _, err := tx.ExecContext(ctx, `insert into schema_migrations (name) values ($1)`, name); err != nil {
			return nil, fmt.Errorf("migrations: %s: %w", name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return pending, nil
}

// Pending gives the names of the migrations that the database does not have, and changes nothing.
func Pending(ctx context.Context, db *sql.DB, d Dialect) ([]string, error) {
	pending, err := d.missing(ctx, db)
	if err != nil && db.PingContext(ctx) == nil {
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
