package pgstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/pgstore/pgtest"
	"dekamond-otp/internal/phone"
)

// TestSchemaChange checks that no call fails because its connection has prepared a statement before a column's type
// changed: neither a single statement nor a transaction of several, on none of the connections.
func TestSchemaChange(t *testing.T) {
	const conns = 4
	url := pgtest.NewDatabase(t)
	a := open(t, url+"&pool_max_conns=4&pool_min_conns=4")
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	user := uuid.Must(uuid.NewV7())
	const insert = `insert into users (id, phone, created_at) values ($1, '+989121234567', now())`
	if _, err := a.pool.get().Exec(t.Context(), insert, user); err != nil {
		t.Fatal(err)
	}
	ban := account.Event{Action: account.Banned, User: user, Actor: account.Admin, Detail: "{}"}
	calls := map[string]func(*Accounts) error{
		"ByID": func(a *Accounts) error { _, err := a.ByID(t.Context(), user); return err },
		"List": func(a *Accounts) error { _, err := a.List(t.Context(), account.Page{Limit: 2}); return err },
		"List by prefix": func(a *Accounts) error {
			found, err := a.List(t.Context(), account.Page{Limit: 2, Phone: phone.Search{Prefixes: []string{"+98912"}}})
			if err == nil && len(found) != 1 {
				err = errors.New("the user is not found")
			}
			return err
		},
		"SetBanned": func(a *Accounts) error {
			for _, banned := range []bool{true, false} {
				ban.ID = uuid.Must(uuid.NewV7())
				if u, err := a.SetBanned(t.Context(), banned, ban); err != nil || u.BannedAt.IsZero() == banned {
					return errors.Join(err, errors.New("the user is not as banned as asked for"))
				}
			}
			return nil
		},
	}
	for _, alter := range []string{
		"",
		"alter table users alter column phone type varchar(32)",
		"alter table users alter column created_at type timestamptz(3), alter column banned_at type timestamptz(3)",
		"alter table users alter column phone type text",
		"deallocate all", // as a pool between the service and Postgres may do
	} {
		held := holdAll(t, a, conns)
		for i, c := range held {
			if alter == "deallocate all" || i == 0 && alter != "" {
				if _, err := c.Exec(t.Context(), alter); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range held {
			c.Release() // the pool gives the connection that was released last
			for name, call := range calls {
				if err := call(a); err != nil {
					t.Errorf("%s after %q: %v; want it to work", name, alter, err)
				}
			}
		}
	}
}

// holdAll acquires all connections of the pool.
func holdAll(t *testing.T, a *Accounts, conns int) (held []*pgxpool.Conn) {
	t.Helper()
	for range conns {
		c, err := a.pool.get().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	return held
}

// TestRetries checks that a statement is not repeated for ever, and that other errors are not repeated at all.
func TestRetries(t *testing.T) {
	url := pgtest.NewDatabase(t)
	for sqlstate, want := range map[string]int{
		"0A000": 2,
		"26000": 2,
		"42P05": 2,
		"25006": 1 + retries,
		"57P01": 1 + retries,
		"23505": 1,
		"40001": 1,
		"P0001": 1,
	} {
		a := open(t, url)
		runs := 0
		err := a.within(t.Context(), a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
			runs++
			_, err := c.Exec(ctx, `do $$ begin raise exception 'x' using errcode = '`+sqlstate+`'; end $$`)
			return err
		})
		if runs != want || err == nil || !strings.Contains(err.Error(), sqlstate) {
			t.Errorf("a statement that fails with %s runs %d times: %v; want %d", sqlstate, runs, err, want)
		}
	}
}

// TestWritableAgain checks that the connections of a time in which Postgres was read-only do not stay so.
func TestWritableAgain(t *testing.T) {
	address := pgtest.NewDatabase(t)
	exec := migrated(t, address)
	set := "alter database " + address[strings.LastIndex(address, "test_"):strings.LastIndex(address, "?")] +
		" set default_transaction_read_only = "
	exec(set + "on")
	a := open(t, address)
	if err := a.Touch(t.Context()); !errors.Is(err, account.ErrUnavailable) || !hasCode(err, readOnly) {
		t.Fatalf("Touch of a database that is read-only: %v; want ErrUnavailable", err)
	}
	exec(set + "off")
	for range 2 * minConns { // the pool may have opened its other connections before
		if err := a.Touch(t.Context()); err == nil {
			return
		}
	}
	t.Error("Touch of a database that is no longer read-only: no write is taken")
}

// A fakeServer answers like a Postgres without tables.
type fakeServer struct {
	delay time.Duration // until it answers a new connection
	conns sync.WaitGroup
}

// dial is a pgconn.DialFunc.
func (f *fakeServer) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	f.conns.Go(func() {
		defer server.Close()
		f.serve(pgproto3.NewBackend(server, server))
	})
	return client, nil
}

// serve answers one connection until it is closed.
func (f *fakeServer) serve(b *pgproto3.Backend) {
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	time.Sleep(f.delay)
	b.Send(&pgproto3.AuthenticationOk{})
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if b.Flush() != nil {
			return
		}
		if _, err := b.Receive(); err != nil {
			return
		}
		b.Send(&pgproto3.EmptyQueryResponse{})
	}
}

