package pgstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/probe"
)

// Facts is what Inspect finds out about a Postgres.
type Facts struct {
	Version           int  // server_version_num, such as 150018.
	Public            bool // It is reached through networks of other owners.
	TLS               bool
	Unverified        bool      // TLS accepts any certificate, or the connection falls back to none.
	Certificate       time.Time // When the server's certificate expires; zero if none was seen.
	KnownPassword     bool      // The password is one that attackers try first, or the user's name.
	Latency           time.Duration
	Skew              time.Duration // How far the server's clock is ahead of the clock here.
	NoWrites          error         // Why it takes no writes; nil if it does, or if a migration is pending.
	Replica, ReadOnly bool
	Unsafe            bool // The server confirms what a crash can undo.
	Superuser         bool
	MayMigrate        bool
	Pending           []string // Migrations.
	Pool              int      // Connections of one copy of the service, at most.
	Connections       int      // That the server has for all clients.
	Used              int      // Of Connections.
}

// known are passwords that attackers try first. The password of docker-compose.yml is one of them.
var known = []string{"otp", "postgres", "password", "secret", "admin", "test", "changeme", "example"}

var (
	errNoTLS  = probe.Refusal{Words: "does not accept TLS, which sslmode requires", Setting: "PGSSLMODE"}
	errRights = probe.Refusal{
		Words: "has tables that the user may not read and write: " +
			"grant these rights, or let the owner of the tables be the user",
		Setting: "PGUSER",
	}
	errNoTables = probe.Refusal{
		Words:   "does not let the user make tables: let the owner of the database be the user",
		Setting: "PGUSER",
	}
)

// refusals are the SQLSTATEs (PostgreSQL manual, appendix A) with which Postgres refuses a connection until someone
// changes a setting or the server.
var refusals = map[string]probe.Refusal{
	"22023":  {Words: "does not accept the value of a parameter of the connection"},
	"28000":  {Words: "refuses the user", Setting: "PGUSER"},
	"28P01":  {Words: "refuses user or password", Setting: "PGPASSWORD"},
	"3D000":  {Words: "has no such database", Setting: "PGDATABASE"},
	"42704":  {Words: "does not know a parameter of the connection"},
	noRights: {Words: "does not let the user in", Setting: "PGUSER"},
}

const noRights = "42501"

// misfits are what the driver does not take, by words of its own error.
var misfits = map[string]probe.Refusal{
	"failed to configure TLS": {
		Words:   "names a sslmode that does not exist, or a file that cannot be read as sslrootcert, sslcert or sslkey",
		Setting: "PGSSLROOTCERT",
	},
	"failed to read service": {
		Words:   "names a service that cannot be read from the service file",
		Setting: "PGSERVICE",
	},
	"invalid port": {
		Words:   "has a port that is no number from 1 to 65535",
		Setting: "PGPORT",
	},
	"invalid connect_timeout": {
		Words:   "has a connect_timeout that is no number of seconds",
		Setting: "PGCONNECT_TIMEOUT",
	},
	"unknown target_session_attrs": {
		Words:   "has a value of target_session_attrs that Postgres does not know",
		Setting: "PGTARGETSESSIONATTRS",
	},
	"pool_": {Words: "has a parameter pool_… whose value cannot be used"},
}

// misfit returns why the driver does not take a URL. It quotes nothing of the driver's error, which could quote the
// password.
func misfit(err error) probe.Refusal {
	_, text, _ := strings.Cut(err.Error(), "`: ") // what is before it is the URL
	for words, m := range misfits {
		if strings.Contains(text, words) {
			return m
		}
	}
	return probe.Refusal{Words: "is no URL that Postgres knows"}
}

// refusal returns the error of opening a connection with the probe.Refusal that it stands for, if it stands for one.
func (a *Accounts) refusal(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && refusals[pg.Code].Words != "" {
		return fmt.Errorf("%w (%w)", refusals[pg.Code], err)
	}
	const refused = "server refused TLS" // This is pgx' text.
	if err != nil && requiresTLS(a.pool.get().Config().ConnConfig) && strings.Contains(err.Error(), refused) {
		return fmt.Errorf("%w (%w)", errNoTLS, err)
	}
	return err
}

// requiresTLS reports whether no connection is made without TLS. Otherwise the server that refuses TLS is asked again
// without it, and the second answer is why there is no connection.
func requiresTLS(c *pgx.ConnConfig) bool {
	clear := func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil }
	return c.TLSConfig != nil && !slices.ContainsFunc(c.Fallbacks, clear)
}

