// Package sqlitestore keeps users, sessions and their audit in one SQLite file, so that the service runs with no
// database beside it. What a user is belongs to package account; one suite holds this store and the one
// on Postgres equal.
//
// SQLite lets one connection write at a time, so there is one that writes, and writers wait for it in Go
// instead of failing as busy. Readers have their own. What was committed survives a kill and a power cut.
// Identifiers are kept as text, times as microseconds since 1970.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"dekamond-otp/internal/account"
	"dekamond-otp/migrations"
)

const (
	callTimeout = 5 * time.Second // with the wait for the writing connection
	readers     = 4
)

// Accounts is an account.Store.
type Accounts struct {
	write, read *sql.DB
	timeout     time.Duration // of a call
}

var _ account.Store = (*Accounts)(nil)

// Open gives the store of a file, which is made, with its folder, if it is not there.
func Open(path string) (*Accounts, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let everybody read it
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	if err := made.Close(); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	file := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	write, err := sql.Open("sqlite", file+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", file+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: %w", err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	return &Accounts{write: write, read: read, timeout: callTimeout}, nil
}

// Close closes the file.
func (a *Accounts) Close() error { return errors.Join(a.read.Close(), a.write.Close()) }

// Ping tells whether the file can be written.
func (a *Accounts) Ping(ctx context.Context) error {
	return a.do(ctx, func(ctx context.Context) error {
		tx, err := a.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		return tx.Rollback()
	})
}

// System is what OpenTelemetry calls SQLite.
func (*Accounts) System() string { return "sqlite" }

// Pool tells of the connections, how many calls had to wait for one, and for how long together.
func (a *Accounts) Pool() (idle, used, most int, waits int64, waited time.Duration) {
	for _, db := range []*sql.DB{a.write, a.read} {
		s := db.Stats()
		idle, used, most = idle+s.Idle, used+s.InUse, most+s.MaxOpenConnections
		waits, waited = waits+s.WaitCount, waited+s.WaitDuration
	}
	return idle, used, most, waits, waited
}

// Migrate brings the schema up to date and gives the names of the migrations that it applied.
func (a *Accounts) Migrate(ctx context.Context) ([]string, error) {
	return migrations.Apply(ctx, a.write, migrations.SQLite)
}

// Pending gives the names of the migrations that Migrate would apply.
func (a *Accounts) Pending(ctx context.Context) ([]string, error) {
	return migrations.Pending(ctx, a.write, migrations.SQLite)
}

// do runs f with the timeout and the errors of account.
func (a *Accounts) do(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return translate(f(ctx))
}

// tx runs f in a transaction that writes, at a time that is the same for all of it, with the timeout and
// the errors of account.
func (a *Accounts) tx(ctx context.Context, f func(ctx context.Context, tx *sql.Tx, now time.Time) error) error {
	return a.do(ctx, func(ctx context.Context) error {
		tx, err := a.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit
		if err := f(ctx, tx, time.Now()); err != nil {
			return err
		}
		return tx.Commit()
	})
}

// first runs a query and scans the first row that it gives.
func first[T any](ctx context.Context, a *Accounts, scan func(row) (T, error), query string, args ...any) (found T, err error) {
	err = a.do(ctx, func(ctx context.Context) error {
		found, err = scan(a.read.QueryRowContext(ctx, query, args...))
		return err
	})
	return found, err
}

// all runs a query and scans its rows.
func all[T any](ctx context.Context, a *Accounts, scan func(row) (T, error), query string, args ...any) (found []T, err error) {
	err = a.do(ctx, func(ctx context.Context) (err error) {
		rows, err := a.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			one, err := scan(rows)
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return rows.Err()
	})
	return found, err
}

// A row can be scanned.
type row interface{ Scan(...any) error }

// exec runs a statement and gives the number of rows that it has met.
func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (met int, err error) {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// must runs a statement that must meet a row; it is account.ErrNotFound where it meets none.
func must(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	met, err := exec(ctx, tx, statement, args...)
	if err == nil && met == 0 {
		return account.ErrNotFound
	}
	return err
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }

func translate(err error) error {
	var lite *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return account.ErrNotFound
	case errors.Is(err, account.ErrNotFound), errors.Is(err, account.ErrTaken):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: sqlite: %w", account.ErrUnavailable, err)
	case !errors.As(err, &lite):
	case lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE: // the challenge's is the only one that an insert can meet
		return account.ErrSpent
	case transient(lite.Code() & 0xff):
		return fmt.Errorf("%w: sqlite: %w", account.ErrUnavailable, err)
	}
	return fmt.Errorf("sqlite: %w", err)
}

// transient tells whether a primary result code says that the file cannot be used now, and may be later.
func transient(code int) bool {
	switch code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}
