// Package metrics owns the numbers by which the one who runs the service sees how it does, and the pages
// that Prometheus and a person read them from. What is counted, and when, is left to the packages that do it; the calls of the stores
// are timed here, around the stores.
//
// No label has a value that a stranger chooses: never a phone, an address or a code.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	callBuckets   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10} // seconds of an HTTP or store call
	tryBuckets    = []float64{.05, .1, .25, .5, 1, 1.5, 2, 2.5, 5}                                  // seconds of a provider's call
	personBuckets = [...]float64{2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300}                        // seconds until a person has answered
)

// Metrics are the numbers of this process. It is safe for use by many goroutines.
type Metrics struct {
	registry      *prometheus.Registry
	http          *prometheus.HistogramVec
	problems      *prometheus.CounterVec
	requests      *prometheus.CounterVec
	messages      *prometheus.CounterVec
	verifications *prometheus.CounterVec
	delays        *prometheus.HistogramVec
	tries         *prometheus.HistogramVec
	redis         *prometheus.HistogramVec
	database      *prometheus.HistogramVec
	history       *history
	version       string
	sources       Sources
}

// New gives metrics that are all zero.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), history: newHistory(), version: version}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.http = histogram("otp_http_request_duration_seconds", "HTTP requests by the class of their status.", callBuckets, "method", "route", "class")
	m.problems = counter("otp_problems_total", "Failures told to clients, by their code in the OpenAPI document.", "route", "code")
	m.requests = counter("otp_requests_total", "Requests for a code: accepted, for a test number, or why they were refused.", "outcome", "region")
	m.messages = counter("otp_messages_total", "Messages that were sent, failed, delivered or verified, by the provider "+
		"(none: no provider took it) and the region of the number. A provider that fails a message counts one failure for each try.", "event", "provider", "region")
	m.verifications = counter("otp_verifications_total", "Answers with a code: verified, or why they logged nobody in.", "outcome", "region")
	m.delays = histogram("otp_verify_delay_seconds", "From the first request for a code to the right answer.", personBuckets[:], "provider")
	m.tries = histogram("otp_provider_call_duration_seconds", "Tries to hand a message to a provider: taken, rejected for the number, "+
		"refused for the message, or failed.", tryBuckets, "provider", "result")
	m.redis = histogram("otp_redis_call_duration_seconds", "Decisions of the code store.", callBuckets, "call", "result")
	m.database = histogram("otp_database_call_duration_seconds", "Calls of the account store.", callBuckets, "call", "result")
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "otp_build_info", Help: "The running version."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Expect begins the counts of what may happen at zero, so that Prometheus sees the first of each as an increase. Regions
// are ISO 3166 codes; of "*", which is all, none is expected.
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
			m.tries.WithLabelValues(provider, result)
		}
	}
}

// Answered implements httpapi.Metrics.
func (m *Metrics) ObserveRequest(method, route string, status int, took time.Duration) {
	m.http.WithLabelValues(method, route, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// Refused implements httpapi.Metrics.
func (m *Metrics) CountProblem(route, code string) { m.problems.WithLabelValues(route, code).Inc() }

// Requested implements otp.Metrics.
func (m *Metrics) CountRequest(outcome, region string) {
	m.requests.WithLabelValues(outcome, region).Inc()
	switch outcome {
	case "accepted":
		m.history.add(cell{Event: "requested", Region: region})
	case "test_number":
	default:
		m.history.add(cell{Event: "refused", Region: region, Reason: outcome})
	}
}

// Message implements otp.Metrics and sms.Metrics.
func (m *Metrics) CountMessage(event, provider, region string) {
	m.messages.WithLabelValues(event, provider, region).Inc()
	m.history.add(cell{Event: event, Region: region, Provider: provider})
}

// Checked implements otp.Metrics.
func (m *Metrics) CountAttempt(outcome, region string) {
	m.verifications.WithLabelValues(outcome, region).Inc()
	switch outcome {
	case "verified": // counts with its message; that of a test number has none
	case "refused", "unavailable":
		m.history.add(cell{Event: "not_redeemed", Region: region, Reason: outcome})
	default:
		m.history.add(cell{Event: outcome, Region: region})
	}
}

// Delay implements otp.Metrics.
func (m *Metrics) ObserveDelay(provider string, d time.Duration) {
	m.delays.WithLabelValues(provider).Observe(d.Seconds())
	m.history.delay(d)
}

// Tried implements sms.Metrics.
func (m *Metrics) ObserveCall(provider, result string, took time.Duration) {
	m.tries.WithLabelValues(provider, result).Observe(took.Seconds())
}

// Share keeps what is counted by the hour on the shelf, until ctx is done, and reads there what the other copies have.
func (m *Metrics) Share(ctx context.Context, s Shelf) { m.history.share(ctx, s) }

// Handler serves the operator's page, GET /metrics in the formats of Prometheus, and pprof.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	m.pages(mux)
	profiles(mux)
	return guarded(mux)
}
