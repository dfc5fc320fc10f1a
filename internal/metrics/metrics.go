// Package metrics owns the metrics that the service has for Prometheus: their names, labels and buckets. The packages
// that do the work decide what is counted, and when, through interfaces of their own. The alerts and the dashboard in
// observe/ use the names.
//
// No label has a value that a stranger chooses: never a phone, an address or a code.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dekamond-otp/internal/otp"
)

// DelayBounds are the bounds, in seconds, of the buckets for the time that a person takes to answer with a code.
var DelayBounds = [...]float64{2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300}

var (
	// callBuckets are for an HTTP request and for a call of a store, in seconds.
	callBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// providerBuckets are for a call of a provider, in seconds.
	providerBuckets = []float64{.05, .1, .25, .5, 1, 1.5, 2, 2.5, 5}
)

// Metrics holds the metrics of this process. It is safe for concurrent use.
type Metrics struct {
	registry      *prometheus.Registry
	http          *prometheus.HistogramVec
	problems      *prometheus.CounterVec
	requests      *prometheus.CounterVec
	messages      *prometheus.CounterVec
	verifications *prometheus.CounterVec
	delays        *prometheus.HistogramVec
	calls         *prometheus.HistogramVec
	redis         *prometheus.HistogramVec
	database      *prometheus.HistogramVec
	others        []otp.Metrics
}

// New returns metrics that are zero. They pass every count of codes and messages on to others.
func New(version string, others ...otp.Metrics) *Metrics {
	r := registry{prometheus.NewRegistry()}
	info := prometheus.GaugeOpts{Name: "otp_build_info", Help: "The running version."}
	build := prometheus.NewGaugeVec(info, []string{"version"})
	build.WithLabelValues(version).Set(1)
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	r.MustRegister(build, collectors.NewGoCollector(), process)
	return &Metrics{
		registry: r.Registry,
		others:   others,
		http: r.histogram("otp_http_request_duration_seconds",
			"HTTP requests by the class of their status.", callBuckets, "method", "route", "class"),
		problems: r.counter("otp_problems_total",
			"Failures that clients were answered with, by their code in the OpenAPI document.", "route", "code"),
		requests: r.counter("otp_requests_total",
			"Requests for a code: accepted, for a test number, or why they were refused.", "outcome", "region"),
		messages: r.counter("otp_messages_total",
			"Messages by event: sent, failed, delivered or verified. A failed call counts one failure of its "+
				"provider. The provider is none if the message failed for good, or if that of a verified code is not "+
				"known.",
			"event", "provider", "region"),
		verifications: r.counter("otp_verifications_total",
			"Answers with a code: verified, or why they were refused.", "outcome", "region"),
		delays: r.histogram("otp_verify_delay_seconds",
			"From the first request for a code to the right answer.", DelayBounds[:], "provider"),
		calls: r.histogram("otp_provider_call_duration_seconds",
			"Calls that hand a message to a provider: taken, rejected for the number, refused for the message, "+
				"or failed.",
			providerBuckets, "provider", "result"),
		redis: r.histogram("otp_redis_call_duration_seconds",
			"Decisions of the code store.", callBuckets, "call", "result"),
		database: r.histogram("otp_database_call_duration_seconds",
			"Calls of the account store.", callBuckets, "call", "result"),
	}
}

// A registry makes metrics and registers them.
type registry struct{ *prometheus.Registry }

func (r registry) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func (r registry) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

// Expect starts the counters of likely events at zero, so that Prometheus sees the first event of each as an increase.
// Regions are ISO 3166 codes; "*", which stands for all of them, is left out.
func (m *Metrics) Expect(providers, regions []string) {
	for _, region := range regions {
		if region == "*" {
			continue
		}
		m.requests.WithLabelValues("accepted", region)
		m.verifications.WithLabelValues("verified", region)
		m.messages.WithLabelValues("failed", "none", region)
		for _, provider := range providers {
			for _, event := range []string{"sent", "failed", "verified"} {
				m.messages.WithLabelValues(event, provider, region)
			}
		}
	}
	for _, provider := range providers {
		for _, result := range []string{"taken", "failed"} {
			m.calls.WithLabelValues(provider, result)
		}
	}
}

// ObserveRequest implements httpapi.Metrics.
func (m *Metrics) ObserveRequest(method, route string, status int, took time.Duration) {
	m.http.WithLabelValues(method, route, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// CountProblem implements httpapi.Metrics.
func (m *Metrics) CountProblem(route, code string) { m.problems.WithLabelValues(route, code).Inc() }

// CountRequest implements otp.Metrics.
func (m *Metrics) CountRequest(outcome, region string) {
	m.requests.WithLabelValues(outcome, region).Inc()
	for _, other := range m.others {
		other.CountRequest(outcome, region)
	}
}

// CountMessage implements otp.Metrics and sms.Metrics.
func (m *Metrics) CountMessage(event, provider, region string) {
	m.messages.WithLabelValues(event, provider, region).Inc()
	for _, other := range m.others {
		other.CountMessage(event, provider, region)
	}
}

// CountAttempt implements otp.Metrics.
func (m *Metrics) CountAttempt(outcome, region string) {
	m.verifications.WithLabelValues(outcome, region).Inc()
	for _, other := range m.others {
		other.CountAttempt(outcome, region)
	}
}

// ObserveDelay implements otp.Metrics.
func (m *Metrics) ObserveDelay(provider string, d time.Duration) {
	m.delays.WithLabelValues(provider).Observe(d.Seconds())
	for _, other := range m.others {
		other.ObserveDelay(provider, d)
	}
}

// ObserveCall implements sms.Metrics.
func (m *Metrics) ObserveCall(provider, result string, took time.Duration) {
	m.calls.WithLabelValues(provider, result).Observe(took.Seconds())
}

// Handler answers with all metrics in the formats of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
