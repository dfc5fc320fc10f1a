package redisstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/probe"
)

// Facts is what Inspect finds out about a Redis.
type Facts struct {
	Public      bool // It is reached through networks of other owners.
	TLS         bool
	Unverified  bool      // TLS accepts any certificate.
	Password    bool      // The URL has one.
	Certificate time.Time // When the server's certificate expires; zero if none was seen.
	Latency     time.Duration
	Skew        time.Duration // How far the server's clock is ahead of the clock here.
	NoScripts   error         // Why scripts do not run; nil if they do.
	Nodes       []Node        // The masters.
}

// A Node is what one server reports about itself.
type Node struct {
	Silent           bool   // The user has no right to INFO, so all other fields are unknown.
	Product, Version string // Such as redis or valkey.
	Policy           string // maxmemory-policy; empty if it could not be read.
	Used, Memory     int64  // Bytes in use, and the most that may be used; 0 = no limit.
	AppendOnly       bool
	Snapshots        *bool // Nil if it could not be read.
	Unsaved          bool  // The latest attempt to write to disk failed.
	Replica, Loading bool
	Cluster          bool
	Uncovered        bool // The cluster does not serve all slots.
}

const (
	maxPings   = 3 // Until the first answer.
	firstPause = 200 * time.Millisecond
)

// Inspect asks Redis about itself and changes nothing. It must not be called for an embedded Redis.
func (c *Client) Inspect(ctx context.Context) (facts Facts, err error) {
	facts.Password = c.options.Password != ""
	if config := c.options.TLSConfig; config != nil {
		facts.TLS, facts.Unverified = true, config.InsecureSkipVerify
	}
	for _, server := range c.options.Addrs {
		host, _, _ := net.SplitHostPort(server)
		facts.Public = facts.Public || address.IsPublicHost(ctx, host)
	}
	for n := 1; ; n++ {
		if err = c.redis.Ping(ctx).Err(); err == nil {
			break
		}
		if n == maxPings || ctx.Err() != nil || meaning(err) != "" {
			return facts, plainError(err)
		}
		time.Sleep(firstPause)
	}
	if facts.Latency, facts.Skew, err = c.Clock(ctx); err != nil {
		return facts, plainError(err)
	}
	if certificate := c.shown.Load(); certificate != nil {
		facts.Certificate = certificate.NotAfter
	}
	// A full Redis refuses this write, and so does one that may not write; but nothing is written, because it is empty.
	const write = "return redis.call('setrange', KEYS[1], 0, '')"
	if err := c.redis.Eval(ctx, write, []string{"otp:doctor"}).Err(); err != nil {
		facts.NoScripts = plainError(err)
	}
	facts.Nodes, err = c.inspectNodes(ctx)
	return facts, plainError(err)
}

// Clock returns how long a round trip takes, and how far the clock of Redis is ahead of the clock here: of a cluster
// that of the master whose clock differs most. It must not be called for an embedded Redis.
func (c *Client) Clock(ctx context.Context) (latency, skew time.Duration, err error) {
	var mu sync.Mutex // Guards the results.
	ask := func(ctx context.Context, r *redis.Client) error {
		trip, off, err := probe.Clock(func() (time.Time, error) { return r.Time(ctx).Result() })
		mu.Lock()
		defer mu.Unlock()
		if off.Abs() >= skew.Abs() {
			latency, skew = trip, off
		}
		return err
	}
	err = c.eachMaster(ctx, ask)
	return latency, skew, err
}

