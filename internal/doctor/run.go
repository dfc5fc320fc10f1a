package doctor

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/brand"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/health"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/redisstore"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/sqlitestore"
	"dekamond-otp/internal/stores"
	"dekamond-otp/internal/text"
	"dekamond-otp/internal/token"
)

// ErrWrong is the error of a report that has something wrong. The report, which ends with the counts, has said what.
var ErrWrong = errors.New("something is wrong")

// Run examines the deployment that the settings describe, and writes the report. misspelt has the names that
// are no settings. The error is a setting.Faults if a store's URL cannot be used, and ErrWrong if something is
// wrong.
func Run(ctx context.Context, c *config.Config, misspelt []config.Misspelling, w io.Writer) error {
	d := deployment{config: c, misspelt: misspelt, providers: openProviders(c)}
	d.alive = func(ctx context.Context) error { return health.Check(ctx, address.Reachable(c.HTTPAddr)) }
	if path, ok := c.SQLitePath(); ok {
		d.sqlite = func(ctx context.Context) (sqlitestore.Facts, error) { return sqlitestore.Inspect(ctx, path) }
	} else {
		accounts, err := stores.OpenPostgres(c, nil)
		if err != nil {
			return err
		}
		defer func() { _ = accounts.Close() }()
		d.postgres = accounts.Inspect
	}
	if !c.EmbeddedRedis() {
		patient := *c
		patient.RedisTimeout = time.Second // so that the latency is found of a Redis that is too far away
		redis, err := stores.OpenRedis(&patient)
		if err != nil {
			return err
		}
		defer func() { _ = redis.Close() }()
		d.redis = redis.Inspect
	}
	d.keys, d.keysFault = openKeys(c)
	d.costlyTexts, d.textsFault = findCostlyTexts(c)
	_, d.logoFault = brand.ReadLogo(c.AppLogo)
	report := d.examine(ctx)
	if err := report.Write(w); err != nil {
		return err
	}
	if report.Count(Wrong) > 0 {
		return ErrWrong
	}
	return nil
}

// openProviders opens the used providers, whatever is wrong with some of them.
func openProviders(c *config.Config) (all []provider) {
	for _, name := range c.UsedProviders() {
		d, _ := sms.Describe(name)
		opened, err := sms.Open(name, services.ProviderOptions(c, io.Discard))
		p := provider{Description: d, fault: err, reports: opened.Reports}
		if err == nil {
			p.channels = opened.Channels()
		}
		if prober, ok := opened.Provider.(sms.Prober); ok {
			p.probe = prober.Probe
		}
		all = append(all, p)
	}
	return all
}

// openKeys returns the keys of JWT_KEYS. There are none before development has made one.
func openKeys(c *config.Config) ([]token.Key, error) {
	if c.JWTKeys == "" {
		return nil, nil
	}
	if c.MakesKey() {
		if has, err := token.HasKey(c.JWTKeys); !has || err != nil {
			return nil, err
		}
	}
	o := token.Options{Secret: []byte(c.JWTSecret.Reveal()), Folder: c.JWTKeys, Grace: c.JWTKeyGrace}
	issuer, err := token.NewIssuer(o)
	if err != nil {
		return nil, err
	}
	return issuer.Keys(), nil
}

// costlyTexts are the texts that are billed as more than one message, by language and purpose.
type costlyTexts struct {
	usual []string // with every code
	long  []string // only with the longer codes of a phone that has had OTP_DAILY_ATTEMPTS wrong attempts in a row
}

func findCostlyTexts(c *config.Config) (texts costlyTexts, err error) {
	all, err := text.New(services.TextOptions(c))
	if err != nil {
		return costlyTexts{}, err
	}
	for _, cost := range all.Costs() {
		name := cost.Locale + " " + cost.Purpose
		if cost.Digits > c.OTPLength {
			texts.long = append(texts.long, name)
		} else {
			texts.usual = append(texts.usual, name)
		}
	}
	return texts, nil
}

