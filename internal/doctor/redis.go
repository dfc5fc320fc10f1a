package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/redisstore"
)

const (
	slow       = 10 * time.Millisecond // Of a round trip; a login waits for three.
	nearlyFull = 90                    // Percent.
)

// policies are all eviction policies (redis.io, Key eviction).
var policies = []string{
	"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl",
}

var products = []string{"redis", "valkey", "keydb", "dragonfly"}

func examineEmbeddedRedis(c *config.Config) (f findings) {
	const forgets = "is in the process: it forgets codes, limits and queued messages at a restart"
	f.addEither(!c.Production, "redis", forgets, Weak,
		forgets+", and copies of the service do not share it; set REDIS_URL")
	return f
}

func examineRedis(r redisstore.Facts, err error, c *config.Config, now time.Time) (f findings) {
	if err != nil {
		f.add(Wrong, "redis", "%s", withSetting(plain(err)))
		return f
	}
	var titles []string
	for _, n := range r.Nodes {
		titles = append(titles, nodeTitle(n))
	}
	slices.Sort(titles)
	title := strings.Join(slices.Compact(titles), ", ")
	if len(r.Nodes) > 1 {
		title = strconv.Itoa(len(r.Nodes)) + " masters, " + title
	}
	f.add(OK, "redis", "%s, %s", title, milliseconds(r.Latency))
	for _, n := range r.Nodes {
		for _, finding := range examineNode(n, c) {
			if !slices.Contains(f, finding) { // Another node may have the same finding.
				f = append(f, finding)
			}
		}
	}
	if r.NoScripts != nil {
		f.add(Wrong, "redis", "cannot run the scripts that make every decision: it %s",
			withSetting(plain(r.NoScripts)))
	}
	f.addLatency(r.Latency, c)
	if n := len(r.Nodes); n > 1 && c.RedisPartitions < 2*n {
		const few = "has %d masters for REDIS_PARTITIONS=%d, so that some have more work than others; set %d"
		f.add(Weak, "redis", few, n, c.RedisPartitions, min(4*n, 1024))
	}
	if r.Public {
		f.addEither(r.TLS, "redis", "is reached with TLS", Wrong, "is reached over a public address without TLS: "+
			"its password and all its data can be read in transit; use rediss://")
		if !r.Password {
			f.add(Wrong, "redis", "has a public address and asks for no password")
		}
	}
	if r.Unverified {
		f.add(Weak, "redis", "is accepted with any certificate (skip_verify): "+
			"an attacker on the network can pose as your Redis")
	}
	f.addCertificate("redis", r.Certificate, now)
	return f
}

// addLatency says whether a Redis is near enough for REDIS_TIMEOUT, three round trips of it, and for people.
func (f *findings) addLatency(latency time.Duration, c *config.Config) {
	if needed := 3 * latency; needed > c.RedisTimeout {
		needed = min(needed.Round(50*time.Millisecond)+50*time.Millisecond, time.Second)
		const late = "is %s away, so that calls fail with REDIS_TIMEOUT=%v; " +
			"put it near the service, or set REDIS_TIMEOUT=%v"
		f.add(Wrong, "redis", late, milliseconds(latency), c.RedisTimeout, needed)
		return
	}
	if latency > slow {
		const bad = "is %s away, and every request waits for that; put it near the service"
		f.add(Weak, "redis", bad, milliseconds(latency))
	}
}

// withSetting adds the setting to look at, unless the text about a Redis names one.
func withSetting(text string) string {
	if strings.Contains(text, "REDIS_") {
		return text
	}
	return text + "; see REDIS_URL"
}

var versionShape = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,4}){1,3}$`)

// parseVersion reads the first two numbers of a version.
func parseVersion(s string) (major, minor int) {
	parts := strings.Split(s+".0", ".")
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}

// nodeTitle returns text such as "redis 8.0.1, noeviction, appendonly".
func nodeTitle(n redisstore.Node) string {
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

func examineNode(n redisstore.Node, c *config.Config) (f findings) {
	if n.Silent {
		f.add(Note, "redis", "does not let this user ask about it (INFO): make sure yourself that it is 6.2 or newer, "+
			"with maxmemory-policy noeviction and appendonly yes")
		return f
	}
	major, minor := parseVersion(n.Version)
	if old := major < 6 || major == 6 && minor < 2; old && versionShape.MatchString(n.Version) {
		f.add(Wrong, "redis", "is older than 6.2, which the service needs")
	}
	f.addMemory(n)
	f.addDisk(n)
	if n.Replica {
		f.add(Wrong, "redis", "is a replica, which takes no writes; name its master in REDIS_URL")
	}
	if n.Loading {
		f.add(Wrong, "redis", "is reading its data from disk, and does not answer before it has finished")
	}
	switch mode := c.RedisMode; {
	case n.Cluster && mode != "cluster":
		f.add(Wrong, "redis", "is a cluster; set REDIS_MODE=cluster")
	case !n.Cluster && mode == "cluster":
		f.add(Wrong, "redis", "is no cluster; set REDIS_MODE=single")
	case n.Uncovered:
		f.add(Wrong, "redis", "is a cluster that does not serve all slots: some phones get no codes")
	}
	return f
}

func (f *findings) addMemory(n redisstore.Node) {
	const vanish = "limits and codes may vanish; set it to noeviction"
	switch {
	case n.Policy == "":
		f.add(Note, "redis", "does not report its maxmemory-policy, which has to be noeviction")
	case !slices.Contains(policies, n.Policy):
		f.add(Wrong, "redis", "maxmemory-policy is not noeviction: %s", vanish)
	case n.Policy != "noeviction":
		f.add(Wrong, "redis", "maxmemory-policy is %s: %s", n.Policy, vanish)
	}
	if n.Memory > 0 && n.Used > n.Memory/100*nearlyFull {
		const bad = "has %d%% of its maxmemory in use; when it is full, every request is answered 503"
		f.add(Weak, "redis", bad, n.Used*100/n.Memory)
	}
}

func (f *findings) addDisk(n redisstore.Node) {
	const forgets = "a restart forgets codes, limits and queued messages"
	switch {
	case n.AppendOnly:
	case n.Snapshots == nil:
		f.add(Note, "redis", "has appendonly off, and whether it makes snapshots could not be read "+
			"(CONFIG is forbidden, as it is with managed services); without either %s", forgets)
	case *n.Snapshots:
		f.add(Note, "redis", "makes snapshots: a crash forgets the limits and queued messages of the last minutes; "+
			"appendonly yes keeps them")
	default:
		f.add(Weak, "redis", "keeps nothing on disk: %s; set appendonly yes", forgets)
	}
	if n.Unsaved {
		f.add(Wrong, "redis", "could not write to its disk the last time: it may refuse all writes")
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
