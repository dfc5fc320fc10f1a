package failover

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// A postgres is a Postgres server.
type postgres struct {
	*servertest.Server
	bin, data string
}

// run runs a program of Postgres to its end, as the owner of the data.
func (p *postgres) run(program string, args ...string) {
	p.T.Helper()
	args = append([]string{filepath.Join(p.bin, program)}, args...)
	c := servertest.Command(p.Owner, "KILL", args...)
	c.Dir = filepath.Dir(p.data)
	if out, err := c.CombinedOutput(); err != nil {
		p.T.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// newPostgres returns a server without data.
func newPostgres(t *testing.T, dir, name string, options ...string) *postgres {
	t.Helper()
	address := servertest.FreeAddress(t)
	p := &postgres{
		Server: &servertest.Server{
			T:       t,
			Name:    name,
			Address: address,
			Owner:   servertest.Nobody(t),
			Dying:   "QUIT", // at which it ends at once, and its processes with it
			Log:     filepath.Join(dir, name+".log"),
		},
		bin:  servertest.Need(t, "TEST_POSTGRES_BIN"),
		data: filepath.Join(dir, name),
	}
	p.Ready = func() error { return p.exec("select") }
	servertest.Folder(t, p.data, p.Owner)
	p.Args = append([]string{
		filepath.Join(p.bin, "postgres"),
		"-D", p.data,
		"-p", servertest.Port(address),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=",
		"-c", "shared_buffers=16MB",
		"-c", "dynamic_shared_memory_type=mmap",
		"-c", "autovacuum=off",
		"-c", "fsync=off",
		"-c", "full_page_writes=off",
		"-c", "wal_retrieve_retry_interval=100ms",
	}, options...)
	return p
}

// initialise makes an empty cluster of databases.
func (p *postgres) initialise() {
	p.T.Helper()
	p.run("initdb", "-D", p.data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

// url returns the URL of the database, with the hosts of other servers before its parameters.
func url(parameters string, servers ...*postgres) string {
	hosts := make([]string, len(servers))
	for i, p := range servers {
		hosts[i] = p.Address
	}
	return "postgres://test@" + strings.Join(hosts, ",") + "/postgres?sslmode=disable" + parameters
}

// exec runs a statement on a connection of its own.
func (p *postgres) exec(statement string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url("", p))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

// mustExec runs statements that have to succeed.
func (p *postgres) mustExec(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := p.exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// query returns the first column of the first row, as text.
func (p *postgres) query(statement string) (text string, err error) {
	c, err := pgx.Connect(context.Background(), url("", p))
	if err != nil {
		return "", err
	}
	defer c.Close(context.Background())
	err = c.QueryRow(context.Background(), statement).Scan(&text)
	return text, err
}

// kill ends the server by SIGKILL. Its processes notice that, and end. It removes the memory that they shared, which is
// then left.
func (p *postgres) kill() {
	p.T.Helper()
	text, err := os.ReadFile(filepath.Join(p.data, "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) < 7 {
		p.T.Fatalf("postmaster.pid: %q, %v", text, err)
	}
	p.End(syscall.SIGKILL)
	if ids := strings.Fields(lines[6]); len(ids) == 2 { // its key and its identifier
		if out, err := exec.Command("ipcrm", "-m", ids[1]).CombinedOutput(); err != nil {
			p.T.Logf("ipcrm: %v, %s", err, out)
		}
	}
}

// probeTable is what the probes of Postgres write to, with probeWrite.
const (
	probeTable = `create table probe (id int primary key, at timestamptz)`
	probeWrite = `insert into probe values (1, now()) on conflict (id) do update set at = excluded.at`
)

// startPair starts a primary and a standby that has all that the primary has confirmed.
func startPair(t *testing.T) (primary, standby *postgres) {
	t.Helper()
	dir := servertest.Home(t)
	primary = newPostgres(t, dir, "primary")
	primary.initialise()
	primary.Start()
	standby = newPostgres(t, dir, "standby")
	primary.mustExec(t, probeTable)
	standby.run("pg_basebackup", "-D", standby.data, "-d", url("", primary), "-R", "-c", "fast", "--no-sync")
	standby.Start()
	primary.mustExec(t, "alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
	servicetest.Eventually(t, "the standby has all that the primary confirms", func() bool {
		state, _ := primary.query("select sync_state from pg_stat_replication")
		return state == "sync"
	})
	return primary, standby
}

// promote makes the standby a primary.
func (p *postgres) promote() { p.T.Helper(); p.run("pg_ctl", "promote", "-D", p.data, "--no-wait") }

// probeTables returns a write that any of the servers has to take.
func probeTables(t *testing.T, servers ...*postgres) probe {
	conns := make([]*pgx.Conn, len(servers))
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.Close(context.Background())
			}
		}
	})
	return func(ctx context.Context) error {
		var err error
		for i, p := range servers {
			if conns[i] == nil || conns[i].IsClosed() {
				if conns[i], err = pgx.Connect(ctx, url("", p)); err != nil {
					conns[i] = nil
					continue
				}
			}
			if _, err = conns[i].Exec(ctx, probeWrite); err == nil {
				return nil
			}
		}
		return err
	}
}
