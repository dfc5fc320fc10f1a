package redisstore

import (
	"bufio"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/doctor"
)

const (
	attempts = 3 // at a first answer
	pause    = 200 * time.Millisecond
)

// Facts asks Redis about itself and changes nothing. Not to be asked of an embedded one.
func (c *Client) Facts(ctx context.Context) (facts doctor.Redis, err error) {
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
		if n == attempts || ctx.Err() != nil || said(err) != "" {
			return facts, answered(err)
		}
		time.Sleep(pause)
	}
	facts.Latency, facts.Skew, err = doctor.Clock(func() (time.Time, error) { return c.redis.Time(ctx).Result() })
	if err != nil {
		return facts, answered(err)
	}
	if certificate := c.shown.Load(); certificate != nil {
		facts.Certificate = certificate.NotAfter
	}
	// The script may write and does not: there is no such key.
	if err := c.redis.Eval(ctx, "return redis.call('del', KEYS[1])", []string{"otp:doctor"}).Err(); err != nil {
		facts.NoScripts = answered(err)
	}
	facts.Nodes, err = c.nodes(ctx)
	return facts, answered(err)
}

// nodes asks each master.
func (c *Client) nodes(ctx context.Context) (nodes []doctor.RedisNode, err error) {
	var mu sync.Mutex
	ask := func(ctx context.Context, r *redis.Client) error {
		node, err := nodeFacts(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return err
	}
	switch r := c.redis.(type) {
	case *redis.ClusterClient:
		err = r.ForEachMaster(ctx, ask)
	case *redis.Client:
		err = ask(ctx, r)
	}
	return nodes, err
}

// nodeFacts reads INFO (redis.io/commands/info), and with CONFIG what is not in it.
func nodeFacts(ctx context.Context, r *redis.Client) (n doctor.RedisNode, err error) {
	text, err := r.Info(ctx).Result()
	if redis.HasErrorPrefix(err, "NOPERM") { // the service does not need it
		return doctor.RedisNode{Silent: true}, nil
	}
	if err != nil {
		return n, err
	}
	info := make(map[string]string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			info[name] = value
		}
	}
	number := func(name string) int64 { n, _ := strconv.ParseInt(info[name], 10, 64); return n }
	failed := func(name string) bool { return info[name] != "" && info[name] != "ok" }
	n = doctor.RedisNode{
		Product: "redis", Version: info["redis_version"], Policy: info["maxmemory_policy"], Used: number("used_memory"), Memory: number("maxmemory"),
		AppendOnly: info["aof_enabled"] == "1", Unsaved: failed("rdb_last_bgsave_status") || failed("aof_last_write_status"),
		Replica: info["role"] == "slave", Loading: info["loading"] == "1", Cluster: info["cluster_enabled"] == "1",
	}
	for _, other := range []string{"valkey", "dragonfly"} { // they tell of the Redis that they are like, too
		if own := info[other+"_version"]; own != "" {
			n.Product, n.Version = other, strings.TrimPrefix(strings.TrimPrefix(own, "df-"), "v")
		}
	}
	if save, err := r.ConfigGet(ctx, "save").Result(); err == nil && len(save) > 0 {
		n.Snapshots = new(save["save"] != "")
	}
	if n.Cluster {
		state, err := r.ClusterInfo(ctx).Result()
		n.Uncovered = err == nil && !strings.Contains(state, "cluster_state:ok")
	}
	return n, nil
}

// words are what the errors of Redis that a setting mends mean, by how they begin after ERR.
var words = map[string]string{
	"NOAUTH": "asks for a password", "WRONGPASS": "refuses user or password", "NOPERM": "lets this user not do what the service needs",
	"LOADING": "is reading its data from disk", "CLUSTERDOWN": "is a cluster that is down", "MASTERDOWN": "is a replica without its master",
	"READONLY": "is a replica", "MOVED": "is a cluster; set REDIS_MODE=cluster", "DENIED": "takes connections from its own machine only (protected mode)",
	"MISCONF": "takes no writes, since it cannot save them", "OOM": "is full", "max number of clients": "has no connection left",
	"invalid password": "refuses the password", "AUTH": "takes no password, and REDIS_URL has one", "Client sent AUTH": "takes no password, and REDIS_URL has one",
	"DB index": "has no database of that number", "The user executing the script": "lets this user not do what the service needs",
	"unknown command": "is a sentinel, which REDIS_MODE=sentinel is for, or no whole Redis",
}

// said is "" for an error that Redis did not send, or not one of these.
func said(err error) string {
	for beginning, meaning := range words {
		if redis.HasErrorPrefix(err, beginning) {
			return meaning
		}
	}
	return ""
}

func answered(err error) error {
	if err != nil && strings.Contains(err.Error(), "all sentinels") { // a text of the client's
		return doctor.Said("is not found: no sentinel of REDIS_URL answers, or none knows a master of the name in REDIS_MASTER")
	}
	if meaning := said(err); err != nil && meaning != "" {
		return doctor.Said(meaning)
	}
	return err
}
