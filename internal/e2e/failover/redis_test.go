package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// A redisServer is a Redis or a Sentinel.
type redisServer struct{ *servertest.Server }

// newRedis returns a Redis server that was not started.
func newRedis(t *testing.T, dir, name string, options ...string) *redisServer {
	t.Helper()
	address, own := servertest.FreeAddress(t), filepath.Join(dir, name)
	servertest.Folder(t, own, nil)
	s := &redisServer{&servertest.Server{
		T:       t,
		Name:    name,
		Address: address,
		Dying:   "KILL",
		Log:     filepath.Join(own, "log"),
		Args: append([]string{
			servertest.Need(t, "TEST_REDIS_SERVER"),
			"--port", servertest.Port(address),
			"--bind", "127.0.0.1",
			"--dir", own,
			"--save", "",
		}, options...),
	}}
	s.Ready = func() error { _, err := s.command("ping"); return err }
	return s
}

// dialRedis returns a plain client of one server, which repeats nothing.
func dialRedis(address string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:          address,
		Protocol:      2,
		MaxRetries:    -1,
		DialTimeout:   plainTimeout,
		ReadTimeout:   plainTimeout,
		WriteTimeout:  plainTimeout,
		DialerRetries: 1,
	})
}

// command runs a command on one server and returns its reply as text.
func (s *redisServer) command(args ...any) (string, error) {
	c := redis.NewClient(&redis.Options{Addr: s.Address, Protocol: 2})
	defer c.Close()
	return c.Do(context.Background(), args...).Text()
}

// must runs a command that has to succeed.
func (s *redisServer) must(args ...any) string {
	s.T.Helper()
	text, err := s.command(args...)
	if err != nil {
		s.T.Fatalf("%s: %v: %v", s.Name, args, err)
	}
	return text
}

