package redisstore

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

// refusing starts a Redis that refuses the first scripts that it is sent, and counts all of them. A negative number
// refuses for ever.
func refusing(t *testing.T, refusal string, refusals int64) (*Codes, *atomic.Int64) {
	t.Helper()
	m := miniredis.RunT(t)
	scripts := new(atomic.Int64)
	m.Server().SetPreHook(func(p *server.Peer, command string, _ ...string) bool {
		if command != "EVALSHA" {
			return false
		}
		if n := scripts.Add(1); refusals >= 0 && n > refusals {
			return false
		}
		p.WriteError(refusal)
		return true
	})
	c, err := Open(Options{URL: "redis://" + m.Addr(), Mode: Single, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return NewCodes(c, CodesOptions{Policy: otp.Policy{TTL: time.Minute, MaxAttempts: 5}, Partitions: 1}), scripts
}

// TestTriesAgain checks that a call is sent again while Redis says that it cannot answer yet, three times at most.
func TestTriesAgain(t *testing.T) {
	for _, refusal := range []string{
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"CLUSTERDOWN The cluster is down",
		"CLUSTERDOWN Hash slot not served",
		"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"NOREPLICAS Not enough good replicas to write.",
		"BUSY Redis is busy running a script.",
		"ERR max number of clients reached",
		"MOVED 8192 127.0.0.1:1",
	} {
		for refusals, works := range map[int64]bool{1: true, 3: true, -1: false} {
			t.Run(refusal, func(t *testing.T) {
				t.Parallel()
				s, scripts := refusing(t, refusal, refusals)
				_, err := s.Check(t.Context(), anAttempt("phone"))
				if works && !errors.Is(err, otp.ErrNotLive) {
					t.Errorf("Check after %d refusals: %v; want no such challenge", refusals, err)
				}
				if !works && (!errors.Is(err, otp.ErrUnavailable) || !strings.Contains(err.Error(), refusal[:4])) {
					t.Errorf("Check while Redis refuses: %v; want ErrUnavailable", err)
				}
				if want := 1 + int64(len(pauses)); !works && scripts.Load() != want {
					t.Errorf("the script was sent %d times; want %d", scripts.Load(), want)
				}
			})
		}
	}
}

// TestTriesOnce checks that a call is not sent again if it would fail again.
func TestTriesOnce(t *testing.T) {
	for _, refusal := range []string{
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"WRONGTYPE Operation against a key holding the wrong kind of value",
		"ERR unknown command",
	} {
		s, scripts := refusing(t, refusal, -1)
		_, err := s.Check(t.Context(), anAttempt("phone"))
		if !errors.Is(err, otp.ErrUnavailable) || scripts.Load() != 1 {
			t.Errorf("%s: %v, the script sent %d times; want ErrUnavailable, once", refusal, err, scripts.Load())
		}
	}
}

// TestCountsOnce checks that a wrong attempt whose reply was lost counts once, and that another one with the same code
// counts again.
func TestCountsOnce(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		s := NewCodes(c, CodesOptions{Policy: otp.Policy{TTL: time.Minute, MaxAttempts: 5}, Partitions: 1})
		phone := otp.Pseudonym(rand.Text())
		opening := otp.Opening{
			Place:  otp.Place{Phone: phone},
			ID:     uuid.Must(uuid.NewV7()),
			Digest: "d",
			Letter: []byte("l"),
		}
		if _, err := s.Open(t.Context(), opening); err != nil {
			t.Fatal(err)
		}
		p := s.partition(phone)
		a := anAttempt(phone)
		a.Digest = "wrong"
		for i, attempt := range []string{"a", "a", "a", "b", "b", "c"} {
			if _, err := s.check(t.Context(), a, nil, attempt); !errors.Is(err, otp.ErrWrong) {
				t.Fatalf("attempt %d: %v; want ErrWrong", i, err)
			}
		}
		wrong, err := c.redis.LLen(t.Context(), p.tally(a.Place).day).Result()
		tries, err2 := c.redis.HGet(t.Context(), p.challenge(a.Place), "tries").Int()
		if wrong != 3 || tries != 3 || errors.Join(err, err2) != nil {
			t.Errorf("%d and %d attempts were counted, %v, %v; want 3", wrong, tries, err, err2)
		}
	})
}
