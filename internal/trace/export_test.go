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

// A collector takes what an OTLP/HTTP receiver takes.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	status  []int // of the next answers; then 200
	calls   []*http.Request
	batches []*tracepb.ResourceSpans
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var z *gzip.Reader
			if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(z)
			}
		}
		var sent tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
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
		c.batches = append(c.batches, sent.ResourceSpans...)
	}))
	t.Cleanup(c.Close)
	return c
}

// spans are those taken so far, by name.
func (c *collector) spans() map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[string]*tracepb.Span)
	for _, b := range c.batches {
		for _, in := range b.ScopeSpans {
			for _, s := range in.Spans {
				found[s.Name] = s
			}
		}
	}
	return found
}

// open gives a tracer with these variables.
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
	tracer, _ := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL+"/base/", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20key, x=y", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_SERVICE_NAME=login", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test,service.name=other")
	ctx, outer := tracer.Start(With(t.Context(), parent, "a=1"), Server, "outer")
	inner, span := Start(ctx, Client, "send", "webhook")
	span.Set("otp.provider", "webhook")
	span.Fail("failed")
	if p, state := Headers(inner); !strings.HasPrefix(p, "00-"+traceID+"-") || strings.Contains(p, spanID) || state != "a=1" {
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
	for _, s := range []*tracepb.Span{o, i} {
		if got := hex.EncodeToString(s.TraceId); got != traceID {
			t.Errorf("%s is in the trace %s; want %s", s.Name, got, traceID)
		}
	}
	if hex.EncodeToString(o.ParentSpanId) != spanID || !bytes.Equal(i.ParentSpanId, o.SpanId) {
		t.Errorf("parents %x and %x; want the caller, and %x", o.ParentSpanId, i.ParentSpanId, o.SpanId)
	}
	if o.Kind != tracepb.Span_SPAN_KIND_SERVER || i.Kind != tracepb.Span_SPAN_KIND_CLIENT || i.Status.Code != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("kinds %v, %v and status %v", o.Kind, i.Kind, i.Status)
	}
	if i.StartTimeUnixNano < o.StartTimeUnixNano || i.EndTimeUnixNano > o.EndTimeUnixNano {
		t.Error("the inner span is not within the outer one")
	}
	about := c.batches[0].Resource.String()
	for _, want := range []string{`"login"`, `"1.2.3"`, `"deployment.environment.name"`, `"telemetry.sdk.name"`} {
		if !strings.Contains(about, want) {
			t.Errorf("the resource is %s; want %s", about, want)
		}
	}
	if len(c.calls) != 2 || c.calls[1].URL.Path != "/base/v1/traces" || c.calls[1].Header.Get("Api-Key") != "a key" ||
		c.calls[1].Header.Get("X") != "y" || c.calls[1].Header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("%d calls, the last %v; want it twice, with the headers", len(c.calls), c.calls[len(c.calls)-1])
	}
}

func TestSettings(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for _, c := range []struct{ env, url, log string }{
		{"", "", ""},
		{endpoint, "http://collector:4318/v1/traces", ""},
		{"OTEL_TRACES_EXPORTER=otlp", "http://localhost:4318/v1/traces", ""},
		{endpoint + " OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://other/x", "https://other/x", ""},
		{endpoint + " OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_TIMEOUT=500", "http://collector:4318/v1/traces", ""},
		{endpoint + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf", "http://collector:4318/v1/traces", ""},
		{endpoint + " OTEL_SDK_DISABLED=TRUE", "", ""},
		{endpoint + " OTEL_TRACES_EXPORTER=none", "", ""},
		{endpoint + " OTEL_TRACES_EXPORTER=zipkin", "", "OTEL_TRACES_EXPORTER"},
		{endpoint + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "", "OTEL_EXPORTER_OTLP_PROTOCOL"},
		{endpoint + " OTEL_EXPORTER_OTLP_TIMEOUT=soon", "", "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{endpoint + " OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "", "OTEL_EXPORTER_OTLP_COMPRESSION"},
		{endpoint + " OTEL_EXPORTER_OTLP_HEADERS=key=%zz", "", "OTEL_EXPORTER_OTLP_HEADERS"},
		{endpoint + " OTEL_EXPORTER_OTLP_HEADERS==secret", "", "OTEL_EXPORTER_OTLP_HEADERS"},
		{endpoint + " OTEL_EXPORTER_OTLP_CERTIFICATE=export_test.go", "", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		{endpoint + " OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=export_test.go", "", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:secret@collector:4318?key=secret", "http://collector:4318/v1/traces", ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "", "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://", "", "OTEL_EXPORTER_OTLP_ENDPOINT"},
	} {
		t.Run(c.env, func(t *testing.T) {
			tracer, log := open(t, strings.Fields(c.env)...)
			if got := log.String(); (tracer != nil) != (c.url != "") || !strings.Contains(got, c.url) || !strings.Contains(got, c.log) || (c.url+c.log == "") != (got == "") {
				t.Errorf("log %q; want export to %q and the fault %q", got, c.url, c.log)
			}
			if strings.Contains(log.String(), "secret") {
				t.Errorf("the log quotes a value: %s", log)
			}
		})
	}
}

// TestTLS holds that a collector is believed by the authorities that are named, and by no others.
func TestTLS(t *testing.T) {
	c := newCollector(t)
	secure := httptest.NewTLSServer(c.Config.Handler)
	defer secure.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
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
	if span.Wanted() {
		t.Error("a trace of its own is wanted; want none by the sampler")
	}
	if _, inner := Start(unsampled, Client, "send", "webhook"); inner != (Span{}) {
		t.Error("within a span that is not wanted is one")
	}
	span.End()
	_, span = tracer.Start(With(t.Context(), parent, ""), Server, "caller's")
	span.End()
	tracer.Close()
	if spans := c.spans(); len(spans) != 1 || spans["caller's"] == nil {
		t.Errorf("spans %v; want the one that the caller wants", spans)
	}
}

// TestAway holds that a collector that is away costs two lines in the log, and a little memory.
func TestAway(t *testing.T) {
	c := newCollector(t)
	c.status = []int{400, 401, 400}
	tracer, log := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_EXPORTER_OTLP_HEADERS=key=secret")
	one := func() {
		_, span := tracer.Start(t.Context(), Server, "request")
		span.End()
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		one()
	}
	tracer.Close()
	text := log.String()
	if strings.Count(text, "WARN") != 1 || !strings.Contains(text, "answered 400") || strings.Count(text, "exported again\" lost=3") != 1 {
		t.Errorf("log %s; want one line that it is away and one that it is back", text)
	}
}

// TestRedirect holds that spans and the key of the collector go nowhere else.
func TestRedirect(t *testing.T) {
	other := newCollector(t)
	c := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer c.Close()
	tracer, log := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=secret")
	_, span := tracer.Start(t.Context(), Server, "request")
	span.End()
	tracer.Close()
	if len(other.calls) > 0 || !strings.Contains(log.String(), "answered 307") {
		t.Errorf("%d calls to where the collector points, log %s; want none, and that it answered 307", len(other.calls), log)
	}
}

// TestRoomAgain holds that spans that were sent make room for others, also where the collector did not take them.
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

// TestFull holds that more spans than the queue has room for are dropped, at once, with one line.
func TestFull(t *testing.T) {
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer slow.Close()
	defer close(hold)
	tracer, log := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+slow.URL, "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=100",
		"OTEL_EXPORTER_OTLP_TIMEOUT=600000")
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
