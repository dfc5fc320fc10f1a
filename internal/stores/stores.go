// Package stores opens the stores that the settings name, Postgres or SQLite, a Redis or the embedded one, and waits
// until they answer and the database has the schema that this version needs. What a store keeps belongs to its own
// package.
package stores

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/redisstore"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sqlitestore"
)

const (
	startTimeout = 30 * time.Second       // for a store to answer
	pingEvery    = 500 * time.Millisecond // until it does
	warnEvery    = 10                     // failed pings
)

// Options are the inputs of Open. All are needed.
type Options struct {
	Config  *config.Config
	Policy  otp.Policy
	Metrics *metrics.Metrics // observes the calls of the stores
	Clock   *clock.Clock     // follows the stores if the clock of this machine is wrong
	Log     *slog.Logger
}

// Stores are open.
type Stores struct {
	Accounts Accounts
	Redis    *redisstore.Client
	Codes    *redisstore.Codes
	History  *redisstore.History

	DatabaseHealth, RedisHealth *Health

	clocks *clocks
}

// Accounts is an account.Store and what else main needs of one.
type Accounts interface {
	account.Store
	// Ping returns nil if the store answers, whatever its schema.
	Ping(ctx context.Context) error
	// Touch writes to the store, and returns nil if the store took it. The schema must be up to date.
	Touch(ctx context.Context) error
	// Pool returns the connections, how many calls had to wait for one, and for how long in all.
	Pool() (idle, used, most int, waits int64, waited time.Duration)
	// Migrate brings the schema up to date and returns the names of the migrations that it applied.
	Migrate(ctx context.Context) (applied []string, err error)
	// Pending returns the names of the migrations that Migrate would apply.
	Pending(ctx context.Context) (pending []string, err error)
	Close() error
}

// Open returns the stores once they take writes, or an error if one of them does not within 30 s. The caller closes
// them.
func Open(ctx context.Context, o Options) (*Stores, error) {
	redis, err := OpenRedis(o.Config) // first, so that no database is made if its URL has a fault
	if err != nil {
		return nil, err
	}
	accounts, err := openAccounts(ctx, o.Config, o.Metrics, o.Log, o.Config.MigrateOnStart)
	if err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	health := newHealth("database", o.Config.DatabaseSetting(""), accounts.Ping, accounts.Touch, o.Log)
	s := &Stores{
		Accounts: countedAccounts{accounts, health},
		Redis:    redis,
		History:  redisstore.NewHistory(redis),
		Codes: redisstore.NewCodes(redis, redisstore.CodesOptions{
			Policy:     o.Policy,
			Partitions: o.Config.RedisPartitions,
			Observer:   o.Metrics.Redis(),
		}),
		DatabaseHealth: health,
	}
	s.RedisHealth = newHealth("redis", redisSetting(""), redis.Ping, s.Codes.Touch, o.Log)
	log := o.Log.With("store", "redis", "setting", redisSetting(""))
	err = await(ctx, log, redis.Ping)
	if err == nil {
		err = await(ctx, log, s.Codes.Touch)
	}
	if err != nil {
		return nil, errors.Join(named("Redis", redisSetting, err), s.Close())
	}
	s.clocks = newClocks(o, redis, accounts)
	s.clocks.compare(ctx)
	logEmbedded(o.Config, o.Log)
	return s, nil
}

// Watch watches the health of both stores and their clocks until ctx is done.
func (s *Stores) Watch(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.DatabaseHealth.watch(ctx) })
	wg.Go(func() { s.RedisHealth.watch(ctx) })
	wg.Go(func() { s.clocks.watch(ctx) })
	wg.Wait()
}

// Failing yields the stores, and whether each takes no writes.
func (s *Stores) Failing(yield func(store string, failing bool) bool) {
	for _, h := range []*Health{s.DatabaseHealth, s.RedisHealth} {
		if !yield(h.store, h.fails()) {
			return
		}
	}
}

// Close closes the stores.
func (s *Stores) Close() error { return errors.Join(s.Redis.Close(), s.Accounts.Close()) }

// Migrate brings the database up to date.
func Migrate(ctx context.Context, c *config.Config, log *slog.Logger) error {
	accounts, err := openAccounts(ctx, c, metrics.New(""), log, true)
	if err != nil {
		return err
	}
	return accounts.Close()
}

