// Package redisstore keeps challenges, limits and queued messages in Redis. It owns the keys, the scripts and the
// connection; what a challenge means belongs to package otp.
//
// Each decision is one Lua script, so that it is atomic and takes one round trip. The phones are in partitions, each
// with an outbox: all keys of one share a hash tag and with it a slot. An address is in a slot of its own: on a single
// Redis the script takes its key too; on a cluster the address is asked first and given its send back on a refusal.
//
//	otp:{n}:phone:code          hash    the challenge: id, digest, tries, send, sent, receipts, last, provider, and of
//	                                    each message state:send and reported:send             lives Policy.TTL
//	otp:{n}:phone:code:…        hash    the same for another purpose than a login
//	otp:{n}:phone:sends         list    times of the messages to the phone                    lives the limit's window
//	otp:{n}:phone:wrong         list    times of the wrong tries at the phone's codes         lives a day
//	otp:{n}:outbox              stream  messages on their way: key, id, send, time, receipt, letter
//	otp:{address}:sends         list    times of the messages asked for from the address      lives the limit's window
//	otp:report:{provider:id}    string  where a provider's last word on a message belongs     lives an hour
//	otp:numbers:2026-11-24T10   hash    what each copy counted in that hour                  lives 49 hours
package redisstore

import (
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

const (
	roundTrip = 300 * time.Millisecond // of a call, and of opening a connection
	queue     = time.Second            // waiting for a connection while all are in use
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
}

// A Client is a connection to Redis. It is safe for use by many goroutines.
type Client struct {
	redis   redis.UniversalClient
	timeout time.Duration // of a call
	cluster bool
	stop    func()

	options *redis.UniversalOptions           // nil: embedded
	shown   *atomic.Pointer[x509.Certificate] // the last that a server has shown
}

// Open gives a client. It opens no connection; Ping does.
//
// A script is never sent again after its reply was lost, because it may have counted already. The cluster
// client alone repeats a call after a broken connection: then a send is still counted once, a wrong try twice.
func Open(o Options) (*Client, error) {
	u, hosts, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	shown := new(atomic.Pointer[x509.Certificate])
	if u.TLSConfig != nil {
		u.TLSConfig.ServerName = "" // each host's own name
		u.TLSConfig.VerifyConnection = func(s tls.ConnectionState) error { shown.Store(s.PeerCertificates[0]); return nil }
	}
	logging.Disable() // its errors come back from the calls
	c := &Client{timeout: queue + 2*roundTrip, cluster: o.Mode == Cluster, stop: func() {}, shown: shown}
	readTimeout := roundTrip
	if c.cluster { // the context ends a call before the client would repeat it
		c.timeout, readTimeout = roundTrip, 2*roundTrip
	}
	c.options = &redis.UniversalOptions{
		Addrs: hosts, DB: u.DB, Username: u.Username, Password: u.Password, TLSConfig: u.TLSConfig,
		IsClusterMode: c.cluster, MasterName: o.Master,
		Protocol: 3, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		ContextTimeoutEnabled:    true, PoolTimeout: queue, ReadTimeout: readTimeout, WriteTimeout: readTimeout,
		DialTimeout: roundTrip, DialerRetries: 1, MaxRetries: -1,
	}
	c.redis = redis.NewUniversalClient(c.options)
	return c, nil
}

// parse reads a Redis URL with one or more hosts.
func parse(text string) (*redis.Options, []string, error) {
	invalid := errors.New("redisstore: not a Redis URL") // the cause would print the password
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

// StartEmbedded starts a Redis inside the process. It opens no port, keeps nothing when it ends, and its
// clock is moved by a goroutine that Close stops.
func StartEmbedded() *Client {
	m := miniredis.NewMiniRedis()
	const tick = 100 * time.Millisecond // the precision of its times to live
	ticker, done := time.NewTicker(tick), make(chan struct{})
	go func() {
		for last := time.Now(); ; {
			select {
			case now := <-ticker.C:
				m.FastForward(now.Sub(last))
				last = now
			case <-done:
				return
			}
		}
	}()
	logging.Disable()
	return &Client{
		timeout: 5 * time.Second, // it is never away, only slow
		stop:    func() { ticker.Stop(); close(done); m.Close() },
		redis: redis.NewUniversalClient(&redis.UniversalOptions{
			Dialer:                   func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
			Protocol:                 3,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			ContextTimeoutEnabled:    true,
			MaxRetries:               -1,
		}),
	}
}

// Ping tells whether Redis answers.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Pool tells of the connections, and how many calls got none in time.
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