// openFake opens the store of a fake server. It has to be closed within the bubble of the test.
func openFake(t *testing.T, f *fakeServer, parameters string) *Accounts {
	t.Helper()
	return openFakeBy(t, parameters, f.dial)
}

// openFakeBy opens the store of a server that dial leads to. It has to be closed within the bubble of the test.
func openFakeBy(t *testing.T, parameters string, dial pgconn.DialFunc) *Accounts {
	t.Helper()
	const url = "postgres://otp@192.0.2.1/otp?sslmode=disable&default_query_exec_mode=exec"
	a, err := Open(Options{URL: url + parameters, dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestDialTimeout checks that a call that has to dial waits for 3 s, and one that waits for a free connection for
// 500 ms.
func TestDialTimeout(t *testing.T) {
	for _, tc := range []struct {
		delay, took time.Duration
		works       bool
	}{
		{2900 * time.Millisecond, 2900 * time.Millisecond, true},
		{3100 * time.Millisecond, 3 * time.Second, false},
		{time.Hour, 3 * time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{delay: tc.delay}
			a := openFake(t, f, "&pool_min_conns=0")
			began := time.Now()
			err := a.Ping(t.Context())
			if took := time.Since(began); (err == nil) != tc.works || took != tc.took {
				t.Errorf("Ping of a server that answers after %v: %v after %v; want an answer: %v, after %v",
					tc.delay, err, took, tc.works, tc.took)
			}
			_ = a.Close()
			f.conns.Wait()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeServer)
		a := openFake(t, f, "&pool_max_conns=1")
		held := holdAll(t, a, 1)
		began := time.Now()
		err := a.Ping(t.Context())
		if took := time.Since(began); !errors.Is(err, account.ErrUnavailable) || took != 500*time.Millisecond {
			t.Errorf("Ping while the only connection is in use: %v after %v; want 500 ms", err, took)
		}
		held[0].Release()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		f.conns.Wait()
	})
}

// TestKeepsTwoConnections checks that a quiet service keeps two connections, or as many as its URL says.
func TestKeepsTwoConnections(t *testing.T) {
	for parameters, want := range map[string]int32{
		"":                                   2,
		"&pool_min_conns=5":                  5,
		"&pool_max_conns=1":                  1,
		"&pool_max_conns=3&pool_min_conns=0": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := new(fakeServer)
			a := openFake(t, f, parameters)
			most := int(a.pool.get().Config().MaxConns)
			for _, c := range holdAll(t, a, most) {
				c.Release()
			}
			time.Sleep(48 * time.Hour)
			synctest.Wait()
			if got := a.pool.get().Stat().TotalConns(); got != want {
				t.Errorf("%q: %d connections are open after two quiet days; want %d", parameters, got, want)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			f.conns.Wait()
		})
	}
}

// TestClosedWhileIdle checks that a call is repeated on another connection if its own was closed by the server before
// anything was sent. The statement that failed before is what makes the driver notice that late.
func TestClosedWhileIdle(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a := open(t, url+"&pool_max_conns=1")
	run := func(statement string) (text string, err error) {
		return first(t.Context(), a, "test", func(r pgx.Row) (text string, err error) {
			err = r.Scan(&text)
			return text, err
		}, statement)
	}
	pid, err := run(`select pg_backend_pid()::text`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(`select (1 / 0)::text`); err == nil {
		t.Fatal("a division by zero is no error")
	}
	pgtest.Exec(t, url, `select pg_terminate_backend(`+pid+`, 300000)`)
	if other, err := run(`select pg_backend_pid()::text`); err != nil || other == pid {
		t.Errorf("after its connection was closed: %s, %v; want another connection than %s", other, err, pid)
	}
}
