// Package sqlitestore keeps users, sessions and their audit log in one SQLite file, so that the service runs without a
// database server. What a user is belongs to package account, whose conformance suite this store passes like the one on
// Postgres.
//
// SQLite admits one writing connection at a time. Therefore there is exactly one, and writers wait for it in Go instead
// of failing as busy. Readers have connections of their own. What was committed survives a kill and a power failure.
// Identifiers are stored as text, times as microseconds since 1970.
package sqlitestore

import (
	"cmp"
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
	"dekamond-otp/internal/probe"
	"dekamond-otp/migrations"
)

const readers = 4 // connections

// Options are the inputs of Open.
type Options struct {
	Path string // of the file
	// Timeout is how long a call may take, with its wait for the writing connection. Defaults to 5 s.
	Timeout  time.Duration
	Observer Observer // nil: calls are not observed
}

// Accounts is an account.Store. It is safe for concurrent use.
type Accounts struct {
	write, read *sql.DB
	timeout     time.Duration
	observer    Observer
}

var _ account.Store = (*Accounts)(nil)

// Open returns the store of a file. It creates the file, readable by its owner alone, and its folder if they do not
// exist.
func Open(o Options) (*Accounts, error) {
	if err := create(o.Path); err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", probe.Unwritable(o.Path, err))
	}
	file := "file:" + (&url.URL{Path: o.Path}).EscapedPath() +
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
	return &Accounts{write: write, read: read, timeout: cmp.Or(o.Timeout, 5*time.Second), observer: o.Observer}, nil
}

// create creates the file, readable by its owner alone. SQLite itself would let all users of the machine read it.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// Close closes the file.
func (a *Accounts) Close() error { return errors.Join(a.read.Close(), a.write.Close()) }

// Ping returns nil if the file can be locked for a write, whatever its schema. Its error has a probe.Refusal if SQLite
// cannot read the file.
func (a *Accounts) Ping(ctx context.Context) error {
	err := a.within(ctx, func(ctx context.Context) error {
		tx, err := a.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		return tx.Rollback()
	})
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code()&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%w (%w)", probe.Refusal{Words: "is no file of SQLite"}, err)
	}
	return err
}

// touch writes 17 pages, which are more than a login writes. A smaller write would still find room on a full disk where
// a login does not. The padding is random, because SQLite leaves out pages that stay the same.
const touch = `
	insert into health (id, at, padding) values (1, ?, randomblob(65536))
	on conflict (id) do update set at = excluded.at, padding = excluded.padding`

// Touch writes to the file, and returns nil if the file took it. The schema must be up to date.
func (a *Accounts) Touch(ctx context.Context) error {
	return a.within(ctx, func(ctx context.Context) error {
		_, err := a.write.ExecContext(ctx, touch, time.Now().UnixMicro())
		return err
	})
}

// Pool returns the connections, how many calls had to wait for one, and for how long in all.
func (a *Accounts) Pool() (idle, used, most int, waits int64, waited time.Duration) {
	for _, db := range []*sql.DB{a.write, a.read} {
		s := db.Stats()
		idle, used, most = idle+s.Idle, used+s.InUse, most+s.MaxOpenConnections
		waits, waited = waits+s.WaitCount, waited+s.WaitDuration
	}
	return idle, used, most, waits, waited
}

// Migrate brings the schema up to date and returns the names of the migrations that it applied.
func (a *Accounts) Migrate(ctx context.Context) ([]string, error) {
	return migrations.Apply(ctx, a.write, migrations.SQLite)
}

// Pending returns the names of the migrations that Migrate would apply.
func (a *Accounts) Pending(ctx context.Context) ([]string, error) {
	return migrations.Pending(ctx, a.write, migrations.SQLite)
}
