package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"dekamond-otp/internal/account"
)

// An Observer receives every call of account.Store. It is safe for concurrent use.
type Observer interface {
	// ObserveCall receives a call that has just ended: its name, when it began, and its error, or nil. ctx is that of
	// the call.
	ObserveCall(ctx context.Context, call string, began time.Time, err error)
}

// call runs f and reports it to the observer. Every method of account.Store calls it exactly once.
func (a *Accounts) call(ctx context.Context, name string, f func(context.Context) error) error {
	began := time.Now()
	err := a.within(ctx, f)
	if a.observer != nil {
		a.observer.ObserveCall(ctx, name, began, err)
	}
	return err
}

// within runs f within the timeout. translate explains its errors.
func (a *Accounts) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return translate(f(ctx))
}

// tx runs f in a transaction that writes. now is the time of all that the transaction does.
func (a *Accounts) tx(
	ctx context.Context, call string, f func(ctx context.Context, tx *sql.Tx, now time.Time) error,
) error {
	return a.call(ctx, call, func(ctx context.Context) error {
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

// A row can be scanned.
type row interface{ Scan(dest ...any) error }

// A scanner reads one row.
type scanner[T any] func(row) (T, error)

// first runs a query and scans its first row.
func first[T any](
	ctx context.Context, a *Accounts, call string, scan scanner[T], query string, args ...any,
) (found T, err error) {
	err = a.call(ctx, call, func(ctx context.Context) error {
		found, err = scan(a.read.QueryRowContext(ctx, query, args...))
		return err
	})
	return found, err
}

// all runs a query and scans its rows.
func all[T any](
	ctx context.Context, a *Accounts, call string, scan scanner[T], query string, args ...any,
) (found []T, err error) {
	err = a.call(ctx, call, func(ctx context.Context) (err error) {
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

// exec runs a statement and returns the number of rows that it affected.
func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (affected int, err error) {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// execOne runs a statement. It returns account.ErrNotFound if no row was affected.
func execOne(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
	affected, err := exec(ctx, tx, statement, args...)
	if err == nil && affected == 0 {
		return account.ErrNotFound
	}
	return err
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }

// translate returns the error of package account that the driver's error stands for, or else the driver's error.
func translate(err error) error {
	var lite *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return account.ErrNotFound
	case errors.Is(err, account.ErrNotFound), errors.Is(err, account.ErrTaken):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, sql.ErrTxDone): // the time was over between the last statement and the commit
		return fmt.Errorf("%w: sqlite: %w", account.ErrUnavailable, err)
	case !errors.As(err, &lite):
	case lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE: // only the index of the challenges can refuse an insert
		return account.ErrSpent
	case transient(lite.Code() & 0xff):
		return fmt.Errorf("%w: sqlite: %w", account.ErrUnavailable, err)
	}
	return fmt.Errorf("sqlite: %w", err)
}

// transient reports whether a primary result code means that the file cannot be used now, but can later.
func transient(code int) bool {
	switch code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}
