package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
)

// An Observer receives every call of account.Store. It is safe for concurrent use.
type Observer interface {
	// ObserveCall receives a call that has just ended: its name, when it began, and its error, or nil. ctx is that of
	// the call.
	ObserveCall(ctx context.Context, call string, began time.Time, err error)
}

// call runs f on a connection and reports it to the observer. Every method of account.Store calls it exactly once.
func (a *Accounts) call(
	ctx context.Context, name string, timeout time.Duration, f func(context.Context, *pgxpool.Conn) error,
) error {
	began := time.Now()
	err := a.within(ctx, timeout, f)
	if a.observer != nil {
		a.observer.ObserveCall(ctx, name, began, err)
	}
	return err
}

const (
	retries = 3                     // of a call of which nothing was carried out
	pause   = 50 * time.Millisecond // before a retry
)

// within waits for a connection, and then runs f on it within the timeout. translate explains its errors. If Postgres
// says that nothing of f was carried out, for a reason that passes, f runs again on another connection, and also if the
// connection was closed before f, or the end of its transaction, was sent.
func (a *Accounts) within(
	ctx context.Context, timeout time.Duration, f func(context.Context, *pgxpool.Conn) error,
) error {
	for left := retries; ; left-- {
		pool, conn, err := a.pool.acquire(ctx)
		if err != nil {
			return fmt.Errorf("%w: postgres: connect: %w", account.ErrUnavailable, err)
		}
		err = once(ctx, timeout, conn, f)
		conn.Release()
		switch {
		case hasCode(err, mixedUp...) && a.pool.unprepare(pool):
		case (hasCode(err, undone...) || errors.Is(err, pgconn.ErrConnClosed)) && left > 0:
			a.pool.reset(pool)
			time.Sleep(pause)
		default:
			return translate(err)
		}
	}
}

// once runs f within the timeout, and a second time if the first one met a statement that Postgres had prepared before
// the schema changed. That error ends the transaction that it happens in, so that f has carried out nothing that cannot
// be repeated. A connection that takes no writes is closed, because it would stay read-only after the server takes
// writes again.
func once(
	ctx context.Context, timeout time.Duration, conn *pgxpool.Conn, f func(context.Context, *pgxpool.Conn) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := f(ctx, conn)
	if hasCode(err, outdated) {
		if err = conn.Conn().DeallocateAll(ctx); err == nil { // the other statements of f may be outdated as well
			err = f(ctx, conn)
		}
	}
	if hasCode(err, readOnly) {
		_ = conn.Conn().Close(ctx) // the pool opens another one
	}
	return err
}

const (
	outdated = "0A000" // cached plan must not change result type
	readOnly = "25006" // of a standby, of a primary that became one, and of default_transaction_read_only
)

var (
	// mixedUp are the SQLSTATEs of a statement that a pool between here and Postgres has prepared on another
	// connection: invalid_sql_statement_name and duplicate_prepared_statement.
	mixedUp = []string{"26000", "42P05"}
	// undone are the SQLSTATEs of a statement that a server has not carried out, and another one may.
	undone = []string{readOnly, "57P01"} // admin_shutdown
)

// hasCode reports whether Postgres has answered with one of the SQLSTATEs (PostgreSQL manual, appendix A).
func hasCode(err error, sqlstates ...string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(sqlstates, pg.Code)
}

// tx runs f in a transaction.
func (a *Accounts) tx(ctx context.Context, call string, f func(context.Context, pgx.Tx) error) error {
	return a.call(ctx, call, a.timeouts.Transaction, func(ctx context.Context, c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return f(ctx, tx) })
	})
}

// A scanner reads one row.
type scanner[T any] func(pgx.Row) (T, error)

// first runs a statement and scans its first row.
func first[T any](
	ctx context.Context, a *Accounts, call string, scan scanner[T], sql string, args ...any,
) (found T, err error) {
	err = a.call(ctx, call, a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		found, err = scan(c.QueryRow(ctx, sql, args...))
		return err
	})
	return found, err
}

// all runs a query and scans its rows.
func all[T any](
	ctx context.Context, a *Accounts, call string, scan scanner[T], sql string, args ...any,
) (found []T, err error) {
	err = a.call(ctx, call, a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (T, error) { return scan(r) })
		return err
	})
	return found, err
}

// execOne runs a statement. It returns account.ErrNotFound if no row was affected.
func execOne(ctx context.Context, c *pgxpool.Conn, sql string, args ...any) error {
	tag, err := c.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return account.ErrNotFound
	}
	return err
}

// translate returns the error of package account that the driver's error stands for, or else the driver's error.
func translate(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return account.ErrNotFound
	case errors.Is(err, account.ErrNotFound), errors.Is(err, account.ErrTaken), errors.Is(err, account.ErrReused):
		return err
	case !errors.As(err, &pg): // the connection broke, or a timeout was exceeded
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

// transient reports whether a SQLSTATE (PostgreSQL manual, appendix A) means that the server cannot answer now, but can
// later: a lost connection, missing resources, a shutdown, a standby, a conflict between transactions, a statement that
// is prepared again with the next call.
func transient(sqlstate string) bool {
	switch sqlstate[:2] {
	case "08", "53", "57":
		return true
	}
	return slices.Contains(mixedUp, sqlstate) ||
		slices.Contains([]string{outdated, readOnly, "40001", "40P01"}, sqlstate)
}
