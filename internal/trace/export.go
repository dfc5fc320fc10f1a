package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	closeTimeout = 2 * time.Second
	maxCalls     = 3           // for one batch
	pause        = time.Second // before the second call; twice that before the third
	idleTimeout  = 90 * time.Second
	maxResponse  = 64 << 10 // bytes that are read of a response, so that its connection can be used again
)

// A Tracer begins spans that have no parent in this service, and exports all spans. The nil Tracer exports nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	abandon  context.CancelFunc
}

// Open returns the Tracer that the OTEL_… variables ask for, or nil if they ask for none. The official SDK reads
// OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_… and the limits of spans itself. This
// package reads the variables of the exporter, because the official one over HTTP, otlptracehttp v1.47, links gRPC
// and makes the binary 15.7 MB larger.
//
// These variables are often set for many services at once, and a fault in them must not keep anyone from logging in:
// it is logged, and nothing is exported.
func Open(log *slog.Logger, version string) *Tracer {
	d, err := readDestination()
	if err != nil {
		log.Warn("traces are not exported", "error", err.Error())
	}
	if d == nil || err != nil {
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err.Error()) }))
	closing, abandon := context.WithCancel(context.Background())
	e := newExporter(closing, d, log)
	r, err := resource.New(closing,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", scope), attribute.String("service.version", version)),
		resource.WithFromEnv(),
	)
	if err != nil {
		log.WarnContext(closing, "traces", "error", err.Error())
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(r), sdktrace.WithSpanProcessor(e))
	endpoint := &url.URL{Scheme: d.url.Scheme, Host: d.url.Host, Path: d.url.Path} // without a password or a query
	log.InfoContext(closing, "traces are exported", "endpoint", endpoint.String())
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), abandon: abandon}
}

// Start begins a span in the trace of ctx, or in a new trace if ctx has none. The sampler decides whether it is
// exported.
func (t *Tracer) Start(ctx context.Context, kind oteltrace.SpanKind, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name, oteltrace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Close exports the spans that wait, for at most two seconds.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has logged what it could not send
	t.abandon()
}

// An exporter sends ended spans to the destination. It is both the SDK's processor, which makes batches in the
// background and whose overflow it logs, and the client of otlptrace, which turns spans into OTLP.
type exporter struct {
	sdktrace.SpanProcessor
	destination
	client  *http.Client
	log     *slog.Logger
	closing context.Context // done when Close gives up on the spans that wait

	room    int64 // spans that the processor's queue holds
	waiting atomic.Int64
	lost    atomic.Int64
	full    atomic.Bool // the queue is full, and that is logged
	away    atomic.Bool // the collector does not accept spans, and that is logged
}

func newExporter(closing context.Context, d *destination, log *slog.Logger) *exporter {
	e := &exporter{
		destination: *d,
		closing:     closing,
		log:         log,
		room:        queueSize(),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:             http.ProxyFromEnvironment,
				TLSClientConfig:   d.tls,
				ForceAttemptHTTP2: true,
				IdleConnTimeout:   idleTimeout,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the headers may hold a key, which is for the collector alone
			},
		},
	}
	e.SpanProcessor = sdktrace.NewBatchSpanProcessor(otlptrace.NewUnstarted(e))
	return e
}

// queueSize returns the size of the processor's queue. The processor drops the spans beyond it without a log line.
func queueSize() int64 {
	if n, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		return int64(n)
	}
	return sdktrace.DefaultMaxQueueSize
}

// OnEnd implements sdktrace.SpanProcessor.
func (e *exporter) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if e.waiting.Add(1) <= e.room {
		e.SpanProcessor.OnEnd(s)
		return
	}
	e.waiting.Add(-1)
	e.lost.Add(1)
	if e.full.CompareAndSwap(false, true) {
		e.log.Warn("spans dropped: more wait for the collector than OTEL_BSP_MAX_QUEUE_SIZE")
	}
}

// Start implements otlptrace.Client.
func (e *exporter) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (e *exporter) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. It logs when the collector stops accepting spans and when it accepts them
// again, and returns no error.
func (e *exporter) UploadTraces(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	spans := 0
	for _, resource := range batch {
		for _, scope := range resource.ScopeSpans {
			spans += len(scope.Spans)
		}
	}
	defer e.waiting.Add(-int64(spans))
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	defer context.AfterFunc(e.closing, cancel)()
	if err := e.send(ctx, batch); err != nil {
		e.lost.Add(int64(spans))
		if !e.away.Swap(true) {
			e.log.WarnContext(ctx, "spans lost: the collector does not accept them", "error", err.Error())
		}
		return nil
	}
	full, away := e.full.Swap(false), e.away.Swap(false)
	if full || away {
		e.log.InfoContext(ctx, "spans are exported again", "lost", e.lost.Swap(0))
	}
	return nil
}

// retryable are the statuses after which the same batch may be accepted (OTLP specification, OTLP/HTTP Response).
var retryable = []int{
	http.StatusTooManyRequests,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// send delivers a batch, in at most maxCalls calls.
func (e *exporter) send(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	body, err := e.encode(batch)
	if err != nil {
		return err
	}
	for calls := 1; ; calls++ {
		status, wait, err := e.call(ctx, body)
		if err != nil {
			return err
		}
		if status >= 200 && status <= 299 {
			return nil
		}
		if calls == maxCalls || !slices.Contains(retryable, status) {
			return fmt.Errorf("answered %d", status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("answered %d", status)
		case <-time.After(max(wait, time.Duration(calls)*pause)):
		}
	}
}

// call makes one call. It returns the status and how long the collector asks to wait, an hour at most.
func (e *exporter) call(ctx context.Context, body []byte) (status int, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url.String(), bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	r.Header = e.header
	response, err := e.client.Do(r)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return 0, 0, failed.Err // without the address, which may hold a password
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxResponse)
	_ = response.Body.Close()
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		wait = time.Duration(min(seconds, 3600)) * time.Second
	}
	return response.StatusCode, wait, nil
}

// encode returns the body of a call. It marshals a TracesData, whose bytes equal those of the protocol's
// ExportTraceServiceRequest, a type that comes with gRPC.
func (e *exporter) encode(batch []*tracepb.ResourceSpans) ([]byte, error) {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: batch})
	if err != nil || !e.gzip {
		return body, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body)
	err = w.Close()
	return b.Bytes(), err
}
