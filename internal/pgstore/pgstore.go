// Package pgstore keeps users, sessions and their audit log in Postgres. It owns the connection pool, its timeouts and
// the translation of the driver's errors; what a user is belongs to package account.
//
// A login is one statement, or a transaction if it may take the phone from a dormant user. It creates or touches the
// user, records the session and the event, and changes nothing if the session's challenge was spent before. The first
// use of a refresh token is one statement, too. No lock outlives its call. A call that ends all sessions of a user is a
// transaction that locks the user's row before it looks for sessions, so that a simultaneous login comes wholly before
// or wholly after it.
package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"dekamond-otp/internal/account"
	"dekamond-otp/migrations"
)

const (
	maxConns = 16 // unless the URL has pool_max_conns
	minConns = 2  // unless the URL has pool_min_conns or a smaller pool_max_conns
)

// Options are the inputs of Open.
type Options struct {
	// URL is postgres://…. What it lacks, or all if it is empty, is read from the environment: PGHOST, PGPASSWORD and
	// their siblings (PostgreSQL manual, libpq, Environment Variables).
	URL      string
	Timeouts Timeouts
	Observer Observer // nil: calls are not observed

	dial pgconn.DialFunc // nil: the network; the tests have servers of their own
}

// Timeouts are how long the parts of a call may take.
type Timeouts struct {
	Acquire     time.Duration // for a free connection. Defaults to 500 ms.
	Dial        time.Duration // the same while connections have to be opened. Defaults to 3 s.
	Statement   time.Duration // for one statement. Defaults to 1.5 s.
	Transaction time.Duration // for several statements, on as many rows as one user may have. Defaults to 5 s.
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Acquire:     cmp.Or(t.Acquire, 500*time.Millisecond),
		Dial:        cmp.Or(t.Dial, 3*time.Second),
		Statement:   cmp.Or(t.Statement, 1500*time.Millisecond),
		Transaction: cmp.Or(t.Transaction, 5*time.Second),
	}
}

// Accounts is an account.Store. It is safe for concurrent use.
type Accounts struct {
	pool     *pool
	warm     sync.Once
	timeouts Timeouts
	observer Observer
}

var _ account.Store = (*Accounts)(nil)

// Open returns the store of a URL. It waits for no connection; Ping does. Its error is a probe.Refusal, which completes
// a sentence about the URL, if the driver does not take what the URL or the environment says. Two connections at least
// stay open, so that the first call after a quiet time does not have to dial.
func Open(o Options) (*Accounts, error) {
	c, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, misfit(err)
	}
	timeouts := o.Timeouts.withDefaults()
	if o.dial != nil {
		c.ConnConfig.DialFunc = o.dial
	}
	if !strings.Contains(o.URL, "pool_max_conns") {
		c.MaxConns = maxConns
	}
	if !strings.Contains(o.URL, "pool_min_conns") {
		c.MinConns = min(minConns, c.MaxConns)
	}
	pool, err := newPool(c, timeouts)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	return &Accounts{pool: pool, timeouts: timeouts, observer: o.Observer}, nil
}

// Close closes the connections.
func (a *Accounts) Close() error { a.pool.get().Close(); return nil }

// Ping returns nil if Postgres answers, whatever its schema. The first time, it opens the connections that stay open,
// so that a service that is ready does not have to. Its error has a probe.Refusal if Postgres refuses what the URL
// says.
func (a *Accounts) Ping(ctx context.Context) error {
	ping := func(ctx context.Context, c *pgxpool.Conn) error { return c.Ping(ctx) }
	err := a.within(ctx, a.timeouts.Statement, ping)
	if err == nil {
		a.warm.Do(func() { a.pool.warm(ctx) })
	}
	return a.refusal(err)
}

const touch = `
	insert into health (id, at) values (1, now())
	on conflict (id) do update set at = excluded.at`

// Touch writes to the database, and returns nil if the database took it. The schema must be up to date. The error has a
// probe.Refusal if the user may not write.
func (a *Accounts) Touch(ctx context.Context) error {
	return withoutRights(a.within(ctx, a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, touch)
		return err
	}), errRights)
}

// Pool returns the connections, how many calls had to wait for one, and for how long in all.
func (a *Accounts) Pool() (idle, used, most int, waits int64, waited time.Duration) {
	s := a.pool.get().Stat()
	idle, used, most = int(s.IdleConns()), int(s.AcquiredConns()), int(s.MaxConns())
	return idle, used, most, s.EmptyAcquireCount(), s.EmptyAcquireWaitTime()
}

// Migrate brings the schema up to date and returns the names of the migrations that it applied. The error has a
// probe.Refusal if the user may not make tables.
func (a *Accounts) Migrate(ctx context.Context) (applied []string, err error) {
	applied, err = a.migrations(ctx, true)
	return applied, withoutRights(err, errNoTables)
}

// Pending returns the names of the migrations that Migrate would apply.
func (a *Accounts) Pending(ctx context.Context) (pending []string, err error) {
	pending, err = a.migrations(ctx, false)
	return pending, withoutRights(err, errRights)
}

// migrations returns the names of the migrations that are pending, or of those that it has applied. It begins again, on
// a pool that prepares nothing, if a pool between here and Postgres has mixed up statements.
func (a *Accounts) migrations(ctx context.Context, apply bool) (names []string, err error) {
	run := migrations.Pending
	if apply {
		run = migrations.Apply
	}
	for {
		pool := a.pool.get()
		db := stdlib.OpenDBFromPool(pool)
		more, err := run(ctx, db, migrations.Postgres)
		err = errors.Join(err, db.Close())
		again := hasCode(err, mixedUp...) && a.pool.unprepare(pool)
		names = append(names, more...)
		if !again {
			return names, err
		}
	}
}
