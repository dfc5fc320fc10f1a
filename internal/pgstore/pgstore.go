// Package pgstore keeps users, sessions and their audit in Postgres. It owns the connection pool, its
// timeouts and the translation of the driver's errors; what a user is belongs to package account.
//
// A login is one statement: it makes or touches the user, records the session and the event, and is undone
// whole if the session's challenge has made one before. So is the first use of a refresh token. No lock
// outlives a call, and no copy of the service needs another. What ends all sessions of a user is a
// transaction that takes the user's row first and looks for sessions after that: a login at the same time
// comes wholly before or wholly after.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"dekamond-otp/internal/account"
	"dekamond-otp/migrations"
)

const (
	connectTimeout = 3 * time.Second
	maxConns       = 16 // unless the URL has pool_max_conns
)

// timeouts are how long the parts of a call may take.
type timeouts struct {
	acquire     time.Duration // to get a free connection
	statement   time.Duration
	transaction time.Duration // of several statements, on as many rows as one user may have
}

var defaultTimeouts = timeouts{
	acquire:     500 * time.Millisecond,
	statement:   1500 * time.Millisecond,
	transaction: 5 * time.Second,
}

// Accounts is an account.Store.
type Accounts struct {
	pool     *pgxpool.Pool
	timeouts timeouts
}

var _ account.Store = (*Accounts)(nil)

// Open gives the store of a postgres:// URL. It opens no connection; Ping does.
func Open(url string) (*Accounts, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("pgstore: not a Postgres URL") // the cause could print the password
	}
	c.ConnConfig.ConnectTimeout = connectTimeout
	if !strings.Contains(url, "pool_max_conns") {
		c.MaxConns = maxConns
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	return &Accounts{pool: pool, timeouts: defaultTimeouts}, nil
}

// Close closes the connections.
func (a *Accounts) Close() error { a.pool.Close(); return nil }

// Ping tells whether Postgres answers.
func (a *Accounts) Ping(ctx context.Context) error {
	return a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error { return c.Ping(ctx) })
}

// System is what OpenTelemetry calls Postgres.
func (*Accounts) System() string { return "postgresql" }

// Pool tells of the connections, how many calls had to wait for one, and for how long together.
func (a *Accounts) Pool() (idle, used, most int, waits int64, waited time.Duration) {
	s := a.pool.Stat()
	return int(s.IdleConns()), int(s.AcquiredConns()), int(s.MaxConns()), s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()
}

// Migrate brings the schema up to date and gives the names of the migrations that it applied.
func (a *Accounts) Migrate(ctx context.Context) (applied []string, err error) {
	db := stdlib.OpenDBFromPool(a.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrations.Apply(ctx, db, migrations.Postgres)
}

// Pending gives the names of the migrations that Migrate would apply.
func (a *Accounts) Pending(ctx context.Context) (pending []string, err error) {
	db := stdlib.OpenDBFromPool(a.pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	return migrations.Pending(ctx, db, migrations.Postgres)
}

// do runs a statement on a connection, with the timeouts and the errors of account.
func (a *Accounts) do(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	return a.within(ctx, a.timeouts.statement, f)
}

func (a *Accounts) within(ctx context.Context, timeout time.Duration, f func(context.Context, *pgxpool.Conn) error) error {
	acquire, cancel := context.WithTimeout(ctx, a.timeouts.acquire)
	defer cancel()
	conn, err := a.pool.Acquire(acquire)
	if err != nil {
		return fmt.Errorf("%w: postgres: connect: %w", account.ErrUnavailable, err)
	}
	defer conn.Release()
	ctx, cancel = context.WithTimeout(ctx, timeout)
	defer cancel()
	return translate(f(ctx, conn))
}

// tx runs f in a transaction, with the timeouts and the errors of account.
func (a *Accounts) tx(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	return a.within(ctx, a.timeouts.transaction, func(ctx context.Context, c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return f(ctx, tx) })
	})
}

// exec runs a statement that must meet a row; it is account.ErrNotFound where it meets none.
func (a *Accounts) exec(ctx context.Context, sql string, args ...any) error {
	return a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return account.ErrNotFound
		}
		return err
	})
}

// first runs a statement and scans the first row that it gives.
func first[T any](ctx context.Context, a *Accounts, scan func(pgx.Row) (T, error), sql string, args ...any) (found T, err error) {
	err = a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		found, err = scan(c.QueryRow(ctx, sql, args...))
		return err
	})
	return found, err
}

// all runs a query and scans its rows.
func all[T any](ctx context.Context, a *Accounts, scan func(pgx.Row) (T, error), sql string, args ...any) (found []T, err error) {
	err = a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (T, error) { return scan(r) })
		return err
	})
	return found, err
}

func translate(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return account.ErrNotFound
	case errors.Is(err, account.ErrNotFound), errors.Is(err, account.ErrTaken):
		return err
	case !errors.As(err, &pg): // the connection broke or the time was up
		return fmt.Errorf("%w: postgres: %w", account.ErrUnavailable, err)
	case pg.ConstraintName == "sessions_challenge_id_key":
		return account.ErrSpent
	case pg.ConstraintName == "users_phone_key":
		return account.ErrTaken
	case transient(pg.Code):
		return fmt.Errorf("%w: postgres: %w", account.ErrUnavailable, err)
	}
	return fmt.Errorf("postgres: %w", err)
}

// transient tells whether a SQLSTATE (PostgreSQL manual, appendix A) says that the server cannot answer
// now, and would do so later: a lost connection, missing resources, a shutdown, a standby, a conflict.
func transient(sqlstate string) bool {
	switch sqlstate[:2] {
	case "08", "53", "57":
		return true
	}
	return sqlstate == "25006" || sqlstate == "40001" || sqlstate == "40P01"
}
