package pgstore

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/doctor"
)

// known are passwords that are tried first, docker-compose.yml's among them.
var known = []string{"otp", "postgres", "password", "secret", "admin", "test", "changeme", "example"}

const (
	errNoTLS  = doctor.Said("takes no TLS, and sslmode= in DATABASE_URL asks for it")
	errOthers = doctor.Said("has tables that the user may not read and write: grant them, or name their owner in DATABASE_URL")
)

// What a database that only resembles Postgres does not know is false.
const selectFacts = `
	select current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
		current_setting('fsync', true) is not distinct from 'off' or current_setting('synchronous_commit', true) is not distinct from 'off',
		coalesce((select rolsuper from pg_roles where rolname = current_user), false),
		coalesce(has_schema_privilege(current_schema(), 'create'), false),
		current_setting('max_connections')::int - coalesce(current_setting('superuser_reserved_connections', true)::int, 0),
		(select count(*)::int from pg_stat_activity where pid <> pg_backend_pid())`

// What the service does with its tables.
const selectRights = `
	select bool_and(has_table_privilege(name, 'select') and has_table_privilege(name, 'insert') and has_table_privilege(name, 'update') and has_table_privilege(name, 'delete'))
	from unnest(array['users', 'sessions', 'audit']) as name`

// Facts asks Postgres about itself and changes nothing.
func (a *Accounts) Facts(ctx context.Context) (facts doctor.Postgres, err error) {
	c, err := a.pool.Acquire(ctx)
	if err != nil && strings.Contains(err.Error(), "server refused TLS") { // a text of the client's
		return facts, errNoTLS
	}
	if err != nil {
		return facts, err
	}
	defer c.Release()
	settings := a.pool.Config()
	look(c.Conn().PgConn().Conn(), settings.ConnConfig, &facts)
	facts.Pool = int(settings.MaxConns)
	clock := func() (now time.Time, err error) {
		err = c.QueryRow(ctx, "select clock_timestamp()").Scan(&now)
		return now, err
	}
	if _, err := clock(); err != nil { // the first one prepares the statement
		return facts, err
	}
	if facts.Latency, facts.Skew, err = doctor.Clock(clock); err != nil {
		return facts, err
	}
	if err := c.QueryRow(ctx, selectFacts).Scan(
		&facts.Version, &facts.Replica, &facts.ReadOnly, &facts.Unsafe, &facts.Superuser, &facts.MayMigrate, &facts.Connections, &facts.Used,
	); err != nil {
		return facts, err
	}
	if facts.Pending, err = a.Pending(ctx); err == nil && len(facts.Pending) == 0 {
		var may bool
		if err = c.QueryRow(ctx, selectRights).Scan(&may); err == nil && !may {
			return facts, errOthers
		}
	}
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == "42501" {
		return facts, errOthers
	}
	return facts, err
}

// look sees how the connection was made.
func look(conn net.Conn, settings *pgx.ConnConfig, facts *doctor.Postgres) {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		facts.Public = address.IsPublic(tcp.AddrPort().Addr())
	}
	if secured, ok := conn.(*tls.Conn); ok {
		facts.TLS, facts.Certificate = true, secured.ConnectionState().PeerCertificates[0].NotAfter
	}
	clear := slices.ContainsFunc(settings.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
	facts.Unverified = clear || settings.TLSConfig == nil || settings.TLSConfig.InsecureSkipVerify && settings.TLSConfig.VerifyPeerCertificate == nil
	facts.KnownPassword = settings.Password != "" && (slices.Contains(known, settings.Password) || settings.Password == settings.User)
}
