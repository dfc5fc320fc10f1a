package redisstore

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/otp/otptest"
)

func init() { prefix = "test:" }

// openers reach each kind of Redis.
var openers = map[string]func(*testing.T) (*Client, error){
	"embedded": func(*testing.T) (*Client, error) { return StartEmbedded(), nil },
	"single": func(t *testing.T) (*Client, error) {
		return Open(Options{URL: service(t, "TEST_REDIS_URL"), Mode: Single})
	},
	"cluster": func(t *testing.T) (*Client, error) {
		return Open(Options{URL: service(t, "TEST_REDIS_CLUSTER_URL"), Mode: Cluster})
	},
}

func TestCodesEmbedded(t *testing.T)  { suite(t, openers["embedded"]) }
func TestCodesOnRedis(t *testing.T)   { suite(t, openers["single"]) }
func TestCodesOnCluster(t *testing.T) { suite(t, openers["cluster"]) }

func TestBacklog(t *testing.T) {
	for name, open := range openers {
		t.Run(name, func(t *testing.T) {
			c, err := open(t)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s := NewCodes(c, otp.Policy{TTL: time.Minute, MaxAttempts: 5, DailyAttempts: 30}, 3)
			for n := range uint32(3) {
				if err := c.redis.Del(t.Context(), partition(n).outbox()).Err(); err != nil {
					t.Fatal(err)
				}
			}
			want := func(messages int, least, most time.Duration) {
				t.Helper()
				if n, oldest, err := s.Backlog(t.Context()); n != messages || oldest < least || oldest > most || err != nil {
					t.Errorf("Backlog = %d, %v, %v; want %d, %v to %v", n, oldest, err, messages, least, most)
				}
			}
			want(0, 0, 0)
			began := time.Now()
			var last otp.Challenge
			for i := range 20 {
				last, err = s.Open(t.Context(), otp.Opening{Phone: otp.Pseudonym(fmt.Sprint("backlog", i)), ID: uuid.Must(uuid.NewV7()), Digest: "digest", Letter: []byte("letter")})
				if err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(20 * time.Millisecond)
			want(20, 15*time.Millisecond, time.Since(began)+time.Minute)
			if err := s.Settle(t.Context(), last.Lease, otp.Outcome{State: otp.Sent}); err != nil {
				t.Fatal(err)
			}
			want(19, 15*time.Millisecond, time.Since(began)+time.Minute)
		})
	}
}

func service(t testing.TB, variable string) string {
	url := os.Getenv(variable)
	if url == "" {
		t.Fatalf("%s is not set; make test starts what the tests need", variable)
	}
	return url
}

func suite(t *testing.T, open func(*testing.T) (*Client, error)) {
	otptest.TestStore(t, func(t *testing.T, p otp.Policy) otptest.Store {
		c, err := open(t)
		if err != nil {
			t.Fatal(err)
		}
		c.timeout = time.Hour // a thousand calls at once wait for each other for as long as the machine needs
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
		for n := range uint32(4) { // what other stories have left would be claimed first
			if err := c.redis.Del(t.Context(), partition(n).outbox()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		return otptest.Store{Store: NewCodes(c, p, 4), Age: func(t *testing.T, d time.Duration) { age(t, c, d) }}
	})
}

// age moves every time and every end of life in the store into the past.
func age(t *testing.T, c *Client, d time.Duration) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	earlier := func(us string) string {
		n, err := strconv.ParseInt(us, 10, 64)
		must(err)
		return strconv.FormatInt(n-d.Microseconds(), 10)
	}
	for _, key := range keys(t, c) {
		if strings.HasSuffix(key, ":outbox") {
			pending, err := c.redis.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: key, Group: "couriers", Start: "-", End: "+", Count: 1000}).Result()
			must(err)
			for _, p := range pending {
				must(c.redis.Do(ctx, "XCLAIM", key, "couriers", "courier", 0, p.ID, "IDLE", (p.Idle + d).Milliseconds(), "RETRYCOUNT", p.RetryCount, "JUSTID").Err())
			}
		} else if strings.HasPrefix(key, prefix+"report:") || strings.HasPrefix(key, prefix+"numbers:") {
			continue
		} else if strings.Contains(key, ":code") {
			h, err := c.redis.HGetAll(ctx, key).Result()
			must(err)
			receipts := strings.Fields(h["receipts"])
			for i := 1; i < len(receipts); i += 2 {
				receipts[i] = earlier(receipts[i]) + "\n"
			}
			text := strings.ReplaceAll(strings.TrimSpace(strings.Join(receipts, " ")), "\n ", "\n")
			must(c.redis.HSet(ctx, key, "sent", earlier(h["sent"]), "receipts", text).Err())
		} else {
			times, err := c.redis.LRange(ctx, key, 0, -1).Result()
			must(err)
			for i, at := range times {
				must(c.redis.LSet(ctx, key, int64(i), earlier(at)).Err())
			}
		}
		ttl, err := c.redis.PTTL(ctx, key).Result()
		must(err)
		if ttl <= 0 {
			t.Fatalf("%s lives for ever", key)
		}
		must(c.redis.PExpire(ctx, key, ttl-d).Err())
	}
}

func keys(t *testing.T, c *Client) (keys []string) {
	t.Helper()
	scan := func(ctx context.Context, r redis.UniversalClient) error {
		all := r.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for all.Next(ctx) {
			keys = append(keys, all.Val())
		}
		return all.Err()
	}
	var err error
	if cluster, ok := c.redis.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, r *redis.Client) error { return scan(ctx, r) })
	} else {
		err = scan(t.Context(), c.redis)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
