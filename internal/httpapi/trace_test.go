package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/trace"
)

type uncounted struct{}

func (uncounted) ObserveRequest(string, string, int, time.Duration) {}
func (uncounted) CountProblem(string, string)                       {}

// A metrics keeps the routes of what was answered.
type metrics struct {
	uncounted
	routes []string
}

func (t *metrics) ObserveRequest(method, route string, _ int, _ time.Duration) {
	t.routes = append(t.routes, method+" "+route)
}

// TestRoutes holds that a request is counted by its pattern, and that what has none is not taken for the login page.
func TestRoutes(t *testing.T) {
	var counted metrics
	s := New(Options{Log: slog.New(slog.DiscardHandler), Metrics: &counted, CORSOrigins: []string{"https://app.example.com"}, LoginPage: new(LoginPage)})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/", nil),
		httptest.NewRequest("GET", "/hooks/a-name/a-secret", nil),
		httptest.NewRequest("GET", "/a-secret", nil),
		httptest.NewRequest("OPTIONS", "/otp/request", nil),
		httptest.NewRequest("MAKE", "/otp/request", nil),
	} {
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "traceparent")
		response, err := s.app.Test(r)
		if err != nil {
			t.Fatal(err)
		}
		if allowed := response.Header.Get("Access-Control-Allow-Headers"); r.Method == "OPTIONS" && !strings.Contains(allowed, "Traceparent,Tracestate") {
			t.Errorf("pages of others may send %q; want the trace too", allowed)
		}
	}
	want := []string{"GET /", "GET /hooks/:provider/:secret", "GET none", "OPTIONS none", "TRACE none"}
	if !slices.Equal(counted.routes, want) {
		t.Errorf("counted %q; want %q", counted.routes, want)
	}
}

// TestSpans holds what the spans of requests say: of one that fails, here for want of a service, of one to nowhere, and of
// those who only ask whether the service is well.
func TestSpans(t *testing.T) {
	var sent tracepb.TracesData
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	log := slog.New(slog.DiscardHandler)
	tracer := trace.Open(log, "")
	s := New(Options{Phones: phone.NewParser(""), Log: log, Metrics: uncounted{}, Tracer: tracer, Checks: []Check{{"none", func(context.Context) error { return nil }}}})
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", "/otp/request", strings.NewReader(`{"phone":"+989121234567"}`)),
		httptest.NewRequest("GET", "/a-secret?a=secret", nil),
		httptest.NewRequest("GET", "/healthz", nil),
		httptest.NewRequest("GET", "/readyz", nil),
	} {
		r.Header.Set("Content-Type", "application/json")
		if _, err := s.app.Test(r); err != nil {
			t.Fatal(err)
		}
	}
	tracer.Close()
	if strings.Contains(sent.String(), "secret") {
		t.Errorf("the spans hold what was asked: %v", &sent)
	}
	spans := sent.ResourceSpans[0].ScopeSpans[0].Spans
	if len(spans) != 2 || spans[0].Name != "POST /otp/request" || spans[1].Name != "GET" {
		t.Fatalf("spans %v; want that of the call and that of nothing", spans)
	}
	if failed, unknown := spans[0].Status.GetCode(), spans[1].Status.GetCode(); failed != tracepb.Status_STATUS_CODE_ERROR || unknown != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("statuses %v and %v; want an error for 500 and none for 404", failed, unknown)
	}
}
