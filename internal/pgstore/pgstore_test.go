package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/account/accounttest"
	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/pgstore/pgtest"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/servertest"
)

// patient are time limits for tests that are not about them, on the slowest machine.
var patient = Timeouts{
	Acquire:     time.Hour,
	Dial:        time.Hour,
	Statement:   time.Hour,
	Transaction: time.Hour,
}

func open(t *testing.T, url string) *Accounts {
	t.Helper()
	return openWith(t, Options{URL: url, Timeouts: patient})
}

func openWith(t *testing.T, o Options) *Accounts {
	t.Helper()
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestAccounts(t *testing.T) { testAccounts(t, pgtest.NewDatabase) }

// TestAccountsThroughPgBouncer checks the same behind a PgBouncer in transaction mode. The URL does not mention it, and
// it has fewer connections than the pool.
func TestAccountsThroughPgBouncer(t *testing.T) {
	testAccounts(t, func(t testing.TB) string { return servertest.PgBouncer(t, pgtest.NewDatabase(t), 8) })
}

// testAccounts runs the suite on new databases.
func testAccounts(t *testing.T, newDatabase func(t testing.TB) (url string)) {
	t.Helper()
	accounttest.TestStore(t, func(t *testing.T) accounttest.Store {
		calls := new(observertest.Calls)
		a := openWith(t, Options{
			URL:      newDatabase(t),
			Timeouts: patient,
			Observer: calls,
		})
		if applied, err := a.Migrate(t.Context()); err != nil || len(applied) == 0 {
			t.Fatalf("Migrate: %v, %v", applied, err)
		}
		return accounttest.Store{
			Store: a,
			Calls: calls,
			Exec: func(t *testing.T, statement, id string) {
				t.Helper()
				if _, err := a.pool.get().Exec(t.Context(), statement, id); err != nil {
					t.Fatal(err)
				}
			},
			Age: func(t *testing.T, d time.Duration) {
				t.Helper()
				for table, columns := range accounttest.Times {
					for _, column := range columns {
						move := `update ` + table + ` set ` + column + ` = ` + column + ` - $1::interval`
						if _, err := a.pool.get().Exec(t.Context(), move, d); err != nil {
							t.Fatal(err)
						}
					}
				}
			},
		}
	})
}

func TestMigrateByManyCopies(t *testing.T) {
	t.Run("direct", func(t *testing.T) { migrateByManyCopies(t, pgtest.NewDatabase(t)) })
	t.Run("pgbouncer", func(t *testing.T) {
		migrateByManyCopies(t, servertest.PgBouncer(t, pgtest.NewDatabase(t), 8))
	})
}

func migrateByManyCopies(t *testing.T, url string) {
	t.Helper()
	a := open(t, url)
	pending, err := a.Pending(t.Context())
	if err != nil || len(pending) == 0 {
		t.Fatalf("Pending before: %v, %v; want the migrations", pending, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for range 8 {
		wg.Go(func() {
			names, err := open(t, url).Migrate(t.Context())
			if err != nil {
				t.Errorf("Migrate: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, names...)
		})
	}
	wg.Wait()
	slices.Sort(applied)
	if !slices.Equal(applied, pending) {
		t.Errorf("8 copies applied %v; want each of %v once", applied, pending)
	}
	if pending, err := a.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("Pending after: %v, %v; want none", pending, err)
	}
}

// TestMigrateFirstVersion checks that a database of the first version keeps its rows, that logins go on while a
// migration waits for a lock, and that copies of the first version work on until they are replaced.
func TestMigrateFirstVersion(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	const user = "01890a5d-ac96-774b-bcce-b302099a8057"
	const insertSession = `
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at, ended_at)
		select gen_random_uuid(), id, gen_random_uuid(), 'x', 'agent', '192.0.2.1',
			now() - interval '1 day', now() + interval '9 days', null
		from users`
	text, err := os.ReadFile("../../migrations/00001_users_and_sessions.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		string(text),
		`create table schema_migrations (name text primary key)`,
		`insert into schema_migrations values ('00001_users_and_sessions.sql')`,
		`insert into users values ('` + user + `', '+989121234567', now(), now(), null)`,
		insertSession,
		`insert into users select gen_random_uuid(), phone, now(), null, null from unnest(array['` +
			strings.Join(accounttest.OldPhones(), "','") + `']) as phone where phone <> '+989121234567'`,
	} {
		if _, err := a.pool.get().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	migrateBehindReader(t, a)
	accounttest.CheckPhones(t, a)
	if _, err := a.pool.get().Exec(t.Context(), insertSession); err != nil {
		t.Errorf("the first version's insert: %v", err)
	}
	shown, err := a.Sessions(t.Context(), uuid.MustParse(user), 10)
	if err != nil || len(shown) != 2 || time.Since(shown[0].CreatedAt) < 23*time.Hour {
		t.Errorf("Sessions: %+v, %v; want the two of a day ago", shown, err)
	}
	if u, err := a.ByID(t.Context(), uuid.MustParse(user)); u.Phone.E164() != "+989121234567" || err != nil {
		t.Errorf("ByID: %+v, %v", u, err)
	}
}

// migrateBehindReader migrates a database of the first version while a transaction blocks statements that alter a
// table.
func migrateBehindReader(t *testing.T, a *Accounts) {
	t.Helper()
	pending, err := a.Pending(t.Context())
	if err != nil || len(pending) < 2 {
		t.Fatalf("Pending: %v, %v; want those after the first", pending, err)
	}
	reader, err := a.pool.get().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), `select from users, sessions`); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		applied, err := a.Migrate(t.Context())
		if err == nil && len(applied) != len(pending) {
			err = fmt.Errorf("applied %v; want %v", applied, pending)
		}
		migrated <- err
	}()
	for range 6 { // longer than a migration waits for a lock
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		if _, err := a.pool.get().Exec(ctx, `update users set last_login_at = now()`); err != nil {
			t.Errorf("a login behind a migration that waits: %v", err)
		}
		cancel()
		time.Sleep(300 * time.Millisecond)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatalf("Migrate: %v", err)
	}
}

// TestListUsesIndexes checks that no page of users scans all of them.
func TestListUsesIndexes(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const fill = `
		insert into users (id, phone, created_at)
		select gen_random_uuid(), '+98912' || lpad(n::text, 7, '0'), now() from generate_series(1, 50000) n`
	for _, statement := range []string{fill, `analyze users`} {
		if _, err := a.pool.get().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for name, search := range map[string]phone.Search{
		"newest":           {},
		"full number":      {Prefixes: []string{"+989120012345"}},
		"rare prefix":      {Prefixes: []string{"+98912001"}},
		"common prefix":    {Prefixes: []string{"+989"}},
		"rare prefixes":    {Prefixes: []string{"+7916", "+98912001"}},
		"rare and common":  {Prefixes: []string{"+7916", "+989"}},
		"last digits":      {Suffix: "1234"},
		"more last digits": {Suffix: "201234"},
	} {
		sql, args := list(account.Page{Limit: 21, Phone: search})
		plan := explain(t, a, sql, args...)
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Index") {
			t.Errorf("%s:\n%s\nwant no sequential scan", name, plan)
		}
	}
}

func explain(t *testing.T, a *Accounts, sql string, args ...any) string {
	t.Helper()
	lines, err := all(t.Context(), a, "explain", func(r pgx.Row) (line string, err error) {
		err = r.Scan(&line)
		return line, err
	}, "explain "+sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// TestAuditUsesIndexes checks that no page of events scans all of them, although nearly all are logins.
func TestAuditUsesIndexes(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const fill = `
		insert into audit (id, at, action, user_id, session_id, actor, ip, user_agent, detail)
		select (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid, now(),
			case when n % 1000 = 0 then 'ban' else 'login' end, md5((n % 5000)::text)::uuid, null, 'user', '', '', '{}'
		from generate_series(1, 50000) n`
	for _, statement := range []string{fill, `analyze audit`} {
		if _, err := a.pool.get().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	user := uuid.MustParse("cfcd2084-95d5-65ef-66e7-dff9f98764da") // md5 of 0
	for want, p := range map[string]account.EventPage{
		"audit_pkey":    {},
		"audit_user_id": {User: user},
		"audit_action":  {Action: account.Banned},
	} {
		low, high := p.Bounds()
		plan := explain(t, a, listEvents, low, high, nullable(p.User), p.Action, 21)
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, want) {
			t.Errorf("%+v:\n%s\nwant it to use %s", p, plan, want)
		}
	}
}

// TestSweepIsAlone checks that a sweep does nothing while another copy sweeps, and does not wait for locked rows.
func TestSweepIsAlone(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a := open(t, url)
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const fill = `
		with u as (
			insert into users (id, phone, created_at) values (gen_random_uuid(), '+989121234567', now()) returning id
		)
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at)
		select gen_random_uuid(), u.id, gen_random_uuid(), '', '', '', now(), now() - interval '1 day'
		from u, generate_series(1, 10)`
	if _, err := a.pool.get().Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	expired := account.Retention{KeepEnded: time.Hour, Limit: 100}
	other, err := a.pool.get().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]int{
		`select pg_advisory_xact_lock(7823614208)`:   0,
		`select id from sessions limit 4 for update`: 6, // locked rows are left
	} {
		if _, err := other.Exec(t.Context(), `savepoint s`); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Sweep(t.Context(), expired); got.Sessions != want || err != nil {
			t.Errorf("Sweep beside %q: %+v, %v; want %d sessions", statement, got, err, want)
		}
		if _, err := other.Exec(t.Context(), `rollback to savepoint s`); err != nil { // releases the locks
			t.Fatal(err)
		}
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Sweep(t.Context(), expired); got.Sessions != 4 || err != nil {
		t.Errorf("Sweep afterwards: %+v, %v; want the 4 that were left", got, err)
	}
}

func TestUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, address := range map[string]string{"mute": listener.Addr().String(), "closed": closed.Addr().String()} {
		a := openWith(t, Options{URL: "postgres://user:pass-word@" + address + "/db?sslmode=disable"})
		began := time.Now()
		err := a.Ping(t.Context())
		if took := time.Since(began); !errors.Is(err, account.ErrUnavailable) || took > time.Minute {
			t.Errorf("Ping, %s server: %v after %v; want ErrUnavailable within the timeouts", name, err, took)
		}
		if err != nil && strings.Contains(err.Error(), "pass-word") {
			t.Errorf("the error prints the password: %v", err)
		}
	}
}

// TestTouch checks that Touch writes, on any number of copies at once, and that a Postgres that answers and takes no
// writes is unavailable.
func TestTouch(t *testing.T) {
	url := pgtest.NewDatabase(t)
	a := open(t, url)
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := a.Touch(t.Context()); err != nil {
				t.Errorf("Touch: %v", err)
			}
		})
	}
	wg.Wait()
	readOnly := open(t, url+"&default_transaction_read_only=on")
	if err := readOnly.Ping(t.Context()); err != nil {
		t.Errorf("Ping of a Postgres that takes no writes: %v", err)
	}
	if err := readOnly.Touch(t.Context()); !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("Touch of a Postgres that takes no writes: %v; want ErrUnavailable", err)
	}
}

