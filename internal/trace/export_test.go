package trace

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A collector is an OTLP/HTTP receiver that keeps what it is sent.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	status  []int // of the next responses; 200 after these
	calls   []*http.Request
	batches []*tracepb.ResourceSpans
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := readBatch(r)
		if err != nil {
			t.Errorf("a batch is not readable: %v", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls = append(c.calls, r)
		if len(c.status) > 0 {
			w.WriteHeader(c.status[0])
			c.status = c.status[1:]
			return
		}
		c.batches = append(c.batches, sent...)
	}))
	t.Cleanup(c.Close)
	return c
}

func readBatch(r *http.Request) ([]*tracepb.ResourceSpans, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	}
	if err != nil {
		return nil, err
	}
	var sent tracepb.TracesData
	err = proto.Unmarshal(body, &sent)
	return sent.ResourceSpans, err
}

// spans returns the accepted spans by name.
func (c *collector) spans() map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[string]*tracepb.Span)
	for _, batch := range c.batches {
		for _, scope := range batch.ScopeSpans {
			for _, s := range scope.Spans {
				found[s.Name] = s
			}
		}
	}
	return found
}

// open returns a Tracer that is opened with these variables, and its log.
func open(t *testing.T, env ...string) (*Tracer, *bytes.Buffer) {
	t.Helper()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	log := new(bytes.Buffer)
	tracer := Open(slog.New(slog.NewTextHandler(log, nil)), "1.2.3")
	t.Cleanup(tracer.Close)
	return tracer, log
}

func TestExport(t *testing.T) {
	c := newCollector(t)
	c.status = []int{503}
	tracer, _ := open(
		t,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL+"/base/",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20key, x=y",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_SERVICE_NAME=login",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test,service.name=other",
	)
	ctx, outer := tracer.Start(With(t.Context(), parent, "a=1"), Server, "outer")
	inner, span := Start(ctx, Client, "send", "webhook")
	span.Set("otp.provider", "webhook")
	span.Fail("failed")
	p, state := Headers(inner)
	if !strings.HasPrefix(p, "00-"+traceID+"-") || strings.Contains(p, spanID) || state != "a=1" {
		t.Errorf("headers %s and %s; want the trace, and a span of its own", p, state)
	}
	span.End()
	outer.Rename("POST /otp/verify")
	outer.End()
	tracer.Close()

	spans := c.spans()
	o, i := spans["POST /otp/verify"], spans["send webhook"]
	if o == nil || i == nil || len(spans) != 2 {
		t.Fatalf("spans %v; want two", spans)
	}
	checkSpans(t, o, i)
	resource := c.batches[0].Resource.String()
	for _, want := range []string{`"login"`, `"1.2.3"`, `"deployment.environment.name"`, `"telemetry.sdk.name"`} {
		if !strings.Contains(resource, want) {
			t.Errorf("the resource is %s; want %s", resource, want)
		}
	}
	if len(c.calls) != 2 || c.calls[1].URL.Path != "/base/v1/traces" {
		t.Fatalf("%d calls, the last %v; want two to /base/v1/traces", len(c.calls), c.calls[len(c.calls)-1])
	}
	for name, want := range map[string]string{"Api-Key": "a key", "X": "y", "Content-Type": "application/x-protobuf"} {
		if got := c.calls[1].Header.Get(name); got != want {
			t.Errorf("header %s: %q; want %q", name, got, want)
		}
	}
}

