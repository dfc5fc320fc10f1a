package redisstore

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"dekamond-otp/internal/probe"
)

// A scripted Redis answers with the given texts; one that begins with - is an error.
type scripted struct{ info, save, cluster, ping, eval string }

func (o scripted) serve(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if config != nil {
		s, err = server.NewServerTLS("127.0.0.1:0", config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	or := func(text string, yes func(c *server.Peer)) server.Cmd {
		return func(c *server.Peer, _ string, _ []string) {
			if strings.HasPrefix(text, "-") {
				c.WriteError(text[1:])
			} else {
				yes(c)
			}
		}
	}
	for name, command := range map[string]server.Cmd{
		"HELLO":   or("-ERR unknown command", nil),
		"AUTH":    func(c *server.Peer, _ string, _ []string) { c.WriteOK() },
		"PING":    or(o.ping, func(c *server.Peer) { c.WriteInline("PONG") }),
		"EVAL":    or(o.eval, func(c *server.Peer) { c.WriteInt(1) }),
		"INFO":    or(o.info, func(c *server.Peer) { c.WriteBulk(strings.ReplaceAll(o.info, " ", "\r\n")) }),
		"CONFIG":  or(o.save, func(c *server.Peer) { c.WriteStrings([]string{"save", o.save}) }),
		"CLUSTER": or(o.cluster, func(c *server.Peer) { c.WriteBulk(o.cluster) }),
		"TIME": func(c *server.Peer, _ string, _ []string) {
			c.WriteStrings([]string{strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10), "0"})
		},
	} {
		if err := s.Register(name, command); err != nil {
			t.Fatal(err)
		}
	}
	return s.Addr().String()
}

func inspect(t *testing.T, o Options) (Facts, error) {
	t.Helper()
	o.Timeout = patience
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Inspect(t.Context())
}

func TestInspect(t *testing.T) {
	address := scripted{
		info: "redis_version:7.2.4 role:slave maxmemory:100 used_memory:95 maxmemory_policy:allkeys-lru loading:1 " +
			"aof_enabled:1 rdb_last_bgsave_status:err aof_last_write_status:ok cluster_enabled:1 " +
			"server_name:valkey valkey_version:8.1.0",
		save:    "-NOPERM this user has no permissions",
		cluster: "cluster_state:fail",
		eval:    "-NOPERM hunter2",
	}.serve(t, nil)
	got, err := inspect(t, Options{URL: "redis://:pass@" + address, Mode: Single})
	if err != nil || len(got.Nodes) != 1 {
		t.Fatalf("Inspect: %+v, %v; want one node", got, err)
	}
	want := Node{
		Product:    "valkey",
		Version:    "8.1.0",
		Policy:     "allkeys-lru",
		Used:       95,
		Memory:     100,
		AppendOnly: true,
		Unsaved:    true,
		Replica:    true,
		Loading:    true,
		Cluster:    true,
		Uncovered:  true,
	}
	if got.Nodes[0] != want {
		t.Errorf("the node is %+v; want %+v", got.Nodes[0], want)
	}
	skewed := (got.Skew - time.Hour).Abs() <= time.Minute
	if !skewed || got.Latency <= 0 || !got.Password || got.TLS || got.Public {
		t.Errorf("Inspect: %+v; want an hour of skew, a latency and a password", got)
	}
	if got.NoScripts == nil || strings.Contains(got.NoScripts.Error(), "hunter2") {
		t.Errorf("the fault of scripts is %v; want a probe.Error", got.NoScripts)
	}
	got, err = inspect(t, Options{URL: "redis://" + scripted{info: "-NOPERM hunter2"}.serve(t, nil), Mode: Single})
	if err != nil || len(got.Nodes) != 1 || !got.Nodes[0].Silent || got.NoScripts != nil {
		t.Errorf("where INFO is forbidden: %+v, %v; want a silent node", got, err)
	}
	for save, want := range map[string]bool{"": false, "3600 1": true} {
		address := scripted{info: "redis_version:8.0.1 role:master", save: save}.serve(t, nil)
		got, err := inspect(t, Options{URL: "redis://" + address, Mode: Single})
		if err != nil || got.Nodes[0].Snapshots == nil || *got.Nodes[0].Snapshots != want {
			t.Errorf("with save %q: %+v, %v; want snapshots: %v", save, got, err, want)
		}
	}
}

func TestInspectErrors(t *testing.T) {
	for answer, want := range map[string]string{
		"-NOAUTH Authentication required.":                "asks for a password",
		"-LOADING hunter2":                                "is reading its data from disk",
		"-MOVED 1 127.0.0.1:1":                            "is a cluster; set REDIS_MODE=cluster",
		"-ERR max number of clients reached":              "has no connection left",
		"-ERR This instance has cluster support disabled": "is no cluster; set REDIS_MODE=single",
		"-ERR unknown command 'PING'": "is a sentinel, which needs REDIS_MODE=sentinel, or lacks commands of " +
			"Redis",
	} {
		_, err := inspect(t, Options{URL: "redis://" + scripted{ping: answer}.serve(t, nil), Mode: Single})
		if said, ok := errors.AsType[probe.Error](err); !ok || string(said) != want {
			t.Errorf("where Redis says %s: %v; want %s", answer, err, want)
		}
	}
}

func TestInspectWithoutSentinel(t *testing.T) {
	_, err := inspect(t, Options{URL: "redis://127.0.0.1:1", Mode: Sentinel, Master: "main"})
	if said, ok := errors.AsType[probe.Error](err); !ok || !strings.Contains(string(said), "no sentinel") {
		t.Errorf("Inspect: %v; want that no sentinel answers", err)
	}
}

// TestNoSentinel checks that a start does not wait for sentinels that cannot know the master.
func TestNoSentinel(t *testing.T) {
	for answer, want := range map[string]string{
		"-ERR unknown command 'sentinel'": noSentinel,
		"*-1":                             noMaster,
	} {
		s, err := server.NewServer("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		s.SetPreHook(func(p *server.Peer, command string, _ ...string) bool {
			if command == "SENTINEL" {
				p.WriteRaw(answer + "\r\n")
			}
			return command == "SENTINEL"
		})
		c, err := Open(Options{URL: "redis://" + s.Addr().String(), Mode: Sentinel, Master: "main"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		refused, ok := errors.AsType[probe.Refusal](c.Ping(t.Context()))
		if !ok || string(refused.Words) != want {
			t.Errorf("Ping by a sentinel that answers %s: %v; want %s", answer, refused, want)
		}
	}
}

// TestInspectAsReader checks that a user who may run scripts, and not write in them, is recognised.
func TestInspectAsReader(t *testing.T) {
	admin, err := Open(Options{URL: os.Getenv("TEST_REDIS_URL"), Mode: Single, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	acl := []any{"acl", "setuser", "otp-reader", "on", ">hunter2", "~otp:*", "+@all", "-@write"}
	if err := admin.redis.Do(t.Context(), acl...).Err(); err != nil {
		t.Fatal(err)
	}
	defer admin.redis.Do(t.Context(), "acl", "deluser", "otp-reader")
	u, err := url.Parse(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("otp-reader", "hunter2")
	got, err := inspect(t, Options{URL: u.String(), Mode: Single})
	said, ok := errors.AsType[probe.Error](got.NoScripts)
	if err != nil || !ok || !strings.Contains(string(said), "does not let this user") {
		t.Errorf("Inspect: %+v, %v; want that the user may not do what the service needs", got, err)
	}
}

// TestInspectRealServers checks that real servers are read, and that Inspect leaves nothing behind.
func TestInspectRealServers(t *testing.T) {
	for mode, url := range map[string]string{
		Single:  os.Getenv("TEST_REDIS_URL"),
		Cluster: os.Getenv("TEST_REDIS_CLUSTER_URL"),
	} {
		c, err := Open(Options{URL: url, Mode: mode, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := c.Inspect(t.Context())
		if err != nil || len(got.Nodes) != 1 {
			t.Fatalf("%s: %+v, %v; want one node", mode, got, err)
		}
		n := got.Nodes[0]
		saves := n.Snapshots == nil || *n.Snapshots
		ill := n.Uncovered || n.Replica || got.NoScripts != nil || got.Skew.Abs() > time.Minute
		if n.Version == "" || n.Policy != "noeviction" || saves || n.Cluster != (mode == Cluster) || ill {
			t.Errorf("%s: %+v; want a healthy one that keeps nothing on disk", mode, got)
		}
		if n := c.redis.Exists(t.Context(), "otp:doctor").Val(); n != 0 {
			t.Errorf("%s: Inspect left a key", mode)
		}
	}
}

func TestInspectCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     end,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	address := scripted{info: "redis_version:8.0.1"}.serve(t, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	got, err := inspect(t, Options{URL: "rediss://" + address + "?skip_verify=true", Mode: Single})
	if err != nil || !got.TLS || !got.Unverified || !got.Certificate.Equal(end) {
		t.Errorf("Inspect: %+v, %v; want TLS that is not verified, until %s", got, err, end)
	}
	_, err = inspect(t, Options{URL: "rediss://" + address, Mode: Single})
	if !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("Inspect: %v; want that the authority is unknown", err)
	}
}
