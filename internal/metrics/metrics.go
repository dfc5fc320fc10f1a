// Package metrics owns the numbers by which the one who runs the service sees how it does, and the page that
// Prometheus reads them from. What is counted, and when, is left to the packages that do it.
//
// No label has a value that a stranger chooses: never a phone, an address or a code.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the numbers of this process. It is safe for use by many goroutines.
type Metrics struct {
	registry *prometheus.Registry
	messages *prometheus.CounterVec
}

// New gives metrics that are all zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "otp_messages_total",
			Help: "Messages that were sent, failed, delivered or verified, by the provider (none: no provider took it) and the region of the number. " +
				"A provider that fails a message counts one failure for each try.",
		}, []string{"event", "provider", "region"}),
	}
	m.registry.MustRegister(m.messages, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Count implements otp.Tally.
func (m *Metrics) Count(event, provider, region string) {
	m.messages.WithLabelValues(event, provider, region).Inc()
}

// Handler serves GET /metrics in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