// checkSpans checks an exported span in the trace of a caller, and a span within it that failed.
func checkSpans(t *testing.T, outer, inner *tracepb.Span) {
	t.Helper()
	for _, s := range []*tracepb.Span{outer, inner} {
		if got := hex.EncodeToString(s.TraceId); got != traceID {
			t.Errorf("%s is in the trace %s; want %s", s.Name, got, traceID)
		}
	}
	if hex.EncodeToString(outer.ParentSpanId) != spanID || !bytes.Equal(inner.ParentSpanId, outer.SpanId) {
		t.Errorf("parents %x and %x; want the caller, and %x", outer.ParentSpanId, inner.ParentSpanId, outer.SpanId)
	}
	if outer.Kind != tracepb.Span_SPAN_KIND_SERVER || inner.Kind != tracepb.Span_SPAN_KIND_CLIENT {
		t.Errorf("kinds %v and %v; want server and client", outer.Kind, inner.Kind)
	}
	if inner.Status.Code != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("status %v; want an error", inner.Status)
	}
	if inner.StartTimeUnixNano < outer.StartTimeUnixNano || inner.EndTimeUnixNano > outer.EndTimeUnixNano {
		t.Error("the inner span is not within the outer one")
	}
}

func TestSettings(t *testing.T) {
	const (
		otlp      = "OTEL_EXPORTER_OTLP_"
		endpoint  = otlp + "ENDPOINT=http://collector:4318 "
		collector = "http://collector:4318/v1/traces"
	)
	for _, c := range []struct{ env, url, log string }{
		{"", "", ""},
		{endpoint, collector, ""},
		{"OTEL_TRACES_EXPORTER=otlp", "http://localhost:4318/v1/traces", ""},
		{endpoint + otlp + "TRACES_ENDPOINT=https://other/x", "https://other/x", ""},
		{endpoint + otlp + "PROTOCOL=http/protobuf " + otlp + "TIMEOUT=500", collector, ""},
		{endpoint + otlp + "PROTOCOL=grpc " + otlp + "TRACES_PROTOCOL=http/protobuf", collector, ""},
		{endpoint + "OTEL_SDK_DISABLED=TRUE", "", ""},
		{endpoint + "OTEL_TRACES_EXPORTER=none", "", ""},
		{endpoint + "OTEL_TRACES_EXPORTER=zipkin", "", "OTEL_TRACES_EXPORTER"},
		{endpoint + otlp + "PROTOCOL=grpc", "", otlp + "PROTOCOL"},
		{endpoint + otlp + "TIMEOUT=soon", "", otlp + "TIMEOUT"},
		{endpoint + otlp + "COMPRESSION=zstd", "", otlp + "COMPRESSION"},
		{endpoint + otlp + "HEADERS=key=%zz", "", otlp + "HEADERS"},
		{endpoint + otlp + "HEADERS==secret", "", otlp + "HEADERS"},
		{endpoint + otlp + "CERTIFICATE=export_test.go", "", otlp + "CERTIFICATE"},
		{endpoint + otlp + "CLIENT_CERTIFICATE=export_test.go", "", otlp + "CLIENT_CERTIFICATE"},
		{otlp + "ENDPOINT=http://user:secret@collector:4318?key=secret", collector, ""},
		{otlp + "ENDPOINT=collector:4318", "", otlp + "ENDPOINT"},
		{otlp + "ENDPOINT=http://", "", otlp + "ENDPOINT"},
	} {
		t.Run(c.env, func(t *testing.T) {
			tracer, log := open(t, strings.Fields(c.env)...)
			if (tracer != nil) != (c.url != "") {
				t.Errorf("traces are exported: %t; want export to %q", tracer != nil, c.url)
			}
			got := log.String()
			if !strings.Contains(got, c.url) || !strings.Contains(got, c.log) || (c.url+c.log == "") != (got == "") {
				t.Errorf("log %q; want export to %q and the fault %q", got, c.url, c.log)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("the log quotes a value: %s", log)
			}
		})
	}
}

// TestTLS checks that a collector is trusted by the authorities that are named, and by no others.
func TestTLS(t *testing.T) {
	c := newCollector(t)
	secure := httptest.NewTLSServer(c.Config.Handler)
	defer secure.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, env := range []string{"OTEL_EXPORTER_OTLP_CERTIFICATE=", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + file} {
		tracer, _ := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+secure.URL, env)
		_, span := tracer.Start(t.Context(), Server, "request")
		span.End()
		tracer.Close()
		if got := len(c.spans()); got != want {
			t.Errorf("%s: %d spans; want %d", env, got, want)
		}
	}
}

