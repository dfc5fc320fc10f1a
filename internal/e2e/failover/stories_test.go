package failover

import (
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
	"dekamond-otp/internal/servertest"
)

// stories are all faults.
var stories = []story{
	{"cluster master killed", clusterMasterKilled},
	{"cluster failover, planned", clusterFailover},
	{"cluster resharded", clusterResharded},
	{"slot migrates", slotMigrates(16)},
	{"slot migrates, 1 partition", slotMigrates(1)},
	{"sentinel master killed", sentinelMasterKilled},
	{"redis restarted", redisRestarted},
	{"primary killed", primaryKilled},
	{"primary silent", primarySilent},
	{"primary read-only", primaryReadOnly},
	{"switch-over", switchOver},
	{"pgbouncer", throughPgBouncer},
	{"17 connections", fewConnections},
	{"copies killed", copiesKilled},
	{"rolling restart", rollingRestart},
}

func clusterMasterKilled(t *testing.T, r *rand.Rand) report {
	c := startCluster(t)
	victim := c.nodes[r.IntN(masters)]
	sc := scene{database: pgtest.NewDatabase(t), settings: c.settings(), probes: c.probes()}
	return sc.play(t, func(s *stage) {
		victim.End(syscall.SIGKILL)
		for _, status := range []int{503, 200} {
			servicetest.Eventually(t, "readyz answers "+strconv.Itoa(status), func() bool {
				return s.copies[0].Call("GET", "/readyz", "").Status == status
			})
		}
	})
}

// clusterFailover is the story of a cluster whose replicas all become masters, one after another, as an operator lets
// them before the masters are upgraded.
func clusterFailover(t *testing.T, r *rand.Rand) report {
	c := startCluster(t)
	sc := scene{database: pgtest.NewDatabase(t), settings: c.settings(), probes: c.probes(), planned: true}
	return sc.play(t, func(*stage) {
		for _, i := range r.Perm(masters) {
			replica := c.nodes[masters+i]
			replica.must("cluster", "failover")
			promoted := func() bool { return replica.info("role") == "master" }
			servicetest.Eventually(t, "the replica is a master", promoted)
			time.Sleep(time.Second)
		}
	})
}

func clusterResharded(t *testing.T, r *rand.Rand) report {
	c := startCluster(t)
	from := r.IntN(masters)
	sc := scene{database: pgtest.NewDatabase(t), settings: c.settings(), probes: c.probes(), planned: true}
	return sc.play(t, func(*stage) { c.reshard(from, (from+1)%masters, slots/masters/2) })
}

// slotMigrates returns a story in which the slot of a partition is held open for a second while its keys move. The
// service tries a call again for a second and a half; redis-cli takes milliseconds for a slot.
func slotMigrates(partitions int) func(t *testing.T, r *rand.Rand) report {
	return func(t *testing.T, r *rand.Rand) report {
		c := startCluster(t)
		sc := scene{
			database: pgtest.NewDatabase(t),
			settings: append(c.settings(), "REDIS_PARTITIONS="+strconv.Itoa(partitions)),
			probes:   c.probes(),
			planned:  true,
		}
		return sc.play(t, func(s *stage) {
			outboxes := c.keys("otp:*:outbox") // one in each slot of a partition that is in use
			open := c.migrate(outboxes[r.IntN(len(outboxes))], time.Second)
			if open.to.Sub(open.from) > 1300*time.Millisecond {
				s.tooSlow(open)
			}
		})
	}
}

func sentinelMasterKilled(t *testing.T, _ *rand.Rand) report {
	g := startSentinels(t)
	sc := scene{database: pgtest.NewDatabase(t), settings: g.settings(), probes: []probe{probeAny(t, g.redis...)}}
	return sc.play(t, func(*stage) { g.redis[0].End(syscall.SIGKILL) })
}

func redisRestarted(t *testing.T, _ *rand.Rand) report {
	s := newRedis(t, servertest.Home(t), "redis", "--appendonly", "yes", "--appendfsync", "always")
	s.Start()
	sc := scene{
		database: pgtest.NewDatabase(t),
		settings: []string{"REDIS_URL=redis://" + s.Address},
		probes:   []probe{probeAny(t, s)},
	}
	return sc.play(t, func(*stage) {
		s.End(syscall.SIGKILL)
		time.Sleep(time.Second)
		s.Start()
	})
}

// readWrite makes the driver choose the host that takes writes.
const readWrite = "&target_session_attrs=read-write"

