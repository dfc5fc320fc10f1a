package pgstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// dialEvery is how long no other connection is opened after one could not be.
	dialEvery = 100 * time.Millisecond
	// acquireEvery is the longest wait before a call asks for a connection again.
	acquireEvery = 20 * time.Millisecond
	// resetEvery is the least time between two resets.
	resetEvery = 200 * time.Millisecond
)

// A pool is a pgxpool.Pool that is replaced when it cannot be used with what is between here and Postgres. It waits for
// a connection through short losses of Postgres.
type pool struct {
	timeouts Timeouts

	mu      sync.RWMutex // guards the fields below
	current *pgxpool.Pool
	failure error     // with which the last attempt to open a connection ended; nil if that worked
	failed  time.Time // when that was
	failing time.Time // when the first of the attempts failed that have failed in a row
	resets  time.Time // when reset last closed the connections
}

// newPool returns the pool of a configuration, whose hooks it sets.
func newPool(c *pgxpool.Config, t Timeouts) (*pool, error) {
	p := &pool{timeouts: t}
	c.ConnConfig.ConnectTimeout = t.Dial / time.Duration(hosts(c.ConnConfig)) // of each
	c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error {
		if err := p.recentFailure(); err != nil {
			return &tooSoon{err}
		}
		dials(ctx, t.Dial)
		return nil
	}
	c.AfterConnect = func(context.Context, *pgx.Conn) error { p.note(nil); return nil }
	var err error
	p.current, err = pgxpool.NewWithConfig(context.Background(), c)
	return p, err
}

// hosts returns the number of servers that a URL names.
func hosts(c *pgx.ConnConfig) int {
	type server struct {
		host string
		port uint16
	}
	named := map[server]bool{{c.Host, c.Port}: true}
	for _, f := range c.Fallbacks {
		named[server{f.Host, f.Port}] = true
	}
	return len(named)
}

func (p *pool) get() *pgxpool.Pool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.current
}

// unprepare replaces the pool by one that prepares no statements, unless that has happened before. It reports whether
// the pool is another one than the old one now. Behind a pool in transaction mode, a statement that was prepared on one
// server connection would be missing on the next.
func (p *pool) unprepare(old *pgxpool.Pool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := old.Config()
	if p.current == old && c.ConnConfig.DefaultQueryExecMode != pgx.QueryExecModeCacheDescribe {
		c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		if replacement, err := pgxpool.NewWithConfig(context.Background(), c); err == nil {
			p.current = replacement
			go old.Close() // waits for the calls that use it
		}
	}
	return p.current != old
}

// reset closes the connections of the pool, because they lead to a server that takes no writes or ends.
func (p *pool) reset(old *pgxpool.Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.resets) >= resetEvery {
		p.resets = time.Now()
		old.Reset()
	}
}

// recentFailure returns the error of an attempt to open a connection that has just failed. Another attempt would fail
// as well, and load a server that is full or starting.
func (p *pool) recentFailure() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if time.Since(p.failed) < dialEvery {
		return p.failure
	}
	return nil
}

// tooSoon is the error of a connection that was not opened, because another one has just failed with this error.
type tooSoon struct{ error }

func (t *tooSoon) Unwrap() error { return t.error }

// note remembers how an attempt to open a connection ended.
func (p *pool) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		p.failing = time.Now()
	}
	p.failure, p.failed = err, time.Now()
}

// patience returns how long a call waits in all for which there is no connection. Postgres may be full, start or change
// its primary. If no connection could be opened for longer than that, only those that are open are worth a wait, and
// without any the next attempt to open one.
func (p *pool) patience(current *pgxpool.Pool) time.Duration {
	p.mu.RLock()
	failure, failing := p.failure, p.failing
	p.mu.RUnlock()
	s := current.Stat()
	switch {
	case failure == nil && s.ConstructingConns() == 0:
		return 0
	case failure == nil, time.Since(failing) < p.timeouts.Dial:
		return p.timeouts.Dial
	case s.AcquiredConns()+s.IdleConns() > 0: // one may have been returned since the call asked
		return p.timeouts.Acquire
	}
	return 2 * dialEvery
}

// timerKey is the key of the timer in the context of ask.
type timerKey struct{}

// acquire returns a connection. It waits for one for timeouts.Acquire, and asks again for as long as patience says.
func (p *pool) acquire(ctx context.Context) (*pgxpool.Pool, *pgxpool.Conn, error) {
	for began := time.Now(); ; {
		current := p.get()
		conn, err := p.ask(ctx, current)
		if err == nil {
			return current, conn, nil
		}
		if p.get() != current && ctx.Err() == nil {
			continue // because the pool was closed while this call waited for a connection of it
		}
		if refuses(err) || time.Since(began) > p.patience(current)-acquireEvery {
			return nil, nil, err
		}
		select {
		case <-time.After(acquireEvery/2 + rand.N(acquireEvery/2)):
		case <-ctx.Done():
			return nil, nil, err
		}
	}
}

// ask waits for a connection for timeouts.Acquire, or for timeouts.Dial if it has to open one.
func (p *pool) ask(ctx context.Context, current *pgxpool.Pool) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(p.timeouts.Acquire, func() { cancel(context.DeadlineExceeded) })
	defer timer.Stop()
	conn, err := current.Acquire(context.WithValue(ctx, timerKey{}, timer))
	_, failed := errors.AsType[*pgconn.ConnectError](err)
	if _, again := errors.AsType[*tooSoon](err); failed && !again {
		p.note(err)
	}
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx) // pgx reports that the context was cancelled, not why
	}
	return conn, err
}

// dials prolongs the wait of the call of ask whose context the pool opens a connection with. The connections that the
// pool opens by itself have no such context.
func dials(ctx context.Context, timeout time.Duration) {
	if timer, ok := ctx.Value(timerKey{}).(*time.Timer); ok {
		timer.Reset(timeout)
	}
}

// refuses reports whether Postgres refuses what a setting says, which it will do again.
func refuses(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refusals[pg.Code].Words != ""
}

// warm opens the connections that stay open. It is no fault if the server has no room for them.
func (p *pool) warm(ctx context.Context) {
	current := p.get()
	var opened []*pgxpool.Conn
	for range current.Config().MinConns {
		conn, err := p.ask(ctx, current)
		if err != nil {
			break
		}
		opened = append(opened, conn)
	}
	for _, conn := range opened {
		conn.Release()
	}
}