// openAccounts returns the account store once it answers and its schema is up to date.
func openAccounts(
	ctx context.Context, c *config.Config, m *metrics.Metrics, log *slog.Logger, mayMigrate bool,
) (Accounts, error) {
	accounts, err := newAccounts(c, m)
	if err != nil {
		return nil, err
	}
	storeLog := log.With("store", "database", "setting", c.DatabaseSetting(""))
	if err = await(ctx, storeLog, accounts.Ping); err == nil {
		err = migrate(ctx, log, accounts, mayMigrate)
	}
	if err == nil {
		err = await(ctx, storeLog, accounts.Touch)
	}
	if err != nil {
		return nil, errors.Join(named("database", c.DatabaseSetting, err), accounts.Close())
	}
	return accounts, nil
}

func redisSetting(string) string { return "REDIS_URL" }

// named adds the setting that a store's error is about. If the store refuses what the setting says, the error is a
// setting.Refused.
func named(store string, name func(part string) string, err error) error {
	if r, ok := errors.AsType[probe.Refusal](err); ok {
		return setting.Refused{Variable: name(r.Setting), Problem: "the " + store + " " + r.Error()}
	}
	return fmt.Errorf("%s: the %s cannot be used: %w", name(""), store, err)
}

// newAccounts returns the account store, which may not answer yet.
func newAccounts(c *config.Config, m *metrics.Metrics) (Accounts, error) {
	if path, ok := c.SQLitePath(); ok {
		s, err := sqlitestore.Open(sqlitestore.Options{Path: path, Observer: m.Database("sqlite")})
		if err != nil {
			return nil, setting.Refused{Variable: "DATABASE_URL", Problem: err.Error()}
		}
		return s, nil
	}
	s, err := OpenPostgres(c, m.Database("postgresql"))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenPostgres returns the account store in Postgres, which may not answer yet. The error is a setting.Faults.
func OpenPostgres(c *config.Config, o pgstore.Observer) (*pgstore.Accounts, error) {
	s, err := pgstore.Open(pgstore.Options{URL: c.DatabaseURL.Reveal(), Observer: o})
	if r, ok := errors.AsType[probe.Refusal](err); ok {
		return nil, setting.Faults{{Variable: c.DatabaseSetting(r.Setting), Problem: r.Error()}}
	}
	return s, err
}

// OpenRedis returns a client of Redis, which may not answer yet. The error is a setting.Faults.
func OpenRedis(c *config.Config) (*redisstore.Client, error) {
	if c.EmbeddedRedis() {
		return redisstore.StartEmbedded(), nil
	}
	r, err := redisstore.Open(redisstore.Options{
		URL:         c.RedisURL.Reveal(),
		Mode:        c.RedisMode,
		Master:      c.RedisMaster,
		Timeout:     c.RedisTimeout,
		PoolTimeout: c.RedisPoolTimeout,
	})
	if err != nil {
		return nil, setting.Faults{{Variable: "REDIS_URL", Problem: "must be a URL that Redis knows"}}
	}
	return r, nil
}

// await waits until a store answers, and logs a warning now and then while it does not. It does not wait for a store
// that answers with a probe.Refusal. The log knows which store it is.
func await(ctx context.Context, log *slog.Logger, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for pings := 0; ; pings++ {
		err := ping(ctx)
		if _, refused := errors.AsType[probe.Refusal](err); err == nil || refused {
			return err
		}
		if pings%warnEvery == 0 {
			log.WarnContext(ctx, "waiting for store", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pingEvery):
		}
	}
}

// migrate brings the schema up to date if it may. If it may not, it fails unless the schema is up to date already. It
// writes nothing to a database that is up to date, which may be a standby that soon takes writes.
func migrate(ctx context.Context, log *slog.Logger, accounts Accounts, allowed bool) error {
	pending, err := accounts.Pending(ctx)
	if err != nil || len(pending) == 0 {
		return err
	}
	if !allowed {
		return fmt.Errorf("the database lacks %s: run dekamond-otp migrate, or set MIGRATE_ON_START=true",
			strings.Join(pending, ", "))
	}
	applied, err := accounts.Migrate(ctx)
	if err == nil && len(applied) > 0 {
		log.InfoContext(ctx, "database migrated", "applied", applied)
	}
	return err
}

// logEmbedded names the stores that are part of this process.
func logEmbedded(c *config.Config, log *slog.Logger) {
	var embedded []string
	if path, ok := c.SQLitePath(); ok {
		embedded = append(embedded, "database: the file "+path)
	}
	if c.EmbeddedRedis() {
		embedded = append(embedded, "redis: in this process, forgets codes, limits and queued messages at a restart")
	}
	if len(embedded) > 0 {
		log.Info("embedded stores", "stores", strings.Join(embedded, "; "))
	}
}
