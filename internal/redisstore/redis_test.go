package redisstore

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

// openers connect to each kind of Redis. On the real ones, the keys have a prefix of their own.
var openers = map[string]func(testing.TB) (*Client, error){
	"embedded": func(testing.TB) (*Client, error) { return StartEmbedded(), nil },
	"single": func(t testing.TB) (*Client, error) {
		return Open(Options{URL: setting(t, "TEST_REDIS_URL"), Mode: Single, Prefix: "test:", Timeout: patience})
	},
	"cluster": func(t testing.TB) (*Client, error) {
		url := setting(t, "TEST_REDIS_CLUSTER_URL")
		return Open(Options{URL: url, Mode: Cluster, Prefix: "test:", Timeout: patience})
	},
}

// patience is for the slowest machine.
const patience = 5 * time.Minute

func setting(t testing.TB, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		t.Fatalf("%s is not set; make test starts what the tests need", variable)
	}
	return url
}

// connect returns a client that is closed when the test ends.
func connect(t testing.TB, kind string) *Client {
	t.Helper()
	c, err := openers[kind](t)
	if err != nil {
		t.Fatal(err)
	}
	c.timeout = time.Hour // a thousand calls at once wait for each other for as long as the machine needs
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// onEveryRedis runs the test on each kind of Redis.
func onEveryRedis(t *testing.T, test func(t *testing.T, c *Client)) {
	for kind := range openers {
		t.Run(kind, func(t *testing.T) { test(t, connect(t, kind)) })
	}
}

// newCodes returns a store with empty outboxes.
func newCodes(t testing.TB, c *Client, p otp.Policy, partitions int) *Codes {
	t.Helper()
	s := NewCodes(c, CodesOptions{Policy: p, Partitions: partitions})
	for _, p := range s.partitions {
		if err := c.redis.Del(t.Context(), p.outbox()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// anAttempt returns an attempt at the phone's open code for a login, with the right code of every test of this package.
func anAttempt(phone otp.Pseudonym) otp.Attempt {
	return otp.Attempt{Place: otp.Place{Phone: phone}, Digest: "digest"}
}

// age makes everything in the store older by d: every time that it holds, and the remaining life of every key. A key
// whose life ends within d is deleted first: on a slow machine it could expire while it is made older.
func age(t *testing.T, c *Client, d time.Duration) {
	t.Helper()
	ctx := t.Context()
	for _, key := range keys(t, c) {
		if strings.HasPrefix(key, c.prefix+"report:") || strings.HasPrefix(key, c.prefix+"numbers:") ||
			strings.HasSuffix(key, ":health") {
			continue
		}
		ttl, err := c.redis.PTTL(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if ttl == -1 {
			t.Fatalf("%s never expires", key)
		}
		if ttl <= d { // or the key has expired since it was listed
			err = c.redis.Del(ctx, key).Err()
		} else if err = ageKey(ctx, c, key, d); err == nil {
			err = c.redis.PExpire(ctx, key, ttl-d).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// ageKey makes every time older that the key holds.
func ageKey(ctx context.Context, c *Client, key string, d time.Duration) error {
	switch {
	case strings.HasSuffix(key, ":others"):
		return nil // names, which no time changes
	case strings.HasSuffix(key, ":outbox"):
		return ageOutbox(ctx, c, key, d)
	case strings.Contains(key, ":code"):
		return ageChallenge(ctx, c, key, d)
	case strings.HasSuffix(key, ":row"):
		return nil // a number, which no time changes
	default:
		return ageSends(ctx, c, key, d)
	}
}

func ageOutbox(ctx context.Context, c *Client, key string, d time.Duration) error {
	pending, err := c.redis.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: key,
		Group:  "couriers",
		Start:  "-",
		End:    "+",
		Count:  1000,
	}).Result()
	if err != nil {
		return err
	}
	for _, p := range pending {
		if err := c.redis.Do(ctx, "XCLAIM", key, "couriers", "courier", 0, p.ID, "IDLE", (p.Idle + d).Milliseconds(),
			"RETRYCOUNT", p.RetryCount, "JUSTID").Err(); err != nil {
			return err
		}
	}
	return nil
}

func ageChallenge(ctx context.Context, c *Client, key string, d time.Duration) error {
	h, err := c.redis.HGetAll(ctx, key).Result()
	if err != nil {
		return err
	}
	sent, err := earlier(h["sent"], d)
	if err != nil {
		return err
	}
	first, err := earlier(h["first"], d)
	if err != nil {
		return err
	}
	receipts, err := parseReceipts(h["receipts"])
	if err != nil {
		return err
	}
	for i, r := range receipts {
		if receipts[i].time, err = earlier(r.time, d); err != nil {
			return err
		}
	}
	return c.redis.HSet(ctx, key, "sent", sent, "first", first, "receipts", lines(receipts)).Err()
}

func ageSends(ctx context.Context, c *Client, key string, d time.Duration) error {
	times, err := c.redis.LRange(ctx, key, 0, -1).Result()
	if err != nil {
		return err
	}
	for i, at := range times {
		at, err := earlier(at, d)
		if err != nil {
			return err
		}
		if err := c.redis.LSet(ctx, key, int64(i), at).Err(); err != nil {
			return err
		}
	}
	return nil
}

func earlier(us string, d time.Duration) (string, error) {
	n, err := strconv.ParseInt(us, 10, 64)
	return strconv.FormatInt(n-d.Microseconds(), 10), err
}

func keys(t *testing.T, c *Client) (keys []string) {
	t.Helper()
	err := c.eachMaster(t.Context(), func(ctx context.Context, r *redis.Client) error {
		all := r.Scan(ctx, 0, c.prefix+"*", 1000).Iterator()
		for all.Next(ctx) {
			keys = append(keys, all.Val())
		}
		return all.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
