package metrics

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// readTimeout is what a Redis has to say how the outbox is.
const readTimeout = time.Second

// Sources tell how things are at the moment that somebody reads.
type Sources struct {
	RedisPool    func() (idle, used int, timeouts uint32)
	DatabasePool func() (idle, used, most int, waits int64, waited time.Duration)
	Outbox       func(ctx context.Context) (messages int, oldest time.Duration, err error)
	Resting      iter.Seq2[string, bool] // the providers, and whether each rests
}

// Watch adds the numbers of the sources. It is called once.
func (m *Metrics) Watch(s Sources) {
	m.sources = s
	m.registry.MustRegister(state{s})
}

// state is a prometheus.Collector, which asks each source once for all that it tells.
type state struct{ Sources }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	redisPool       = desc("otp_redis_pool_connections", "Connections to Redis.", "state")
	redisTimeouts   = desc("otp_redis_pool_timeouts_total", "Calls that got no connection to Redis in time.")
	databasePool    = desc("otp_database_pool_connections", "Connections to the database.", "state")
	databaseMost    = desc("otp_database_pool_connections_max", "Connections to the database that there may be.")
	databaseWaits   = desc("otp_database_pool_waits_total", "Calls that had to wait for a connection to the database.")
	databaseWaited  = desc("otp_database_pool_wait_seconds_total", "What they have waited together.")
	outboxMessages  = desc("otp_outbox_messages", "Messages of all copies that are queued or on their way to a provider.")
	outboxOldest    = desc("otp_outbox_oldest_seconds", "Age of the oldest of them; 0 if there is none.")
	providerResting = desc("otp_provider_resting", "1 while the provider is not asked, because it fails or wants a pause.", "provider")
)

func (s state) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		redisPool, redisTimeouts, databasePool, databaseMost, databaseWaits, databaseWaited, outboxMessages, outboxOldest, providerResting,
	} {
		c <- d
	}
}

func (s state) Collect(c chan<- prometheus.Metric) {
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
		value := 0.0
		if rests {
			value = 1
		}
		gauge(providerResting, value, provider)
	}

	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	if messages, oldest, err := s.Outbox(ctx); err == nil { // a Redis that does not answer has no number
		gauge(outboxMessages, float64(messages))
		gauge(outboxOldest, oldest.Seconds())
	}
}
