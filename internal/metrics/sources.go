package metrics

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const outboxTimeout = time.Second // for Redis to describe the outbox

// Sources are asked whenever the metrics are read.
type Sources struct {
	// RedisPool returns the connections to Redis, and how many calls got none in time.
	RedisPool func() (idle, used int, timeouts uint32)
	// DatabasePool returns the connections to the database, how many calls had to wait for one, and for how long
	// together.
	DatabasePool func() (idle, used, most int, waits int64, waited time.Duration)
	// Outbox returns how many messages wait in all copies, and the age of the oldest.
	Outbox func(ctx context.Context) (messages int, oldest time.Duration, err error)
	// Resting yields the providers, and whether this copy leaves each alone for now.
	Resting iter.Seq2[string, bool]
	// Failing yields the stores, and whether each takes no writes.
	Failing iter.Seq2[string, bool]
}

// Watch adds the metrics of the sources. It is called once.
func (m *Metrics) Watch(s Sources) { m.registry.MustRegister(collector{s}) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	redisPool = desc("otp_redis_pool_connections",
		"Connections to Redis.", "state")
	redisTimeouts = desc("otp_redis_pool_timeouts_total",
		"Calls that got no connection to Redis in time.")
	databasePool = desc("otp_database_pool_connections",
		"Connections to the database.", "state")
	databaseMost = desc("otp_database_pool_connections_max",
		"Most connections to the database that are opened.")
	databaseWaits = desc("otp_database_pool_waits_total",
		"Calls that had to wait for a connection to the database.")
	databaseWaited = desc("otp_database_pool_wait_seconds_total",
		"Time that calls have waited for a connection to the database, in total.")
	outboxMessages = desc("otp_outbox_messages",
		"Messages of all copies that are queued or being delivered.")
	outboxOldest = desc("otp_outbox_oldest_seconds",
		"Age of the oldest message that is queued or being delivered; 0 if there is none.")
	providerResting = desc("otp_provider_resting",
		"1 while the provider is not called, because it fails or asked for a pause.", "provider")
	storeFailing = desc("otp_store_failing",
		"1 while the store takes no writes.", "store")
)

// A collector implements prometheus.Collector. It asks each source once for all metrics that come from it.
type collector struct{ Sources }

// Describe implements prometheus.Collector.
func (s collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		redisPool,
		redisTimeouts,
		databasePool,
		databaseMost,
		databaseWaits,
		databaseWaited,
		outboxMessages,
		outboxOldest,
		providerResting,
		storeFailing,
	} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (s collector) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value)
	}
	idle, used, timeouts := s.RedisPool()
	gauge(redisPool, float64(idle), "idle")
	gauge(redisPool, float64(used), "used")
	counter(redisTimeouts, float64(timeouts))

	idle, used, most, waits, waited := s.DatabasePool()
	gauge(databasePool, float64(idle), "idle")
	gauge(databasePool, float64(used), "used")
	gauge(databaseMost, float64(most))
	counter(databaseWaits, float64(waits))
	counter(databaseWaited, waited.Seconds())

	for provider, rests := range s.Resting {
		gauge(providerResting, number(rests), provider)
	}
	for store, fails := range s.Failing {
		gauge(storeFailing, number(fails), store)
	}

	ctx, cancel := context.WithTimeout(context.Background(), outboxTimeout)
	defer cancel()
	if messages, oldest, err := s.Outbox(ctx); err == nil { // while Redis does not answer, both are missing
		gauge(outboxMessages, float64(messages))
		gauge(outboxOldest, oldest.Seconds())
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
