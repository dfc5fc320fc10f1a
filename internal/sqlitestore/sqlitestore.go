// Package sqlitestore keeps users and sessions in one SQLite file, so that the service runs with no
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

	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
	"dekamond-otp/migrations"
)

const (
	timeout = 5 * time.Second // of a call, with the wait for the writing connection
	readers = 4
)

// Accounts is an account.Store.
type Accounts struct {
	write, read *sql.DB
}

var _ account.Store = (*Accounts)(nil)

// Open gives the store of a file, which is made, with its folder, if it is not there.
func Open(path string) (*Accounts, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
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
	return &Accounts{write: write, read: read}, nil
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

// Migrate brings the schema up to date and gives the names of the migrations that it applied.
func (a *Accounts) Migrate(ctx context.Context) ([]string, error) {
	return migrations.Apply(ctx, a.write, migrations.SQLite)
}

// Pending gives the names of the migrations that Migrate would apply.
func (a *Accounts) Pending(ctx context.Context) ([]string, error) {
	return migrations.Pending(ctx, a.write)
}

const (
	touchUser = `
		insert into users (id, phone, created_at, last_login_at)
		values ($1, $2, $3, case when $4 then $3 end)
		on conflict (phone) do update
			set last_login_at = case when banned_at is null then $3 else last_login_at end
		returning id, phone, created_at, last_login_at, banned_at`
	insertSession = `
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at, ended_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, case when $9 then $7 end)`
)

// Login implements account.Store.
func (a *Accounts) Login(ctx context.Context, s account.NewSession) (u account.User, err error) {
	err = a.do(ctx, func(ctx context.Context) error {
		tx, err := a.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // does nothing after the commit
		now := time.Now()
		u, err = scan(tx.QueryRowContext(ctx, touchUser, s.UserID.String(), s.Phone.E164(), now.UnixMicro(), s.LogsIn))
		if err != nil {
			return err
		}
		ended := !u.BannedAt.IsZero() || (u.ID == s.UserID && !s.LogsIn)
		_, err = tx.ExecContext(ctx, insertSession, s.ID.String(), u.ID.String(), s.Challenge.String(), s.RefreshHash,
			s.Client.UserAgent, s.Client.IP, now.UnixMicro(), now.Add(s.TTL).UnixMicro(), ended)
		if err != nil {
			return err
		}
		return tx.Commit()
	})
	if err != nil {
		return account.User{}, err
	}
	return u, nil
}

const userByID = `select id, phone, created_at, last_login_at, banned_at from users where id = $1`

// ByID implements account.Store.
func (a *Accounts) ByID(ctx context.Context, id uuid.UUID) (account.User, error) {
	return a.user(ctx, userByID, id.String())
}

const userBySession = `
	select u.id, u.phone, u.created_at, u.last_login_at, u.banned_at
	from sessions s join users u on u.id = s.user_id
	where s.id = $1 and s.user_id = $2 and s.ended_at is null and s.expires_at > $3`

// BySession implements account.Store.
func (a *Accounts) BySession(ctx context.Context, user, session uuid.UUID) (account.User, error) {
	return a.user(ctx, userBySession, session.String(), user.String(), time.Now().UnixMicro())
}

const (
	listUsers = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 order by id desc limit $2`
	listUsersByPhone = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 and phone >= $3 and phone < $4 order by id desc limit $2`
)

// List implements account.Store.
func (a *Accounts) List(ctx context.Context, p account.Page) (users []account.User, err error) {
	before := p.Before
	if before == uuid.Nil {
		before = uuid.Max
	}
	query, args := listUsers, []any{before.String(), p.Limit}
	if p.Prefix != "" {
		query, args = listUsersByPhone, append(args, p.Prefix, p.Prefix+":") // ':' is what follows '9'
	}
	err = a.do(ctx, func(ctx context.Context) (err error) {
		rows, err := a.read.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			u, err := scan(rows)
			if err != nil {
				return err
			}
			users = append(users, u)
		}
		return rows.Err()
	})
	return users, err
}

func (a *Accounts) user(ctx context.Context, query string, args ...any) (u account.User, err error) {
	err = a.do(ctx, func(ctx context.Context) error {
		u, err = scan(a.read.QueryRowContext(ctx, query, args...))
		return err
	})
	return u, err
}

func scan(row interface{ Scan(...any) error }) (account.User, error) {
	var (
		u                     account.User
		e164                  string
		createdAt             int64
		lastLoginAt, bannedAt sql.NullInt64
	)
	if err := row.Scan(&u.ID, &e164, &createdAt, &lastLoginAt, &bannedAt); err != nil {
		return account.User{}, err
	}
	u.Phone, u.CreatedAt = phone.Stored(e164), time.UnixMicro(createdAt).UTC()
	if lastLoginAt.Valid {
		u.LastLoginAt = time.UnixMicro(lastLoginAt.Int64).UTC()
	}
	if bannedAt.Valid {
		u.BannedAt = time.UnixMicro(bannedAt.Int64).UTC()
	}
	return u, nil
}

// do runs f with the timeout and the errors of account.
func (a *Accounts) do(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return translate(f(ctx))
}

func translate(err error) error {
	var lite *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return account.ErrNotFound
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