func primaryKilled(t *testing.T, _ *rand.Rand) report {
	primary, standby := startPair(t)
	return onPair(t, url(readWrite, primary, standby), primary, standby, func(*stage) {
		primary.kill()
		standby.promote()
	})
}

// primarySilent is the story of a primary whose host takes connections and never answers, as behind a firewall that
// drops its packets.
func primarySilent(t *testing.T, _ *rand.Rand) report {
	primary, standby := startPair(t)
	gate, through := servicetest.Through(t, "DATABASE_URL=postgres://"+primary.Address)
	host := through[len("DATABASE_URL=postgres://"):]
	database := "postgres://test@" + host + "," + standby.Address + "/postgres?sslmode=disable" + readWrite
	return onPair(t, database, primary, standby, func(s *stage) {
		began := time.Now() // when only the plain client still reaches the primary
		gate.Hold()
		primary.kill()
		standby.promote()
		servicetest.Eventually(t, "the standby takes writes", func() bool { return standby.exec(probeWrite) == nil })
		s.away(span{began, time.Now()})
	})
}

// primaryReadOnly is the story of a primary that serves on as a standby, whose connections stay open.
func primaryReadOnly(t *testing.T, _ *rand.Rand) report {
	primary, standby := startPair(t)
	return onPair(t, url(readWrite, primary, standby), primary, standby, func(*stage) {
		primary.mustExec(t, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
		servicetest.Eventually(t, "the primary takes no writes", func() bool {
			readOnly, _ := primary.query("show default_transaction_read_only")
			return readOnly == "on"
		})
		standby.promote()
	})
}

// switchOver is the story of a primary that is ended as operators do it, after its standby has all that it has.
func switchOver(t *testing.T, _ *rand.Rand) report {
	primary, standby := startPair(t)
	return onPair(t, url(readWrite, primary, standby), primary, standby, func(*stage) {
		primary.End(syscall.SIGINT)
		standby.promote()
	})
}

func onPair(t *testing.T, database string, primary, standby *postgres, fault func(s *stage)) report {
	t.Helper()
	sc := scene{
		database: database,
		found:    url("", standby),
		settings: []string{"REDIS_URL=" + servicetest.RedisURL(t)},
		probes:   []probe{probeTables(t, primary, standby)},
	}
	return sc.play(t, fault)
}

// throughPgBouncer is the story of a service that knows nothing of the PgBouncer before its database. It starts with
// the migrations.
func throughPgBouncer(t *testing.T, _ *rand.Rand) report {
	const connections = 10
	sc := scene{
		database: servertest.PgBouncer(t, pgtest.NewDatabase(t), connections),
		settings: []string{"REDIS_URL=" + servicetest.RedisURL(t)},
		planned:  true,
		workers:  16,
	}
	return sc.play(t, func(*stage) {})
}

// fewConnections is the story of three copies, each of which would open 16 connections to a server that has 17 for them
// in all. Three more are for superusers.
func fewConnections(t *testing.T, _ *rand.Rand) report {
	p := newPostgres(t, servertest.Home(t), "postgres",
		"-c", "max_connections=20", "-c", "superuser_reserved_connections=3", "-c", "max_wal_senders=0")
	p.initialise()
	p.Start()
	p.mustExec(t, "create role otp login", "grant all on schema public to otp")
	sc := scene{
		database: "postgres://otp@" + p.Address + "/postgres?sslmode=disable",
		found:    url("", p),
		settings: []string{"REDIS_URL=" + servicetest.RedisURL(t)},
		planned:  true,
		copies:   3,
		workers:  32,
	}
	return sc.play(t, func(*stage) {})
}

// copiesKilled is the story of two copies that are killed in turn, each second, while their provider is slow.
func copiesKilled(t *testing.T, _ *rand.Rand) report {
	stores := servicetest.RealStores(t)
	sc := scene{
		database: stores[0][len("DATABASE_URL="):],
		settings: stores[1:],
		planned:  true,
		killed:   true,
		delay:    300 * time.Millisecond,
	}
	const kills = 8
	return sc.play(t, func(s *stage) {
		for i := range kills {
			next := time.After(time.Second)
			s.restart(i%2, syscall.SIGKILL)
			<-next
		}
	})
}

func rollingRestart(t *testing.T, _ *rand.Rand) report {
	stores := servicetest.RealStores(t)
	sc := scene{database: stores[0][len("DATABASE_URL="):], settings: stores[1:], planned: true}
	return sc.play(t, func(s *stage) {
		for i := range 4 {
			s.restart(i%2, syscall.SIGTERM)
		}
	})
}
