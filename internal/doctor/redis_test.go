package doctor

import (
	"io"
	"slices"
	"testing"
	"time"

	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/redisstore"
)

// healthyRedis returns facts without findings, and their only node.
func healthyRedis() (redisstore.Facts, *redisstore.Node) {
	n := redisstore.Node{Product: "redis", Version: "8.0.1", Policy: "noeviction", AppendOnly: true}
	r := redisstore.Facts{Latency: 400 * time.Microsecond, Nodes: []redisstore.Node{n}}
	return r, &r.Nodes[0]
}

var redisTests = []struct {
	name     string
	settings string // A change of the sound settings; may be empty.
	change   func(r *redisstore.Facts, n *redisstore.Node)
	want     string // How the only line that is not ok begins; empty if there is none.
}{
	{"healthy", "", func(*redisstore.Facts, *redisstore.Node) {}, ""},
	{
		"eviction",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "allkeys-lru" },
		"wrong redis maxmemory-policy is allkeys-lru: limits and codes may vanish; set it to noeviction",
	},
	{
		"an unknown policy",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "hunter2" },
		"wrong redis maxmemory-policy is not noeviction",
	},
	{
		"no INFO",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { *n = redisstore.Node{Silent: true} },
		"note redis does not let this user ask about it",
	},
	{
		"no policy",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Policy = "" },
		"note redis does not report its maxmemory-policy",
	},
	{
		"old",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "6.0.16" },
		"wrong redis is older than 6.2",
	},
	{"old enough", "", func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "6.2.0" }, ""},
	{
		"an unknown version",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Version = "hunter2" },
		"",
	},
	{
		"nothing on disk",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly, n.Snapshots = false, new(false) },
		"weak redis keeps nothing on disk",
	},
	{
		"snapshots",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly, n.Snapshots = false, new(true) },
		"note redis makes snapshots",
	},
	{
		"no CONFIG",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.AppendOnly = false },
		"note redis has appendonly off, and whether it makes snapshots could not be read",
	},
	{
		"disk",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Unsaved = true },
		"wrong redis could not write to its disk",
	},
	{
		"full",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Used, n.Memory = 95, 100 },
		"weak redis has 95% of its maxmemory in use",
	},
	{
		"replica",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Replica = true },
		"wrong redis is a replica",
	},
	{
		"loading",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Loading = true },
		"wrong redis is reading its data",
	},
	{
		"a cluster",
		"",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Cluster = true },
		"wrong redis is a cluster; set REDIS_MODE=cluster",
	},
	{"no cluster", "REDIS_MODE=cluster", func(*redisstore.Facts, *redisstore.Node) {}, "wrong redis is no cluster"},
	{
		"a cluster with holes",
		"REDIS_MODE=cluster",
		func(_ *redisstore.Facts, n *redisstore.Node) { n.Cluster, n.Uncovered = true, true },
		"wrong redis is a cluster that does not serve all slots",
	},
	{"two of a kind", "REDIS_MODE=cluster", func(r *redisstore.Facts, n *redisstore.Node) {
		n.Cluster, n.Policy = true, "volatile-ttl"
		r.Nodes = append(r.Nodes, *n)
	}, "wrong redis maxmemory-policy is volatile-ttl"},
	{
		"far",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Latency = 20 * time.Millisecond },
		"weak redis is 20.0 ms away",
	},
	{
		"far, and patient",
		"REDIS_TIMEOUT=850ms",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Latency = 280 * time.Millisecond },
		"weak redis is 280.0 ms away, and every request waits for that",
	},
	{
		"too far",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Latency = 280 * time.Millisecond },
		"wrong redis is 280.0 ms away, so that calls fail with REDIS_TIMEOUT=300ms; " +
			"put it near the service, or set REDIS_TIMEOUT=900ms",
	},
	{"few partitions", "REDIS_MODE=cluster", func(r *redisstore.Facts, n *redisstore.Node) {
		n.Cluster = true
		r.Nodes = slices.Repeat(r.Nodes, 12)
	}, "weak redis has 12 masters for REDIS_PARTITIONS=16, so that some have more work than others; set 48"},
	{
		"public",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.Password = true, true },
		"wrong redis is reached over a public address without TLS",
	},
	{
		"public with TLS",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.Password, r.TLS = true, true, true },
		"",
	},
	{
		"public and open",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Public, r.TLS = true, true },
		"wrong redis has a public address and asks for no password",
	},
	{
		"any certificate",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.TLS, r.Unverified = true, true },
		"weak redis is accepted with any certificate",
	},
	{
		"certificate",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.Certificate = now.Add(5 * 24 * time.Hour) },
		"weak redis has a certificate that expires on 2026-11-29",
	},
	{
		"no scripts",
		"",
		func(r *redisstore.Facts, _ *redisstore.Node) { r.NoScripts = probe.Error("does not let this user") },
		"wrong redis cannot run the scripts that make every decision: it does not let this user",
	},
}

func TestRedis(t *testing.T) {
	for _, tc := range redisTests {
		r, n := healthyRedis()
		tc.change(&r, n)
		alone(t, tc.name, examineRedis(r, nil, load(t, tc.settings), now), tc.want)
	}
	production := load(t)
	r, _ := healthyRedis()
	want := Finding{OK, "redis", "redis 8.0.1, noeviction, appendonly, 0.4 ms"}
	if got := examineRedis(r, nil, production, now)[0]; got != want {
		t.Errorf("the first line is %v; want %v", got, want)
	}
	for text, want := range map[string]string{
		"asks for a password":                    "asks for a password; see REDIS_URL",
		"is no cluster; set REDIS_MODE=single":   "is no cluster; set REDIS_MODE=single",
		"has no password, but REDIS_URL has one": "has no password, but REDIS_URL has one",
	} {
		got := examineRedis(r, probe.Error(text), production, now)
		if !slices.Equal(got, findings{{Wrong, "redis", want}}) {
			t.Errorf("%s: %v; want %s", text, got, want)
		}
	}
	if got := bad(examineRedis(r, io.EOF, production, now)); !slices.Equal(got, []string{"wrong redis"}) {
		t.Errorf("without an answer: %v; want it wrong", got)
	}
	if got := bad(examineEmbeddedRedis(production)); !slices.Equal(got, []string{"weak redis"}) {
		t.Errorf("embedded in production: %v; want it weak", got)
	}
}