func TestSampler(t *testing.T) {
	c := newCollector(t)
	tracer, _ := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_TRACES_SAMPLER=parentbased_always_off")
	unsampled, span := tracer.Start(t.Context(), Server, "new")
	if span.IsRecording() {
		t.Error("a new trace is recorded, although the sampler is off")
	}
	if _, inner := Start(unsampled, Client, "send", "webhook"); inner != (Span{}) {
		t.Error("a span is recorded within one that is not")
	}
	span.End()
	_, span = tracer.Start(With(t.Context(), parent, ""), Server, "caller's")
	span.End()
	tracer.Close()
	if spans := c.spans(); len(spans) != 1 || spans["caller's"] == nil {
		t.Errorf("spans %v; want the one that the caller sampled", spans)
	}
}

// TestAway checks that a collector that is away for some time costs two log lines, one at each end.
func TestAway(t *testing.T) {
	c := newCollector(t)
	c.status = []int{400, 401, 400}
	tracer, log := open(
		t,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL,
		"OTEL_BSP_SCHEDULE_DELAY=1",
		"OTEL_EXPORTER_OTLP_HEADERS=key=secret",
	)
	exportSpan := func() {
		_, span := tracer.Start(t.Context(), Server, "request")
		span.End()
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		exportSpan()
	}
	tracer.Close()
	text := log.String()
	if strings.Count(text, "WARN") != 1 || !strings.Contains(text, "answered 400") {
		t.Errorf("log %s; want one line that the collector does not accept spans", text)
	}
	if strings.Count(text, "exported again\" lost=3") != 1 {
		t.Errorf("log %s; want one line that it accepts spans again", text)
	}
}

// TestRedirect checks that a redirect is not followed: spans and the key are for the collector alone.
func TestRedirect(t *testing.T) {
	other := newCollector(t)
	c := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer c.Close()
	tracer, log := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=secret")
	_, span := tracer.Start(t.Context(), Server, "request")
	span.End()
	tracer.Close()
	if len(other.calls) > 0 || !strings.Contains(log.String(), "answered 307") {
		t.Errorf("%d calls to the other collector, log %s; want none, and an answer 307", len(other.calls), log)
	}
}

// TestRoomAgain checks that sent spans make room in the queue, even if the collector refused them.
func TestRoomAgain(t *testing.T) {
	c := newCollector(t)
	c.status = []int{400}
	tracer, log := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_MAX_QUEUE_SIZE=10")
	for range 5 {
		for range 10 {
			_, span := tracer.Start(t.Context(), Server, "request")
			span.End()
		}
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tracer.Close()
	if strings.Contains(log.String(), "dropped") || !strings.Contains(log.String(), "lost=10") {
		t.Errorf("log %s; want the first ten lost, and none dropped", log)
	}
}

// TestFull checks that spans beyond the size of the queue are dropped at once, with one log line.
func TestFull(t *testing.T) {
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer slow.Close()
	defer close(hold)
	tracer, log := open(
		t,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+slow.URL,
		"OTEL_BSP_SCHEDULE_DELAY=1",
		"OTEL_BSP_MAX_QUEUE_SIZE=100",
		"OTEL_EXPORTER_OTLP_TIMEOUT=600000",
	)
	began := time.Now()
	for range 10_000 {
		_, span := tracer.Start(t.Context(), Server, "request")
		span.End()
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("10,000 spans took %v; want them not to wait", took)
	}
	if n := strings.Count(log.String(), "spans dropped"); n != 1 {
		t.Errorf("%d lines in the log; want one: %s", n, log)
	}
	began = time.Now()
	tracer.Close()
	if took := time.Since(began); took > closeTimeout+time.Minute {
		t.Errorf("Close took %v; want at most %v", took, closeTimeout)
	}
}
