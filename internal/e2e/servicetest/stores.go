package servicetest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/pgstore/pgtest"
)

// OnBothStores runs a test on embedded stores, for which stores is nil, and on Postgres and Redis.
func OnBothStores(t *testing.T, test func(t *testing.T, stores []string)) {
	t.Run("embedded", func(t *testing.T) { test(t, nil) })
	t.Run("real", func(t *testing.T) { test(t, RealStores(t)) })
}

// RealStores returns the settings DATABASE_URL and REDIS_URL, in this order, of two empty databases that no other test
// uses.
func RealStores(t *testing.T) []string {
	t.Helper()
	return []string{"DATABASE_URL=" + pgtest.NewDatabase(t), "REDIS_URL=" + RedisURL(t)}
}

// claims is the number of the last Redis database. It holds a key for each database that a test uses, so that tests in
// several processes never use the same one. Database 0 is left to the tests of other packages.
const claims = 63

// RedisURL returns the URL of an empty Redis database, which the test has to itself until it ends.
func RedisURL(t *testing.T) string {
	t.Helper()
	o, err := redis.ParseURL(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		t.Fatalf("TEST_REDIS_URL: %v; make test starts what the tests need", err)
	}
	o.DB = claimDatabase(t, *o)
	r := redis.NewClient(o)
	defer r.Close()
	if err := r.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("redis://%s/%d", o.Addr, o.DB)
}

// claimDatabase returns the number of a Redis database that no other test uses, and releases it when the test ends. It
// waits if all are in use. A claim that its process did not release expires after an hour.
func claimDatabase(t *testing.T, o redis.Options) (number int) {
	t.Helper()
	o.DB = claims
	r := redis.NewClient(&o)
	t.Cleanup(func() { r.Close() })
	Eventually(t, "a Redis database is free", func() bool {
		for n := 1; n < claims; n++ {
			key := fmt.Sprintf("database %d", n)
			claimed, err := r.SetNX(t.Context(), key, os.Getpid(), time.Hour).Result()
			if err != nil {
				t.Fatal(err)
			}
			if claimed {
				t.Cleanup(func() { r.Del(context.Background(), key) })
				number = n
				return true
			}
		}
		return false
	})
	return number
}

// Redis returns a client of the Redis database that stores, as RealStores returns them, names.
func Redis(t *testing.T, stores []string) *redis.Client {
	t.Helper()
	_, url, _ := strings.Cut(stores[1], "=")
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	r := redis.NewClient(o)
	t.Cleanup(func() { r.Close() })
	return r
}

// RedisKeys returns all keys in the Redis database of stores.
func RedisKeys(t *testing.T, stores []string) []string {
	t.Helper()
	keys, err := Redis(t, stores).Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// AwaitEmptyOutbox waits until no outbox in the Redis database of stores holds a message.
func AwaitEmptyOutbox(t *testing.T, stores []string) {
	t.Helper()
	r := Redis(t, stores)
	Eventually(t, "every outbox is empty", func() bool {
		left := int64(0)
		for _, key := range r.Keys(t.Context(), "otp:*:outbox").Val() {
			left += r.XLen(t.Context(), key).Val()
		}
		return left == 0
	})
}

// Dump returns the rows of all tables in the Postgres database of stores, as text: first the users, then the sessions,
// then the audit log, each table after its name.
func Dump(t *testing.T, stores []string) string {
	t.Helper()
	_, url, _ := strings.Cut(stores[0], "=")
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var b strings.Builder
	for _, table := range []string{"users", "sessions", "audit"} {
		rows, err := c.Query(t.Context(), `select t::text from `+table+` t`)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(lines) == 0 && table == "audit" {
			t.Fatalf("%s: %d rows, %v", table, len(lines), err)
		}
		b.WriteString(table + " " + strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}
