package pgstore

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/pgstore/pgtest"
)

// TestUnprepares checks that a pool in between that mixes up prepared statements is found out once, by the calls that
// meet it at the same time, and that none of them fails.
func TestUnprepares(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t)+"&pool_max_conns=4&pool_min_conns=4")
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range holdAll(t, a, 4) {
		if _, err := c.Exec(t.Context(), userByID, uuid.Nil); err != nil { // prepares it
			t.Fatal(err)
		}
		if _, err := c.Conn().PgConn().Exec(t.Context(), "deallocate all").ReadAll(); err != nil {
			t.Fatal(err)
		}
		c.Release()
	}
	prepares := a.pool.get()
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := a.ByID(t.Context(), uuid.Nil); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("ByID: %v; want ErrNotFound", err)
			}
		})
	}
	calls.Wait()
	if a.pool.get() == prepares {
		t.Fatal("the pool is the same")
	}
	if mode := a.pool.get().Config().ConnConfig.DefaultQueryExecMode; mode != pgx.QueryExecModeCacheDescribe {
		t.Errorf("the pool has the mode %v", mode)
	}
	if n := count(t, a, "select count(*)::int from pg_prepared_statements"); n != 0 {
		t.Errorf("%d statements are prepared", n)
	}
}

func count(t *testing.T, a *Accounts, sql string) (n int) {
	t.Helper()
	if err := a.pool.get().QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCrowded checks that calls wait for each other's connections where Postgres has fewer than the pool may open.
func TestCrowded(t *testing.T) {
	address := pgtest.NewDatabase(t)
	pgtest.NewRole(t, address, "crowded", "a password")
	pgtest.Exec(t, address, "alter role crowded connection limit 3")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("crowded", "a password")
	a := open(t, u.String())
	var calls sync.WaitGroup
	for range 60 {
		calls.Go(func() {
			err := a.within(t.Context(), time.Hour, func(ctx context.Context, c *pgxpool.Conn) error {
				_, err := c.Exec(ctx, "select pg_sleep(0.01)")
				return err
			})
			if err != nil {
				t.Errorf("a call where only three connections are to be had: %v", err)
			}
		})
	}
	calls.Wait()
}

// TestDialsSeldom checks that calls wait for a Postgres that is away for a moment, and do not each dial all the time.
func TestDialsSeldom(t *testing.T) {
	for back, works := range map[time.Duration]bool{2900 * time.Millisecond: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var f fakeServer
			var dials atomic.Int64
			dial := func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				if time.Since(began) < back {
					return nil, errors.New("connection refused")
				}
				return f.dial(ctx, network, address)
			}
			a := openFakeBy(t, "&pool_min_conns=0", dial)
			var calls sync.WaitGroup
			for range 100 {
				calls.Go(func() {
					err := a.Ping(t.Context())
					if (err == nil) != works || err != nil && !strings.Contains(err.Error(), "connection refused") {
						t.Errorf("Ping of a server that is away for %v: %v", back, err)
					}
				})
			}
			calls.Wait()
			if took := time.Since(began); took > 3100*time.Millisecond {
				t.Errorf("the calls took %v; want 3 s at most", took)
			}
			if most := int64(maxConns + 31 + maxConns); dials.Load() > most {
				t.Errorf("100 calls dialled %d times in 3 s; want %d at most", dials.Load(), most)
			}
			_ = a.Close()
			f.conns.Wait()
		})
	}
}

// TestBlackHole checks that a call reaches the second host of a URL although the first one takes connections and never
// answers.
func TestBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fakeServer
		var holes sync.WaitGroup
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if !strings.HasPrefix(address, "192.0.2.9") {
				return f.dial(ctx, network, address)
			}
			client, server := net.Pipe()
			holes.Go(func() {
				for buffer := make([]byte, 1024); ; {
					if _, err := server.Read(buffer); err != nil {
						return
					}
				}
			})
			return client, nil
		}
		const url = "postgres://otp@192.0.2.9,192.0.2.1/otp?sslmode=disable&pool_min_conns=0"
		a, err := Open(Options{URL: url, dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.Ping(t.Context()); err != nil || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("Ping: %v after %v; want an answer after 1.5 s", err, time.Since(began))
		}
		_ = a.Close()
		f.conns.Wait()
		holes.Wait()
	})
}

// TestShutdown checks that a call is made again whose connection Postgres ends, and that its errors are for all.
func TestShutdown(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := holdAll(t, a, 1)
	pid := held[0].Conn().PgConn().PID()
	held[0].Release()
	runs := 0
	err := a.within(t.Context(), time.Hour, func(ctx context.Context, c *pgxpool.Conn) error {
		if runs++; runs == 1 {
			_, err := c.Exec(ctx, "select pg_terminate_backend(pg_backend_pid())")
			return err
		}
		if c.Conn().PgConn().PID() == pid {
			return errors.New("the connection is the same")
		}
		_, err := c.Exec(ctx, touch)
		return err
	})
	if err != nil || runs != 2 || errors.Is(err, account.ErrUnavailable) {
		t.Errorf("a call whose connection ends: %v after %d runs; want it to work", err, runs)
	}
}
