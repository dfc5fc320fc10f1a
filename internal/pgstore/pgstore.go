// Package pgstore keeps users and sessions in Postgres. It owns the connection pool, its timeouts and the
// translation of the driver's errors; what a user is belongs to package account.
//
// A login is one statement: it makes or touches the user, records the session, and is undone whole if the
// session's challenge has made one before. No lock outlives it, and no copy of the service needs another.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
	"dekamond-otp/migrations"
)

const (
	connectTimeout   = 3 * time.Second
	acquireTimeout   = 500 * time.Millisecond // waiting for a free connection
	statementTimeout = 1500 * time.Millisecond
	maxConns         = 16 // unless the URL says pool_max_conns
)

// Accounts is an account.Store.
type Accounts struct {
	pool    *pgxpool.Pool
	acquire time.Duration
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
	return &Accounts{pool: pool, acquire: acquireTimeout}, nil
}

// Close closes the connections.
func (a *Accounts) Close() error { a.pool.Close(); return nil }

// Ping tells whether Postgres answers.
func (a *Accounts) Ping(ctx context.Context) error {
	return a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error { return c.Ping(ctx) })
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
	return migrations.Pending(ctx, db)
}

// The user is new where the id is the one that was offered. A challenge that is known to be spent costs
// the user's row no lock; of those that arrive at once, the unique index lets one pass.
const login = `
	with the_user as (
		insert into users (id, phone, created_at, last_login_at)
		select $1, $2, now(), case when $8 then now() end
		where not exists (select from sessions where challenge_id = $4)
		on conflict (phone) do update
			set last_login_at = case when users.banned_at is null then now() else users.last_login_at end
		returning id, phone, created_at, last_login_at, banned_at
	), the_session as (
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at, ended_at)
		select $3, id, $4, $5, $6, $7, now(), now() + $9::interval,
			case when banned_at is not null or (id = $1 and not $8) then now() end
		from the_user
	)
	select id, phone, created_at, last_login_at, banned_at from the_user`

// Login implements account.Store.
func (a *Accounts) Login(ctx context.Context, s account.NewSession) (account.User, error) {
	u, err := a.user(ctx, login, s.UserID, s.Phone.E164(), s.ID, s.Challenge,
		s.RefreshHash, s.Client.UserAgent, s.Client.IP, s.LogsIn, s.TTL)
	if errors.Is(err, account.ErrNotFound) {
		return account.User{}, account.ErrSpent
	}
	return u, err
}

const userByID = `select id, phone, created_at, last_login_at, banned_at from users where id = $1`

// ByID implements account.Store.
func (a *Accounts) ByID(ctx context.Context, id uuid.UUID) (account.User, error) {
	return a.user(ctx, userByID, id)
}

const userBySession = `
	select u.id, u.phone, u.created_at, u.last_login_at, u.banned_at
	from sessions s join users u on u.id = s.user_id
	where s.id = $1 and s.user_id = $2 and s.ended_at is null and s.expires_at > now()`

// BySession implements account.Store.
func (a *Accounts) BySession(ctx context.Context, user, session uuid.UUID) (account.User, error) {
	return a.user(ctx, userBySession, session, user)
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
	sql, args := listUsers, []any{before, p.Limit}
	if p.Prefix != "" {
		// Planned for this prefix, and not once for all: a rare one is found by the index on phone, a
		// common one by going through the newest users.
		sql, args = listUsersByPhone, []any{pgx.QueryExecModeCacheDescribe, before, p.Limit, p.Prefix, p.Prefix + ":"} // ':' is what follows '9'
	}
	err = a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		users, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (account.User, error) { return scan(r) })
		return err
	})
	return users, err
}

func (a *Accounts) user(ctx context.Context, sql string, args ...any) (u account.User, err error) {
	err = a.do(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		u, err = scan(c.QueryRow(ctx, sql, args...))
		return err
	})
	return u, err
}

func scan(r pgx.Row) (account.User, error) {
	var (
		u                     account.User
		e164                  string
		lastLoginAt, bannedAt *time.Time
	)
	if err := r.Scan(&u.ID, &e164, &u.CreatedAt, &lastLoginAt, &bannedAt); err != nil {
		return account.User{}, err
	}
	u.Phone, u.CreatedAt = phone.Stored(e164), u.CreatedAt.UTC()
	if lastLoginAt != nil {
		u.LastLoginAt = lastLoginAt.UTC()
	}
	if bannedAt != nil {
		u.BannedAt = bannedAt.UTC()
	}
	return u, nil
}

// do runs f on a connection, with the timeouts and the errors of account.
func (a *Accounts) do(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	acquire, cancel := context.WithTimeout(ctx, a.acquire)
	defer cancel()
	conn, err := a.pool.Acquire(acquire)
	if err != nil {
		return fmt.Errorf("%w: postgres: connect: %w", account.ErrUnavailable, err)
	}
	defer conn.Release()
	ctx, cancel = context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	return translate(f(ctx, conn))
}

func translate(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return account.ErrNotFound
	case !errors.As(err, &pg): // the connection broke or the time was up
		return fmt.Errorf("%w: postgres: %w", account.ErrUnavailable, err)
	case pg.ConstraintName == "sessions_challenge_id_key":
		return account.ErrSpent
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
