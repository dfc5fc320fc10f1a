package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"dekamond-otp/internal/trace"
)

// collect returns a tracer, and a function that closes it and returns what it has exported.
func collect(t *testing.T) (tracer *trace.Tracer, exported func() *tracepb.TracesData) {
	var sent tracepb.TracesData
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tracer = trace.Open(slog.New(slog.DiscardHandler), "")
	return tracer, func() *tracepb.TracesData { tracer.Close(); return &sent }
}

// TestSpans checks the spans of a request that panics and of one that matches no route, and that health checks have
// none.
func TestSpans(t *testing.T) {
	tracer, exported := collect(t)
	s := newServer(t, Options{
		Tracer: tracer,
		Checks: []Check{{Name: "none", Ping: func(context.Context) error { return nil }}},
	})
	for _, r := range []*http.Request{
		httptest.NewRequest("POST", "/otp/request", strings.NewReader(`{"phone":"+989121234567"}`)),
		httptest.NewRequest("GET", "/a-secret?a=secret", nil),
		httptest.NewRequest("GET", "/healthz", nil),
		httptest.NewRequest("GET", "/readyz", nil),
	} {
		r.Header.Set("Content-Type", "application/json")
		if _, err := s.app.Test(r, -1); err != nil {
			t.Fatal(err)
		}
	}
	sent := exported()
	if strings.Contains(sent.String(), "secret") {
		t.Errorf("the spans hold parts of the URL: %v", sent)
	}
	spans := sent.ResourceSpans[0].ScopeSpans[0].Spans
	if len(spans) != 2 || spans[0].Name != "POST /otp/request" || spans[1].Name != "GET" {
		t.Fatalf("spans %v; want one for the call and one for the unknown path", spans)
	}
	if got := spans[0].Status.GetCode(); got != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("status %v of the span of a 500; want an error", got)
	}
	if got := spans[1].Status.GetCode(); got != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("status %v of the span of a 404; want none", got)
	}
}