// info returns a field of INFO.
func (s *redisServer) info(field string) string {
	text, _ := s.command("info")
	_, rest, _ := strings.Cut(text, "\r\n"+field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// masters is the number of masters of a cluster; each has one replica.
const masters = 3

// slots is the number of slots of every cluster.
const slots = 16384

// A cluster is a Redis Cluster of three masters and three replicas.
type cluster struct {
	t     *testing.T
	nodes []*redisServer // the first three begin as masters, and each has the replica that is three behind it
}

// startCluster starts a cluster and waits until it serves and its replicas are in step.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	dir := servertest.Home(t)
	c := &cluster{t: t}
	for i := range 2 * masters {
		s := newRedis(t, dir, fmt.Sprintf("node%d", i),
			"--appendonly", "no",
			"--cluster-enabled", "yes",
			"--cluster-port", servertest.Port(servertest.FreeAddress(t)),
			"--cluster-announce-ip", "127.0.0.1",
			"--cluster-node-timeout", "3000",
			"--repl-diskless-sync-delay", "0",
		)
		s.Launch()
		c.nodes = append(c.nodes, s)
	}
	for _, s := range c.nodes {
		s.Await()
	}
	for i, s := range c.nodes[:masters] {
		s.must("cluster", "addslotsrange", i*slots/masters, (i+1)*slots/masters-1)
	}
	for _, s := range c.nodes[1:] {
		s.must("cluster", "meet", "127.0.0.1", servertest.Port(c.nodes[0].Address), c.busPort(0))
	}
	c.await("every node knows the others", func(s *redisServer) bool {
		return strings.Contains(s.must("cluster", "info"), fmt.Sprintf("cluster_known_nodes:%d\r", 2*masters))
	})
	for i, s := range c.nodes[masters:] {
		s.must("cluster", "replicate", c.id(i))
	}
	c.await("every replica is in step", func(s *redisServer) bool {
		return s.info("role") == "master" || s.info("master_link_status") == "up"
	})
	c.await("every node knows that the cluster serves", func(s *redisServer) bool {
		return strings.Contains(s.must("cluster", "info"), "cluster_state:ok") &&
			strings.Count(s.must("cluster", "nodes"), " slave ")+
				strings.Count(s.must("cluster", "nodes"), "myself,slave ") == masters
	})
	return c
}

// busPort returns the port at which a node hears the others.
func (c *cluster) busPort(i int) string {
	args := c.nodes[i].Args
	for j, arg := range args {
		if arg == "--cluster-port" {
			return args[j+1]
		}
	}
	return ""
}

// id returns the identifier of a node.
func (c *cluster) id(i int) string { return c.nodes[i].must("cluster", "myid") }

// await waits until something is true of every node.
func (c *cluster) await(what string, ok func(s *redisServer) bool) {
	c.t.Helper()
	for _, s := range c.nodes {
		servicetest.Eventually(c.t, what, func() bool { return ok(s) })
	}
}

// settings returns the settings of a service on the cluster.
func (c *cluster) settings() []string {
	addresses := make([]string, masters)
	for i, s := range c.nodes[:masters] {
		addresses[i] = s.Address
	}
	return []string{"REDIS_URL=redis://" + strings.Join(addresses, ","), "REDIS_MODE=cluster"}
}

// probes returns a write for each of the first masters. It asks the node that took the last write, and goes where that
// node sends it. If that does not help, it asks the others.
func (c *cluster) probes() (probes []probe) {
	clients := make(map[string]*redis.Client)
	var addresses []string
	for _, s := range c.nodes {
		clients[s.Address] = dialRedis(s.Address)
		addresses = append(addresses, s.Address)
		c.t.Cleanup(func() { clients[s.Address].Close() })
	}
	for i := range masters {
		key := c.keyOf(i)
		owner := addresses[i]
		probes = append(probes, func(ctx context.Context) error {
			var err error
			for _, address := range append([]string{owner}, addresses...) {
				if address, err = writeSlot(ctx, clients, address, key); err == nil {
					owner = address
					return nil
				}
			}
			return err
		})
	}
	return probes
}

// writeSlot writes a key to the node of an address, or where that node sends it, and returns the node that took it.
func writeSlot(ctx context.Context, clients map[string]*redis.Client, address, key string) (string, error) {
	for range 2 {
		err := clients[address].Set(ctx, key, "", time.Minute).Err()
		if err == nil {
			return address, nil
		}
		moved := strings.Fields(err.Error())
		if len(moved) != 3 || clients[moved[2]] == nil {
			return address, err
		}
		address = moved[2]
		if moved[0] == "ASK" {
			_, err := clients[address].Pipelined(ctx, func(p redis.Pipeliner) error {
				p.Do(ctx, "asking")
				return p.Set(ctx, key, "", time.Minute).Err()
			})
			return address, err
		}
	}
	return address, fmt.Errorf("no node has %s", key)
}

// masterOf returns the number of the master that a slot begins with.
func masterOf(slot int) (i int) {
	for slot >= (i+1)*slots/masters {
		i++
	}
	return i
}

// keyOf returns a key of a slot that a master began with.
func (c *cluster) keyOf(master int) string {
	for n := 0; ; n++ {
		key := fmt.Sprintf("probe:%d", n)
		slot, _ := strconv.Atoi(c.slot(key))
		if masterOf(slot) == master {
			return key
		}
	}
}

func (c *cluster) slot(key string) string {
	r := redis.NewClient(&redis.Options{Addr: c.nodes[0].Address, Protocol: 2})
	defer r.Close()
	n, err := r.ClusterKeySlot(context.Background(), key).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	return strconv.FormatInt(n, 10)
}

// keys returns the keys that match a pattern.
func (c *cluster) keys(pattern string) (found []string) {
	c.t.Helper()
	for _, s := range c.nodes[:masters] {
		r := redis.NewClient(&redis.Options{Addr: s.Address, Protocol: 2})
		keys, err := r.Keys(context.Background(), pattern).Result()
		r.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		found = append(found, keys...)
	}
	if len(found) == 0 {
		c.t.Fatalf("no key matches %s", pattern)
	}
	slices.Sort(found)
	return found
}

// reshard moves slots from one master to another, as an operator does.
func (c *cluster) reshard(from, to, count int) {
	c.t.Helper()
	server := servertest.Need(c.t, "TEST_REDIS_SERVER")
	cli := filepath.Join(filepath.Dir(server), strings.Replace(filepath.Base(server), "-server", "-cli", 1))
	out, err := exec.Command(cli, "--cluster", "reshard", c.nodes[0].Address,
		"--cluster-from", c.id(from), "--cluster-to", c.id(to), "--cluster-slots", strconv.Itoa(count),
		"--cluster-yes", "--cluster-pipeline", "10").CombinedOutput()
	if err != nil {
		c.t.Fatalf("reshard: %v\n%s", err, out)
	}
}

// migrate moves the slot of a key from one master to another by hand. While the keys move one by one, the slot is held
// open for a while, in which commands for several keys are answered with TRYAGAIN. It returns when that was.
func (c *cluster) migrate(key string, hold time.Duration) (open span) {
	c.t.Helper()
	slot := c.slot(key)
	n, _ := strconv.Atoi(slot)
	from := masterOf(n)
	to := (from + 1) % masters
	source, target := c.nodes[from], c.nodes[to]
	open.from = time.Now()
	target.must("cluster", "setslot", slot, "importing", c.id(from))
	source.must("cluster", "setslot", slot, "migrating", c.id(to))
	r := redis.NewClient(&redis.Options{Addr: source.Address, Protocol: 2})
	defer r.Close()
	ctx := context.Background()
	move := func(count int) int {
		keys, err := r.ClusterGetKeysInSlot(ctx, n, count).Result()
		if err != nil {
			c.t.Fatal(err)
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, k := range keys {
			err := r.Do(ctx, "migrate", "127.0.0.1", servertest.Port(target.Address), k, 0, 5000).Err()
			if err != nil {
				c.t.Fatal(err)
			}
		}
		return len(keys)
	}
	moved := 0
	for time.Since(open.from) < hold {
		time.Sleep(20 * time.Millisecond)
		moved += move(5)
	}
	for n := 1; n > 0; moved += n {
		n = move(1000)
	}
	for _, s := range []*redisServer{target, source} {
		s.must("cluster", "setslot", slot, "node", c.id(to))
	}
	open.to = time.Now()
	c.t.Logf("%d keys have moved in %v", moved, open.to.Sub(open.from))
	return open
}

// A sentinels is a master with two replicas, which three sentinels watch.
type sentinels struct {
	t         *testing.T
	redis     []*redisServer // the first one begins as the master
	sentinels []*redisServer
}

const masterName = "otp"

func startSentinels(t *testing.T) *sentinels {
	t.Helper()
	dir := servertest.Home(t)
	g := &sentinels{t: t}
	for i := range 3 {
		s := newRedis(t, dir, fmt.Sprintf("redis%d", i), "--appendonly", "no", "--repl-diskless-sync-delay", "0")
		if i > 0 {
			s.Args = append(s.Args, "--replicaof", "127.0.0.1 "+servertest.Port(g.redis[0].Address))
		}
		s.Start()
		g.redis = append(g.redis, s)
	}
	for i := range 3 {
		s := newRedis(t, dir, fmt.Sprintf("sentinel%d", i))
		own := filepath.Dir(s.Log)
		config := filepath.Join(own, "sentinel.conf")
		servertest.File(t, config, fmt.Sprintf("port %s\nbind 127.0.0.1\n", servertest.Port(s.Address))+
			fmt.Sprintf("dir %s\n", own)+
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 2\n", masterName, servertest.Port(g.redis[0].Address))+
			fmt.Sprintf("sentinel down-after-milliseconds %s 2000\n", masterName)+
			fmt.Sprintf("sentinel failover-timeout %s 10000\n", masterName))
		s.Args = []string{s.Args[0], config, "--sentinel"}
		s.Start()
		g.sentinels = append(g.sentinels, s)
	}
	for _, s := range g.redis[1:] {
		servicetest.Eventually(t, "the replica is in step", func() bool { return s.info("master_link_status") == "up" })
	}
	for _, s := range g.sentinels {
		servicetest.Eventually(t, "the sentinel knows all", func() bool {
			return strings.Contains(s.info("master0"), "status=ok") &&
				strings.HasSuffix(s.info("master0"), "slaves=2,sentinels=3")
		})
	}
	return g
}

func (g *sentinels) settings() []string {
	addresses := make([]string, len(g.sentinels))
	for i, s := range g.sentinels {
		addresses[i] = s.Address
	}
	return []string{
		"REDIS_URL=redis://" + strings.Join(addresses, ","),
		"REDIS_MODE=sentinel",
		"REDIS_MASTER=" + masterName,
	}
}

// probeAny returns a write that any of the servers has to take.
func probeAny(t *testing.T, servers ...*redisServer) probe {
	clients := make([]*redis.Client, len(servers))
	for i, s := range servers {
		clients[i] = dialRedis(s.Address)
		t.Cleanup(func() { clients[i].Close() })
	}
	return func(ctx context.Context) error {
		var err error
		for _, c := range clients {
			if err = c.Set(ctx, "probe", "", time.Minute).Err(); err == nil {
				return nil
			}
		}
		return err
	}
}