// inspectNodes asks each master.
func (c *Client) inspectNodes(ctx context.Context) (nodes []Node, err error) {
	var mu sync.Mutex // Guards nodes.
	ask := func(ctx context.Context, r *redis.Client) error {
		node, err := inspectNode(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return err
	}
	err = c.eachMaster(ctx, ask)
	return nodes, err
}

// inspectNode reads INFO (redis.io/commands/info), and by CONFIG what INFO lacks.
func inspectNode(ctx context.Context, r *redis.Client) (n Node, err error) {
	text, err := r.Info(ctx).Result()
	if redis.HasErrorPrefix(err, "NOPERM") { // The service itself does not need INFO.
		return Node{Silent: true}, nil
	}
	if err != nil {
		return n, err
	}
	n = parseInfo(text)
	if save, err := r.ConfigGet(ctx, "save").Result(); err == nil && len(save) > 0 {
		n.Snapshots = new(save["save"] != "")
	}
	if n.Cluster {
		state, err := r.ClusterInfo(ctx).Result()
		n.Uncovered = err == nil && !strings.Contains(state, "cluster_state:ok")
	}
	return n, nil
}

// parseInfo reads the answer to INFO.
func parseInfo(text string) Node {
	info := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			info[name] = value
		}
	}
	number := func(name string) int64 { n, _ := strconv.ParseInt(info[name], 10, 64); return n }
	failed := func(name string) bool { return info[name] != "" && info[name] != "ok" }
	n := Node{
		Product:    "redis",
		Version:    info["redis_version"],
		Policy:     info["maxmemory_policy"],
		Used:       number("used_memory"),
		Memory:     number("maxmemory"),
		AppendOnly: info["aof_enabled"] == "1",
		Unsaved:    failed("rdb_last_bgsave_status") || failed("aof_last_write_status"),
		Replica:    info["role"] == "slave",
		Loading:    info["loading"] == "1",
		Cluster:    info["cluster_enabled"] == "1",
	}
	for _, product := range []string{"valkey", "dragonfly"} { // Their redis_version is that of a Redis they resemble.
		if own := info[product+"_version"]; own != "" {
			n.Product, n.Version = product, strings.TrimPrefix(strings.TrimPrefix(own, "df-"), "v")
		}
	}
	return n
}

// meanings has the errors of Redis that an operator can act on, by the words with which they begin, after ERR if it is
// there. Each meaning completes a sentence whose subject is the Redis.
var meanings = map[string]string{
	"NOAUTH":                        "asks for a password",
	"WRONGPASS":                     "refuses user or password",
	"NOPERM":                        "does not let this user do what the service needs",
	"LOADING":                       "is reading its data from disk",
	"CLUSTERDOWN":                   "is a cluster that is down",
	"MASTERDOWN":                    "is a replica without its master",
	"READONLY":                      "is a replica",
	"MOVED":                         "is a cluster; set REDIS_MODE=cluster",
	"This instance has cluster":     "is no cluster; set REDIS_MODE=single",
	"DENIED":                        "accepts connections from its own machine only (protected mode)",
	"MISCONF":                       "accepts no writes, because it cannot save them",
	"OOM":                           "is full",
	"max number of clients":         "has no connection left",
	"invalid password":              "refuses the password",
	"AUTH":                          "has no password, but REDIS_URL has one",
	"Client sent AUTH":              "has no password, but REDIS_URL has one",
	"DB index":                      "has no database of that number",
	"The user executing the script": "does not let this user do what the service needs",
	"unknown command":               "is a sentinel, which needs REDIS_MODE=sentinel, or lacks commands of Redis",
}

const (
	noSentinel  = "is no sentinel; set REDIS_MODE=single, or name sentinels in REDIS_URL"
	noMaster    = "is not found: the sentinels know no master of the name in REDIS_MASTER"
	noSentinels = "is not found: no sentinel of REDIS_URL answers as it should"
)

// meaning returns what an error of Redis means, or "" if it is not one of these.
func meaning(err error) string {
	if err != nil && strings.Contains(err.Error(), "all sentinels") { // This is go-redis' text.
		switch {
		case redis.HasErrorPrefix(err, "unknown command"):
			return noSentinel
		case errors.Is(err, redis.Nil):
			return noMaster
		case !redis.HasErrorPrefix(err, ""): // No sentinel has answered.
			return noSentinels
		}
	}
	for beginning, meaning := range meanings {
		if redis.HasErrorPrefix(err, beginning) {
			return meaning
		}
	}
	return ""
}

// passing are the errors that can pass by themselves, at some time, by the words with which they begin.
var passing = []string{
	"LOADING", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "MISCONF", "OOM", "max number of clients",
}

// refusal returns err with the probe.Refusal that it stands for, if it stands for one.
func refusal(err error) error {
	words := meaning(err)
	if words == "" || words == noSentinels || begins(err, passing) {
		return err
	}
	return fmt.Errorf("%w (%w)", probe.Refusal{Words: probe.Error(words)}, err)
}

// plainError returns a probe.Error for the errors that are known here, and any other error as it is.
func plainError(err error) error {
	if words := meaning(err); err != nil && words != "" {
		return probe.Error(words)
	}
	return err
}