// A deployment is what is examined. A function that is nil is not called.
type deployment struct {
	config      *config.Config
	misspelt    []config.Misspelling
	keys        []token.Key
	keysFault   error
	costlyTexts costlyTexts
	logoFault   error
	textsFault  error
	redis       func(ctx context.Context) (redisstore.Facts, error)
	postgres    func(ctx context.Context) (pgstore.Facts, error)
	sqlite      func(ctx context.Context) (sqlitestore.Facts, error)
	providers   []provider
	alive       func(ctx context.Context) error // Asks the service itself.
}

// examine examines everything at the same time, and waits for nothing longer than Timeout.
func (d deployment) examine(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	now := time.Now()
	var (
		wait                      sync.WaitGroup
		redis, database, running  []Finding
		redisClock, databaseClock clock
		providers                 = make([][]Finding, len(d.providers))
	)
	wait.Go(func() { redis, redisClock = d.examineRedis(ctx, now) })
	wait.Go(func() { database, databaseClock = d.examineDatabase(ctx, now) })
	for i, p := range d.providers {
		wait.Go(func() { providers[i] = p.examine(ctx, d.config, now) })
	}
	wait.Go(func() {
		if d.alive != nil {
			running = examineService(d.alive(ctx), d.config)
		}
	})
	wait.Wait()
	files := slices.Concat(
		examineKeys(d.keys, d.keysFault, d.config, now),
		examineTexts(d.costlyTexts, d.textsFault),
		examineLogo(d.logoFault),
	)
	return Report{
		slices.Concat(examineSettings(d.config, d.misspelt), examineLongCodes(d.config, d.providers)),
		examineSecrets(d.config),
		files,
		redis,
		database,
		examineClocks(redisClock, databaseClock),
		slices.Concat(providers...),
		running,
	}
}

func (d deployment) examineRedis(ctx context.Context, now time.Time) (findings, clock) {
	if d.redis == nil {
		return examineEmbeddedRedis(d.config), clock{}
	}
	facts, err := d.redis(ctx)
	return examineRedis(facts, err, d.config, now), clock{"Redis", facts.Skew, err == nil}
}

func (d deployment) examineDatabase(ctx context.Context, now time.Time) (findings, clock) {
	switch {
	case d.postgres != nil:
		facts, err := d.postgres(ctx)
		return examinePostgres(facts, err, d.config, now), clock{"the database", facts.Skew, err == nil}
	case d.sqlite != nil:
		facts, err := d.sqlite(ctx)
		return examineSQLite(facts, err, d.config), clock{}
	}
	return nil, clock{}
}

// examineService reports whether the service itself answers.
func examineService(err error, c *config.Config) (f findings) {
	bad := "does not run on " + c.HTTPAddr + ", seen from here"
	f.addEither(err == nil, "service", "runs on "+c.HTTPAddr, Note, bad)
	return f
}

// A clock is the clock of another machine.
type clock struct {
	of    string
	skew  time.Duration // How far it is ahead of the clock here.
	asked bool
}

// direction says where the clock here is, seen from this one.
func (c clock) direction() string {
	if c.skew > 0 {
		return "behind"
	}
	return "ahead of"
}

const farSkewed = time.Minute // Between two clocks.

func examineClocks(clocks ...clock) (f findings) {
	for _, c := range clocks {
		switch off := c.skew.Abs(); {
		case !c.asked:
		case off > farSkewed:
			const bad = "is %s %s that of %s: tokens are refused, or live too long; run NTP on both"
			f.add(Wrong, "clock", bad, off.Round(time.Second), c.direction(), c.of)
		case off > stores.ClockTolerance:
			f.add(Weak, "clock", "is %.1f s %s that of %s; run NTP on both", off.Seconds(), c.direction(), c.of)
		default:
			f.add(OK, "clock", "agrees with that of %s", c.of)
		}
	}
	return f
}
