package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/config"
)

const (
	slow       = 10 * time.Millisecond // of a round trip; a login waits for three
	skewed     = time.Second           // of two clocks
	farSkewed  = time.Minute
	nearlyFull = 90 // percent
	samples    = 5  // round trips that a latency is the median of
)

// Clock asks a service for its time, and gives the latency of that and how far its clock is ahead of the one here.
func Clock(ask func() (time.Time, error)) (latency, skew time.Duration, err error) {
	var trips []time.Duration
	for range samples {
		began := time.Now()
		now, err := ask()
		if err != nil {
			return 0, 0, err
		}
		trip := time.Since(began)
		trips = append(trips, trip)
		skew = now.Sub(began.Add(trip / 2))
	}
	slices.Sort(trips)
	return trips[samples/2], skew, nil
}

// Redis is what is found out about a Redis.
type Redis struct {
	Public      bool // it is reached through networks of others
	TLS         bool
	Unverified  bool      // TLS with anybody's certificate
	Password    bool      // the URL has one
	Certificate time.Time // its end; zero: there is none
	Latency     time.Duration
	Skew        time.Duration // its clock minus the one here
	NoScripts   error         // why scripts do not run
	Nodes       []RedisNode   // the masters
}

// A RedisNode is what one server says of itself.
type RedisNode struct {
	Silent           bool   // it may not be asked: all else is unknown
	Product, Version string // such as redis, valkey
	Policy           string // maxmemory-policy; empty: it could not be read
	Used, Memory     int64  // bytes in use, and at most; 0 = any
	AppendOnly       bool
	Snapshots        *bool // nil: it could not be read
	Unsaved          bool  // its last try to write to disk failed
	Replica, Loading bool
	Cluster          bool
	Uncovered        bool // a cluster that does not have all slots
}

// policies are all that there are (redis.io, Key eviction).
var policies = []string{
	"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl",
}

var products = []string{"redis", "valkey", "keydb", "dragonfly"}

func embeddedRedis(c *config.Config) (f findings) {
	f.either(!c.Production, "redis", "is in the process: it forgets codes, limits and queued messages at a restart", Weak,
		"is in the process: it forgets codes, limits and queued messages at a restart, and copies of the service do not share it; set REDIS_URL")
	return f
}

func (r Redis) verdict(err error, c *config.Config, now time.Time) (f findings) {
	if err != nil {
		f.add(Wrong, "redis", "%s", plain(err))
		return f
	}
	var about []string
	for _, n := range r.Nodes {
		about = append(about, n.title())
	}
	slices.Sort(about)
	line := strings.Join(slices.Compact(about), ", ")
	if len(r.Nodes) > 1 {
		line = strconv.Itoa(len(r.Nodes)) + " masters, " + line
	}
	f.add(OK, "redis", "%s, %s", line, milliseconds(r.Latency))
	for _, n := range r.Nodes {
		for _, one := range n.verdict(c) {
			if !slices.Contains(f, one) { // another node has said so
				f = append(f, one)
			}
		}
	}
	if r.NoScripts != nil {
		f.add(Wrong, "redis", "runs no scripts, by which everything is decided: it %s", plain(r.NoScripts))
	}
	if r.Latency > slow {
		f.add(Weak, "redis", "is %s away, which every request waits for; put it near the service", milliseconds(r.Latency))
	}
	if r.Public {
		f.either(r.TLS, "redis", "is reached with TLS", Wrong, "is reached over a public address without TLS: its password and all that it holds can be read on the way; use rediss://")
		if !r.Password {
			f.add(Wrong, "redis", "has a public address and asks for no password")
		}
	}
	if r.Unverified {
		f.add(Weak, "redis", "may show any certificate (skip_verify): whoever is on the way can be your Redis")
	}
	f.certificate("redis", r.Certificate, now)
	return f
}

