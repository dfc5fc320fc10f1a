// Package redisstore keeps challenges, limits and queued messages in Redis. It owns the keys, the scripts and the
// connection. What a challenge means belongs to package otp.
//
// Each decision is one Lua script, so that it is atomic and takes one round trip. The phones are divided into
// partitions, each with an outbox. All keys of a partition share a hash tag, so that a cluster keeps them in one slot.
// An address has a slot of its own: on a single Redis the script takes its key too; on a cluster the send is counted
// against the address first, and refunded if the request is refused.
//
//	otp:{n}:phone:code          hash    the challenge: id, digest, tries, attempt, send, sent, first, test, receipts,
//	                                    last, provider, and
//	                                    state:send and reported:send of each message          lives Policy.TTL
//	otp:{n}:phone:code:…        hash    the same for another purpose than a login
//	otp:{n}:phone:sends         list    times of the messages to the phone                    lives the limit's window
//	otp:{n}:phone:wrong         list    times of the phone's wrong attempts                   lives a day
//	otp:{n}:outbox              stream  queued messages: key, id, send, time, receipt, letter
//	otp:{n}:health              string  nothing; Touch writes it                              lives a minute
//	otp:{address}:sends         list    times of the messages that the address requested      lives the limit's window
//	otp:report:{provider:id}    string  the message to which a provider's report belongs      lives an hour
//	otp:numbers:2026-11-24T10   hash    what each copy counted in that hour                   lives 49 hours
//	otp:numbers:…T10:05         hash    the same for five minutes                             lives 2 hours
package redisstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Modes of a Redis.
const (
	Single   = "single"
	Cluster  = "cluster"
	Sentinel = "sentinel"
)

// Options are the inputs of Open.
type Options struct {
	URL    string // redis:// or rediss://, with several hosts separated by commas for Cluster and Sentinel
	Mode   string // Single, Cluster or Sentinel
	Master string // the name of the master, for Sentinel
	Prefix string // of every key; defaults to otp:
	// Timeout is how long Redis may take to answer, and to take a connection. Defaults to 300 ms.
	Timeout time.Duration
	// PoolTimeout is how long a call waits for a connection while all are in use. Defaults to 1 s.
	PoolTimeout time.Duration
}

const defaultPrefix = "otp:"

// A Client is a connection to Redis. It is safe for use by many goroutines.
type Client struct {
	redis   redis.UniversalClient
	prefix  string        // of every key
	timeout time.Duration // of a call, with all its attempts
	cluster bool
	stop    func()

	began    time.Time
	failing  atomic.Int64 // when the first of the calls failed that have failed in a row, since began; 0 = none
	reloaded atomic.Int64 // when reload last asked for the slots, since began

	options *redis.UniversalOptions           // nil: embedded
	shown   *atomic.Pointer[x509.Certificate] // the last one that a server has presented
}

// Open returns a Client. The first call connects. Every call may be sent again after its reply was lost, so all scripts
// bear running twice.
func Open(o Options) (*Client, error) {
	u, hosts, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	shown := new(atomic.Pointer[x509.Certificate])
	if u.TLSConfig != nil {
		u.TLSConfig.ServerName = "" // each host is verified by its own name
		u.TLSConfig.VerifyConnection = func(s tls.ConnectionState) error {
			shown.Store(s.PeerCertificates[0])
			return nil
		}
	}
	logging.Disable() // the calls return the same errors
	timeout, poolTimeout := cmp.Or(o.Timeout, 300*time.Millisecond), cmp.Or(o.PoolTimeout, time.Second)
	c := &Client{
		prefix:  cmp.Or(o.Prefix, defaultPrefix),
		timeout: poolTimeout + time.Duration(1+len(pauses))*timeout,
		cluster: o.Mode == Cluster,
		stop:    func() {},
		began:   time.Now(),
		shown:   shown,
	}
	c.options = &redis.UniversalOptions{
		Addrs:                    hosts,
		DB:                       u.DB,
		Username:                 u.Username,
		Password:                 u.Password,
		TLSConfig:                u.TLSConfig,
		IsClusterMode:            c.cluster,
		MasterName:               o.Master,
		Protocol:                 3,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		ContextTimeoutEnabled:    true,
		PoolTimeout:              poolTimeout,
		ReadTimeout:              timeout,
		WriteTimeout:             timeout,
		DialTimeout:              timeout,
		DialerRetries:            1,
		MaxRetries:               -1,
		MaxRedirects:             1, // follows one MOVED or ASK; try does the rest
	}
	c.redis = redis.NewUniversalClient(c.options)
	return c, nil
}

// parse parses a Redis URL with one or more hosts.
func parse(text string) (*redis.Options, []string, error) {
	invalid := errors.New("redisstore: not a Redis URL") // the cause is left out, because it would print the password
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, nil, invalid
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	userinfo := ""
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		userinfo, authority = authority[:at+1], authority[at+1:]
	}
	var hosts []string
	var options *redis.Options
	for host := range strings.SplitSeq(authority, ",") {
		if _, err := url.Parse("redis://" + host); err != nil || host == "" {
			return nil, nil, invalid
		}
		o, err := redis.ParseURL(scheme + "://" + userinfo + host + tail)
		if err != nil {
			return nil, nil, invalid
		}
		hosts, options = append(hosts, o.Addr), o
	}
	return options, hosts, nil
}

// StartEmbedded starts a Redis inside the process. It opens no port, and its data is lost when the process ends. Close
// stops the goroutine that moves its clock.
func StartEmbedded() *Client {
	m := miniredis.NewMiniRedis()
	const tick = 100 * time.Millisecond // the precision with which its keys expire
	ticker, done := time.NewTicker(tick), make(chan struct{})
	go func() {
		for last := time.Now(); ; {
			select {
			case <-ticker.C:
				now := time.Now() // the ticker's own time is that of a tick which may have had to wait
				m.FastForward(now.Sub(last))
				last = now
			case <-done:
				return
			}
		}
	}()
	logging.Disable()
	return &Client{
		prefix:  defaultPrefix,
		timeout: 5 * time.Second, // it is always there, but may be slow
		stop:    func() { ticker.Stop(); close(done); m.Close() },
		redis: redis.NewUniversalClient(&redis.UniversalOptions{
			Dialer:                   func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
			Protocol:                 3,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			ContextTimeoutEnabled:    true,
			ReadTimeout:              -1, // none, because every call has one
			MaxRetries:               -1,
		}),
	}
}

// Ping returns nil if Redis answers, of a cluster every master. Its error has a probe.Refusal if Redis refuses what the
// URL says.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.eachMaster(ctx, func(ctx context.Context, r *redis.Client) error { return r.Ping(ctx).Err() })
	if err != nil {
		return fmt.Errorf("redis: %w", refusal(err))
	}
	return nil
}

// eachMaster runs f for every master of a cluster at the same time, or else for the only Redis. It returns one of the
// errors.
func (c *Client) eachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	if cluster, ok := c.redis.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, f)
	}
	return f(ctx, c.redis.(*redis.Client))
}

// Pool returns how many connections are idle and in use, and how many calls have waited in vain for one.
func (c *Client) Pool() (idle, used int, timeouts uint32) {
	p := c.redis.PoolStats()
	return int(p.IdleConns), int(p.TotalConns - p.IdleConns), p.Timeouts
}

// Close closes the connections and ends an embedded Redis.
func (c *Client) Close() error {
	err := c.redis.Close()
	c.stop()
	return err
}
