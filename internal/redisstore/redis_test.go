package redisstore

import (
	"context"
	"os"
	"slices"
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

// age makes everything in the store older by d: every time that it holds, and the remaining life of every key.
func age(t *testing.T, c *Client, d time.Duration) {
	t.Helper()
	timed := slices.DeleteFunc(keys(t, c), func(key string) bool {
		return strings.HasPrefix(key, c.prefix+"report:") || strings.HasPrefix(key, c.prefix+"numbers:") ||
			strings.HasSuffix(key, ":health")
	})
	most := max(1, len(timed))
	if c.cluster {
		most = 1 // a script takes keys of one slot
	}
	pipe := c.redis.Pipeline()
	for some := range slices.Chunk(timed, most) {
		ageKeys.Eval(t.Context(), pipe, some, d.Microseconds())
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ageKeys makes each key older by ARGV[1] microseconds, at one point of time: on a slow machine, a key could expire
// between two commands. A key whose life ends within that time is deleted.
var ageKeys = redis.NewScript(`
local d = tonumber(ARGV[1])
local function earlier(us)
  return string.format('%.0f', us - d)
end

local function age(key)
  local left = redis.call('PTTL', key) * 1000
  if left == -2000 then
    return
  elseif left == -1000 then
    error(key .. ' never expires')
  elseif left <= d then
    redis.call('DEL', key)
    return
  end
  redis.call('PEXPIRE', key, string.format('%.0f', math.ceil((left - d) / 1000)))

  local kind = redis.call('TYPE', key).ok
  if kind == 'list' then -- times
    for i, at in ipairs(redis.call('LRANGE', key, 0, -1)) do
      redis.call('LSET', key, i - 1, earlier(at))
    end
  elseif kind == 'hash' then -- a challenge
    local c = redis.call('HMGET', key, 'sent', 'first', 'receipts')
    local receipts = string.gsub(c[3], ' (%d+)', function(us)
      return ' ' .. earlier(us)
    end)
    redis.call('HSET', key, 'sent', earlier(c[1]), 'first', earlier(c[2]), 'receipts', receipts)
  elseif kind == 'stream' then -- an outbox
    for _, p in ipairs(redis.call('XPENDING', key, 'couriers', '-', '+', 1000)) do
      local idle = string.format('%.0f', p[3] + d / 1000)
      redis.call('XCLAIM', key, 'couriers', 'courier', 0, p[1], 'IDLE', idle, 'RETRYCOUNT', p[4], 'JUSTID')
    end
  elseif not string.find(key, ':row$') and not string.find(key, ':others$') then -- which hold no times
    error(key .. ' has times that are not known')
  end
end

for _, key in ipairs(KEYS) do
  age(key)
end
return 1
`)

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
	slices.Sort(keys)
	return slices.Compact(keys) // SCAN may return a key twice
}