func TestStatementTimeout(t *testing.T) {
	a := openWith(t, Options{URL: pgtest.NewDatabase(t)})
	began := time.Now()
	err := a.within(t.Context(), a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, `select pg_sleep(600)`)
		return err
	})
	if took := time.Since(began); !errors.Is(err, account.ErrUnavailable) || took > time.Minute {
		t.Errorf("a statement of 10 minutes: %v after %v; want ErrUnavailable", err, took)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(Options{URL: "postgres://user:pass-word@host:port/db"})
	if err == nil || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("Open: %v; want an error without the password", err)
	}
}

// whileWaiting runs f while a transaction holds a lock. Once f waits for the lock, the transaction runs a statement and
// commits. Both take the identifier as $1.
func whileWaiting(t *testing.T, a *Accounts, lock, statement string, id uuid.UUID, f func() error) error {
	t.Helper()
	tx, err := a.pool.get().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), lock, id); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	const waiting = `
		select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
	for n := 0; n == 0; time.Sleep(time.Millisecond) {
		if err := a.pool.get().QueryRow(t.Context(), waiting).Scan(&n); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("the call did not wait: %v", err)
		default:
		}
	}
	if _, err := tx.Exec(t.Context(), statement, id); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return <-done
}

// TestEndedWhileWaiting checks that a refresh that waits for the end of its session does not revive the session,
// although it began before that end.
func TestEndedWhileWaiting(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := account.NewSession{
		Claim:       account.Claim{Phone: phone.Stored("+989121234567")},
		ID:          uuid.Must(uuid.NewV7()),
		Challenge:   uuid.Must(uuid.NewV7()),
		UserID:      uuid.Must(uuid.NewV7()),
		FamilyHash:  []byte("f"),
		RefreshHash: []byte("0"),
		TTL:         time.Hour,
		IdleTTL:     time.Hour,
		LogsIn:      true,
		Event:       uuid.Must(uuid.NewV7()),
	}
	if _, err := a.Login(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	refresh := func() error {
		_, err := a.Refresh(t.Context(), account.Rotation{
			Session:    n.ID,
			FamilyHash: n.FamilyHash,
			SpentHash:  n.RefreshHash,
			NextHash:   []byte("1"),
			Seed:       []byte("s"),
			IdleTTL:    time.Hour,
			Event:      uuid.Must(uuid.NewV7()),
		})
		return err
	}
	err := whileWaiting(t, a, `select from sessions where id = $1 for update`,
		`update sessions set ended_at = clock_timestamp(), expires_at = clock_timestamp() where id = $1`, n.ID, refresh)
	if !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Refresh: %v; want ErrNotFound", err)
	}
}

// TestRecordsOnce checks that a copy that waits while another one records an event does not record it again.
func TestRecordsOnce(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const lock = `select pg_advisory_xact_lock(7823614209), $1::uuid`
	const insert = `
		insert into audit (id, at, action, actor, ip, user_agent, detail)
		values ($1, now(), 'key_change', 'system', '', '', '{}')`
	same := account.Event{
		ID:     uuid.Must(uuid.NewV7()),
		Action: account.KeysChanged,
		Actor:  account.System,
		Detail: "{}",
	}
	var recorded bool
	err := whileWaiting(t, a, lock, insert, uuid.Must(uuid.NewV7()), func() (err error) {
		recorded, err = a.Record(t.Context(), same)
		return err
	})
	if recorded || err != nil {
		t.Errorf("Record: %t, %v; want it refused, because another copy has recorded it", recorded, err)
	}
}

// TestEndsWhatItWaitedFor checks that EndSessions also ends the session of a login that it waited for.
func TestEndsWhatItWaitedFor(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	if _, err := a.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	user := uuid.Must(uuid.NewV7())
	const insertUser = `insert into users (id, phone, created_at) values ($1, '+989121234567', now())`
	if _, err := a.pool.get().Exec(t.Context(), insertUser, user); err != nil {
		t.Fatal(err)
	}
	const insertSession = `
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at)
		values (gen_random_uuid(), $1, gen_random_uuid(), '', '', '', now(), now() + interval '1 day')`
	e := account.Event{
		ID:     uuid.Must(uuid.NewV7()),
		Action: account.LoggedOut,
		User:   user,
		Actor:  account.Admin,
		Detail: "{}",
	}
	const touchUser = `update users set last_login_at = now() where id = $1`
	err := whileWaiting(t, a, touchUser, insertSession, user, func() error { return a.EndSessions(t.Context(), e) })
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := a.Sessions(t.Context(), user, 10); len(shown) != 0 || err != nil {
		t.Errorf("Sessions: %+v, %v; want none", shown, err)
	}
}