// withoutRights returns the error of a statement with the refusal, if the user has no right to what the statement does.
func withoutRights(err error, refusal probe.Refusal) error {
	if hasCode(err, noRights) {
		return fmt.Errorf("%w (%w)", refusal, err)
	}
	return err
}

// selectFacts also runs on a database that only resembles Postgres. A setting or a role that such a database lacks
// counts as false or 0.
const selectFacts = `
	select current_setting('server_version_num')::int,
		pg_is_in_recovery(),
		current_setting('default_transaction_read_only') = 'on',
		current_setting('fsync', true) is not distinct from 'off'
			or current_setting('synchronous_commit', true) is not distinct from 'off',
		coalesce((select rolsuper from pg_roles where rolname = current_user), false),
		coalesce(has_schema_privilege(current_schema(), 'create'), false),
		current_setting('max_connections')::int
			- coalesce(current_setting('superuser_reserved_connections', true)::int, 0),
		(select count(*)::int from pg_stat_activity where pid <> pg_backend_pid())`

// selectRights asks whether the user may do what the service does with its tables.
const selectRights = `
	select bool_and(has_table_privilege(name, 'select') and has_table_privilege(name, 'insert')
		and has_table_privilege(name, 'update') and has_table_privilege(name, 'delete'))
	from unnest(array['users', 'sessions', 'audit', 'health']) as name`

// Inspect asks Postgres about itself and changes nothing. Its error has a probe.Refusal if Postgres refuses what a
// setting says.
func (a *Accounts) Inspect(ctx context.Context) (facts Facts, err error) {
	c, err := a.pool.get().Acquire(ctx)
	if err != nil {
		return facts, a.refusal(err)
	}
	defer c.Release()
	settings := a.pool.get().Config()
	inspectConn(c.Conn().PgConn().Conn(), settings.ConnConfig, &facts)
	facts.Pool = int(settings.MaxConns)
	if facts.Latency, facts.Skew, err = clock(ctx, c); err != nil {
		return facts, err
	}
	if err := c.QueryRow(ctx, selectFacts).Scan(
		&facts.Version, &facts.Replica, &facts.ReadOnly, &facts.Unsafe, &facts.Superuser, &facts.MayMigrate,
		&facts.Connections, &facts.Used,
	); err != nil {
		return facts, err
	}
	if facts.Pending, err = a.Pending(ctx); err != nil || len(facts.Pending) > 0 {
		return facts, err
	}
	var may bool
	if err = c.QueryRow(ctx, selectRights).Scan(&may); err == nil && !may {
		return facts, errRights
	}
	if err == nil {
		facts.NoWrites = tryWrite(ctx, c)
	}
	return facts, withoutRights(err, errRights)
}

// Clock returns how long a round trip takes, and how far the clock of Postgres is ahead of the clock here.
func (a *Accounts) Clock(ctx context.Context) (latency, skew time.Duration, err error) {
	err = a.within(ctx, a.timeouts.Transaction, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		latency, skew, err = clock(ctx, c)
		return err
	})
	return latency, skew, err
}

func clock(ctx context.Context, c *pgxpool.Conn) (latency, skew time.Duration, err error) {
	ask := func() (now time.Time, err error) {
		err = c.QueryRow(ctx, "select clock_timestamp()").Scan(&now)
		return now, err
	}
	if _, err := ask(); err != nil { // The first call prepares the statement.
		return 0, 0, err
	}
	return probe.Clock(ask)
}

// tryWrite writes what Touch writes, and takes it back. It returns why the database did not take it.
func tryWrite(ctx context.Context, c *pgxpool.Conn) error {
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, touch)
	return errors.Join(err, tx.Rollback(ctx))
}

// inspectConn adds how the connection was made.
func inspectConn(conn net.Conn, settings *pgx.ConnConfig, facts *Facts) {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		facts.Public = address.IsPublic(tcp.AddrPort().Addr())
	}
	if secured, ok := conn.(*tls.Conn); ok {
		facts.TLS, facts.Certificate = true, secured.ConnectionState().PeerCertificates[0].NotAfter
	}
	clear := slices.ContainsFunc(settings.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
	secured := settings.TLSConfig
	verified := secured != nil && (!secured.InsecureSkipVerify || secured.VerifyPeerCertificate != nil)
	facts.Unverified = clear || !verified
	guessable := slices.Contains(known, settings.Password) || settings.Password == settings.User
	facts.KnownPassword = settings.Password != "" && guessable
}
