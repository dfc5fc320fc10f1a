package doctor

import (
	"errors"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/sqlitestore"
)

// endOfLife returns when a major version of Postgres gets its last fixes: in its sixth November (postgresql.org,
// Versioning policy), on the second Thursday, which is the 14th at the latest.
func endOfLife(major int) time.Time {
	return time.Date(2012+major, time.November, 14, 0, 0, 0, 0, time.UTC)
}

func examinePostgres(p pgstore.Facts, err error, c *config.Config, now time.Time) (f findings) {
	if err != nil {
		refused, _ := errors.AsType[probe.Refusal](err)
		f.add(Wrong, "database", "%s; see %s", plain(err), c.DatabaseSetting(refused.Setting))
		return f
	}
	major, minor := p.Version/10000, p.Version%10000
	copies := p.Connections / max(p.Pool, 1)
	const good = "Postgres %d.%d, %s, room for %d copies of %d connections"
	f.add(OK, "database", good, major, minor, milliseconds(p.Latency), copies, p.Pool)
	if end := endOfLife(major); end.Before(now) {
		f.add(Weak, "database", "Postgres %d has had no fixes since November %d; upgrade it", major, end.Year())
	}
	switch primary := c.DatabaseSetting(""); {
	case p.Replica || p.ReadOnly:
		f.add(Wrong, "database", "takes no writes: it is a replica, or read-only; name the primary in %s", primary)
	case p.NoWrites != nil:
		f.add(Wrong, "database", "takes no writes: it %s; see %s", plain(p.NoWrites), primary)
	}
	if copies == 0 {
		f.add(Wrong, "database", "has %d connections, fewer than the %d of one copy; raise max_connections, "+
			"or add pool_max_conns= to DATABASE_URL", p.Connections, p.Pool)
	} else if p.Used*100 > p.Connections*nearlyFull {
		f.add(Weak, "database", "has %d of its %d connections in use", p.Used, p.Connections)
	}
	f.addMigrations(p.Pending, p.MayMigrate, c)
	if p.Latency > slow {
		const bad = "is %s away, and every login waits for that; put it near the service"
		f.add(Weak, "database", bad, milliseconds(p.Latency))
	}
	f.addPostgresTLS(p, c)
	f.addCertificate("database", p.Certificate, now)
	if p.KnownPassword {
		f.add(Weak, "database", "has a password that attackers try first")
	}
	if p.Superuser {
		f.add(Weak, "database", "lets the service do anything, because it is a superuser; "+
			"give it a role that owns its database and no more")
	}
	if p.Unsafe {
		f.add(Weak, "database", "has fsync or synchronous_commit off: a crash may undo logins that were answered")
	}
	return f
}

func (f *findings) addPostgresTLS(p pgstore.Facts, c *config.Config) {
	if !p.Public {
		return
	}
	advice := "add sslmode=verify-full to DATABASE_URL"
	if name := c.DatabaseSetting("PGSSLMODE"); name == "PGSSLMODE" {
		advice = "set PGSSLMODE=verify-full"
	}
	f.addEither(
		p.TLS, "database", "is reached with TLS", Wrong, "is reached over a public address without TLS; "+advice,
	)
	if p.TLS && p.Unverified {
		f.add(
			Weak, "database", "is accepted with any certificate, or without TLS: "+
				"an attacker on the network can pose as your database; %s",
			advice,
		)
	}
}

// addMigrations reports the migrations that the database lacks.
func (f *findings) addMigrations(pending []string, mayMigrate bool, c *config.Config) {
	switch n := len(pending); {
	case n == 0:
	case !mayMigrate:
		f.add(Wrong, "database", "lacks %d migration(s), and its user may not make tables", n)
	case c.MigrateOnStart:
		f.add(Note, "database", "lacks %d migration(s), which the next start applies", n)
	default:
		f.add(Wrong, "database", "lacks %d migration(s), and MIGRATE_ON_START is off; run: dekamond-otp migrate", n)
	}
}

func examineSQLite(s sqlitestore.Facts, err error, c *config.Config) (f findings) {
	switch {
	case err != nil:
		f.add(Wrong, "database", "the file %s %s", s.Path, plain(err))
	case s.Missing:
		f.add(Note, "database", "the file %s is made at the first start", s.Path)
	default:
		f.add(OK, "database", "the file %s", s.Path)
		f.addMigrations(s.Pending, true, c)
	}
	f.addFolder(s.Folder)
	if s.WorldReadable {
		f.add(Weak, "database", "the file, with all numbers, can be read by every user of this machine; chmod 600")
	}
	if c.Production {
		f.add(Weak, "database", "is a file on this machine: copies of the service do not share it; "+
			"set DATABASE_URL to a Postgres")
	}
	return f
}

const (
	noRoom     = 16 << 20  // Bytes; the write-ahead log and a checkpoint may need as many.
	littleRoom = 256 << 20 // Bytes.
)

// addFolder reports whether files can be made and written in the folder of the database.
func (f *findings) addFolder(folder probe.Folder) {
	if folder.Fault != nil {
		f.add(Wrong, "database", "%v, or set DATABASE_URL to another place", folder.Fault)
	}
	switch {
	case folder.Room == nil:
	case *folder.Room < noRoom:
		const full = "the disk of %s is full, or nearly: %d MB are left, and without room no login is possible"
		f.add(Wrong, "database", full, folder.Path, *folder.Room>>20)
	case *folder.Room < littleRoom:
		f.add(Weak, "database", "the disk of %s is nearly full: %d MB are left", folder.Path, *folder.Room>>20)
	}
}