var versionShape = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){1,3}$`)

// version reads the first two numbers.
func version(s string) (major, minor int) {
	parts := strings.Split(s+".0", ".")
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}

// title is like: redis 8.0.1, noeviction, appendonly.
func (n RedisNode) title() string {
	product, number := "redis", "of unknown version"
	if slices.Contains(products, n.Product) {
		product = n.Product
	}
	if versionShape.MatchString(n.Version) {
		number = n.Version
	}
	s := product + " " + number
	if slices.Contains(policies, n.Policy) {
		s += ", " + n.Policy
	}
	switch {
	case n.AppendOnly:
		s += ", appendonly"
	case n.Snapshots != nil && *n.Snapshots:
		s += ", snapshots"
	}
	return s
}

func (n RedisNode) verdict(c *config.Config) (f findings) {
	if n.Silent {
		f.add(Note, "redis", "does not let this user ask about it (INFO): see yourself that it is 6.2 or newer, with maxmemory-policy noeviction and appendonly yes")
		return f
	}
	if major, minor := version(n.Version); versionShape.MatchString(n.Version) && (major < 6 || major == 6 && minor < 2) {
		f.add(Wrong, "redis", "is older than 6.2, which the service needs")
	}
	switch {
	case n.Policy == "":
		f.add(Note, "redis", "does not tell its maxmemory-policy, which has to be noeviction")
	case !slices.Contains(policies, n.Policy):
		f.add(Wrong, "redis", "maxmemory-policy is not noeviction: limits and codes may vanish; set it to noeviction")
	case n.Policy != "noeviction":
		f.add(Wrong, "redis", "maxmemory-policy is %s: limits and codes may vanish; set it to noeviction", n.Policy)
	}
	if n.Memory > 0 && n.Used > n.Memory/100*nearlyFull {
		f.add(Weak, "redis", "has %d%% of its maxmemory in use; when it is full, every request is answered 503", n.Used*100/n.Memory)
	}
	const forgets = "a restart forgets codes, limits and queued messages"
	switch {
	case n.AppendOnly:
	case n.Snapshots == nil:
		f.add(Note, "redis", "has appendonly off, and whether it makes snapshots could not be read (CONFIG is forbidden, as it is with managed services); without either %s", forgets)
	case *n.Snapshots:
		f.add(Note, "redis", "makes snapshots: a crash forgets the limits and queued messages of the last minutes; appendonly yes keeps them")
	default:
		f.add(Weak, "redis", "keeps nothing on disk: %s; set appendonly yes", forgets)
	}
	if n.Unsaved {
		f.add(Wrong, "redis", "could not write to its disk the last time: it may refuse all that writes")
	}
	if n.Replica {
		f.add(Wrong, "redis", "is a replica, which takes no writes; name its master in REDIS_URL")
	}
	if n.Loading {
		f.add(Wrong, "redis", "is reading its data from disk, and answers when it has")
	}
	switch mode := c.RedisMode; {
	case n.Cluster && mode != "cluster":
		f.add(Wrong, "redis", "is a cluster; set REDIS_MODE=cluster")
	case !n.Cluster && mode == "cluster":
		f.add(Wrong, "redis", "is no cluster; set REDIS_MODE=single")
	case n.Uncovered:
		f.add(Wrong, "redis", "is a cluster that is not whole: some phones get no codes")
	}
	return f
}

// Postgres is what is found out about a Postgres.
type Postgres struct {
	Version           int  // server_version_num, such as 150018
	Public            bool // it is reached through networks of others
	TLS               bool
	Unverified        bool      // TLS with anybody's certificate, or given up where there is none
	Certificate       time.Time // its end; zero: there is none
	KnownPassword     bool      // it is one that everybody tries first
	Latency           time.Duration
	Skew              time.Duration // its clock minus the one here
	Replica, ReadOnly bool
	Unsafe            bool // it confirms what a crash may undo
	Superuser         bool
	MayMigrate        bool
	Pending           []string // migrations
	Pool              int      // connections of one copy, at most
	Connections       int      // that the server has for everybody
	Used              int      // of them
}

// endOfLife is when a major version gets its last fixes (postgresql.org, Versioning policy): in its sixth November.
func endOfLife(major int) time.Time {
	return time.Date(2012+major, time.November, 8, 0, 0, 0, 0, time.UTC)
}

func (p Postgres) verdict(err error, c *config.Config, now time.Time) (f findings) {
	if err != nil {
		f.add(Wrong, "database", "%s", plain(err))
		return f
	}
	major, minor := p.Version/10000, p.Version%10000
	copies := p.Connections / max(p.Pool, 1)
	f.add(OK, "database", "Postgres %d.%d, %s, room for %d copies of %d connections", major, minor, milliseconds(p.Latency), copies, p.Pool)
	if end := endOfLife(major).AddDate(0, 0, 6); end.Before(now) { // the second Thursday, at the latest
		f.add(Weak, "database", "Postgres %d has had no fixes since November %d; upgrade it", major, end.Year())
	}
	if p.Replica || p.ReadOnly {
		f.add(Wrong, "database", "takes no writes: it is a replica, or read-only; name the primary in DATABASE_URL")
	}
	if copies == 0 {
		f.add(Wrong, "database", "has %d connections, fewer than the %d of one copy; raise max_connections, or add pool_max_conns= to DATABASE_URL", p.Connections, p.Pool)
	} else if p.Used*100 > p.Connections*nearlyFull {
		f.add(Weak, "database", "has %d of its %d connections in use", p.Used, p.Connections)
	}
	f.migrations(p.Pending, p.MayMigrate, c)
	if p.Latency > slow {
		f.add(Weak, "database", "is %s away, which every login waits for; put it near the service", milliseconds(p.Latency))
	}
	if p.Public {
		f.either(p.TLS, "database", "is reached with TLS", Wrong, "is reached over a public address without TLS; add sslmode=verify-full to DATABASE_URL")
		if p.TLS && p.Unverified {
			f.add(Weak, "database", "may show any certificate, or none: whoever is on the way can be your database; add sslmode=verify-full to DATABASE_URL")
		}
	}
	f.certificate("database", p.Certificate, now)
	if p.KnownPassword {
		f.add(Weak, "database", "has a password that everybody tries first")
	}
	if p.Superuser {
		f.add(Weak, "database", "lets the service do anything: it is a superuser; give it a role that owns its database and no more")
	}
	if p.Unsafe {
		f.add(Weak, "database", "has fsync or synchronous_commit off: a crash may undo logins that were answered")
	}
	return f
}

// migrations tells of those that the database lacks.
func (f *findings) migrations(pending []string, may bool, c *config.Config) {
	switch n := len(pending); {
	case n == 0:
	case !may:
		f.add(Wrong, "database", "lacks %d migration(s), and its user may not make tables", n)
	case c.MigrateOnStart:
		f.add(Note, "database", "lacks %d migration(s), which the next start applies", n)
	default:
		f.add(Wrong, "database", "lacks %d migration(s), and MIGRATE_ON_START is off; run: dekamond-otp migrate", n)
	}
}

// SQLite is what is found out about the file of an embedded database.
type SQLite struct {
	Path    string
	Missing bool
	Others  bool // others than its owner can read it
	Pending []string
}

func (s SQLite) verdict(err error, c *config.Config) (f findings) {
	switch {
	case err != nil:
		f.add(Wrong, "database", "the file %s %s", s.Path, plain(err))
	case s.Missing:
		f.add(Note, "database", "the file %s is made at the first start", s.Path)
	default:
		f.add(OK, "database", "the file %s", s.Path)
		f.migrations(s.Pending, true, c)
	}
	if s.Others {
		f.add(Weak, "database", "the file, with all numbers, can be read by every user of this machine; chmod 600")
	}
	if c.Production {
		f.add(Weak, "database", "is a file of this machine: copies of the service do not share it; set DATABASE_URL to a Postgres")
	}
	return f
}

// A clock is another one than that of this machine.
type clock struct {
	of    string
	skew  time.Duration
	asked bool
}

func clocks(others ...clock) (f findings) {
	for _, c := range others {
		switch off := c.skew.Abs(); {
		case !c.asked:
		case off > farSkewed:
			f.add(Wrong, "clock", "is %s off that of %s: tokens are refused, or live too long; run NTP on both", off.Round(time.Second), c.of)
		case off > skewed:
			f.add(Weak, "clock", "is %.1f s off that of %s; run NTP on both", off.Seconds(), c.of)
		default:
			f.add(OK, "clock", "agrees with that of %s", c.of)
		}
	}
	return f
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
