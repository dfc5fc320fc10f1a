package redisstore

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

func TestParse(t *testing.T) {
	for url, want := range map[string]string{
		"redis://localhost":                       "localhost:6379",
		"redis://:pass-word@localhost:7000/3":     "localhost:7000",
		"rediss://user:pass-word@a:1,b:2,[::1]:3": "a:1 b:2 [::1]:3",
		"redis://a,b/1?protocol=3":                "a:6379 b:6379",
		"redis://user:p%40ss,word@a:1":            "a:1",
	} {
		o, hosts, err := parse(url)
		if err != nil || strings.Join(hosts, " ") != want {
			t.Errorf("parse(%s): %v, %v; want %s", url, hosts, err, want)
			continue
		}
		if want := strings.HasPrefix(url, "rediss:"); (o.TLSConfig != nil) != want {
			t.Errorf("parse(%s): TLS %t; want %t", url, !want, want)
		}
	}
	for _, url := range []string{
		"", "localhost", "http://localhost", "redis://", "redis://user:pass-word@", "redis://a:pass-word",
		"redis://a,,b", "redis://user:pass-word@a/x",
	} {
		if _, _, err := parse(url); err == nil || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("parse(%s): %v; want an error without the password", url, err)
		}
	}
	o, _, err := parse("redis://user:p%40ss,word@a:1/2")
	if err != nil {
		t.Fatal(err)
	}
	if o.Username != "user" || o.Password != "p@ss,word" {
		t.Errorf("parse: %+v; want user and password", o)
	}
	if o.DB != 2 {
		t.Errorf("parse: database %d; want 2", o.DB)
	}
}

// TestMuteRedis checks that a call to a Redis that does not answer ends in time, and is tried four times at most.
func TestMuteRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var scripts atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					switch strings.ToLower(lines.Text()) {
					case "hello":
						_, _ = c.Write([]byte("%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n"))
					case "evalsha", "eval":
						scripts.Add(1)
					}
				}
			}()
		}
	}()
	c, err := Open(Options{URL: "redis://" + l.Addr().String(), Mode: Single, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	_, err = NewCodes(c, CodesOptions{Policy: otp.Policy{TTL: time.Minute}, Partitions: 1}).
		Check(t.Context(), anAttempt("phone"))
	if took := time.Since(began); !errors.Is(err, otp.ErrUnavailable) || took > time.Minute {
		t.Errorf("Check: %v after %v; want ErrUnavailable after some seconds", err, took)
	}
	if n := scripts.Load(); n < 1 || n > 1+int64(len(pauses)) {
		t.Errorf("the script was sent %d times; want one to four times", n)
	}
}

func TestNoRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, mode := range []string{Single, Cluster} {
		c, err := Open(Options{URL: "redis://" + l.Addr().String(), Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		err = NewCodes(c, CodesOptions{Partitions: 16}).Touch(t.Context())
		if !errors.Is(err, otp.ErrUnavailable) || time.Since(began) > time.Minute {
			t.Errorf("Touch, %s: %v after %v; want ErrUnavailable at once", mode, err, time.Since(began))
		}
		if err := c.Ping(t.Context()); err == nil {
			t.Errorf("Ping, %s, without a server: no error", mode)
		}
	}
}

// TestTouch checks that Touch writes, with a life, what all partitions of a cluster can be asked for.
func TestTouch(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		s := NewCodes(c, CodesOptions{Partitions: 16})
		if err := c.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
		if err := s.Touch(t.Context()); err != nil {
			t.Fatalf("Touch: %v", err)
		}
		for i, p := range s.partitions {
			if i > 0 && !c.cluster {
				break
			}
			life, err := c.redis.PTTL(t.Context(), p.health()).Result()
			if err != nil || life <= 0 || life > touchLife {
				t.Errorf("%s lives for %v, %v; want at most %v", p.health(), life, err, touchLife)
			}
		}
	})
}

// TestTouchRefused checks that a Redis that answers and takes no writes is unavailable.
func TestTouchRefused(t *testing.T) {
	for _, refusal := range []string{
		"READONLY You can't write against a read only replica.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"NOREPLICAS Not enough good replicas to write.",
		"NOPERM this user has no permissions to run the 'eval' command",
	} {
		m := miniredis.RunT(t)
		m.Server().SetPreHook(func(p *server.Peer, command string, _ ...string) bool {
			if command != "EVAL" {
				return false
			}
			p.WriteError(refusal)
			return true
		})
		c, err := Open(Options{URL: "redis://" + m.Addr(), Mode: Single, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.redis.Ping(t.Context()).Err(); err != nil {
			t.Fatalf("PING: %v", err)
		}
		s := NewCodes(c, CodesOptions{Partitions: 16})
		if err := s.Touch(t.Context()); !errors.Is(err, otp.ErrUnavailable) || !strings.Contains(err.Error(), refusal) {
			t.Errorf("Touch: %v; want ErrUnavailable, and %s", err, refusal)
		}
	}
}

// TestEmbeddedClockRuns checks that keys of the embedded Redis expire.
func TestEmbeddedClockRuns(t *testing.T) {
	c := StartEmbedded()
	defer c.Close()
	began := time.Now()
	if err := c.redis.Set(t.Context(), "k", "v", 3*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	for !errors.Is(c.redis.Get(t.Context(), "k").Err(), redis.Nil) {
		if time.Since(began) > 5*time.Minute {
			t.Fatal("a key of three seconds never expires")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("a key of three seconds lived %v", took)
	}
}
