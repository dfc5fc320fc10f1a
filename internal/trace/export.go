package trace

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
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
	sendTimeout  = 10 * time.Second // unless OTEL_EXPORTER_OTLP_TIMEOUT says so
	closeTimeout = 2 * time.Second
	tries        = 3
	pause        = time.Second // before the second try, twice that before the third
	idleTimeout  = 90 * time.Second
	maxAnswer    = 64 << 10 // bytes that are read, to use the connection again
)

// A Tracer begins the spans that no other span is around, and exports all of them. The nil Tracer exports nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	abandon  context.CancelFunc
}

// Open gives the tracer that the OTEL_… variables ask for, nil if they ask for none. The official SDK reads
// OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_… and the limits of spans by itself; the
// others are read here, because the official exporter over HTTP links all of gRPC in, for 17 MB.
//
// These variables are often set for many services at once, and nobody should be unable to log in because of
// them: what is wrong with them is logged, and then nothing is exported.
func Open(log *slog.Logger, version string) *Tracer {
	t, err := readTarget()
	if err != nil {
		log.Warn("traces are not exported", "error", err.Error())
	}
	if t == nil || err != nil {
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "error", err.Error()) }))
	work, abandon := context.WithCancel(context.Background())
	p := &pipe{target: *t, log: log, work: work, room: queueSize(), client: &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t.tls, ForceAttemptHTTP2: true, IdleConnTimeout: idleTimeout},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers may hold a key
	}}
	about, err := resource.New(work, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", scope), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		log.Warn("traces", "error", err.Error())
	}
	p.SpanProcessor = sdktrace.NewBatchSpanProcessor(otlptrace.NewUnstarted(p))
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSpanProcessor(p))
	log.Info("traces are exported", "endpoint", (&url.URL{Scheme: t.url.Scheme, Host: t.url.Host, Path: t.url.Path}).String())
	return &Tracer{provider: provider, tracer: provider.Tracer(scope), abandon: abandon}
}

// Start begins a piece of work, in the trace of ctx or in a new one, if the sampler wants it.
func (t *Tracer) Start(ctx context.Context, kind oteltrace.SpanKind, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, name, oteltrace.WithSpanKind(kind))
	return ctx, Span{span}
}

// Close exports what has not been exported yet, as far as that takes no longer than two seconds.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what does not get through is logged where it happens
	t.abandon()
}

// A target is where spans go.
type target struct {
	url     *url.URL
	header  http.Header
	timeout time.Duration // of one batch, with the tries that it takes
	gzip    bool
	tls     *tls.Config
}

// readTarget reads the variables of the exporter (OpenTelemetry specification, OTLP Exporter Configuration). It gives nil
// where they ask for no export. Its errors quote no value, which may hold a key.
func readTarget() (*target, error) {
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	own, all := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || exporter == "none" || own+all+exporter == "" {
		return nil, nil
	}
	if exporter != "" && exporter != "otlp" {
		return nil, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	}
	if p := option("PROTOCOL"); p != "" && p != "http/protobuf" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf")
	}
	u, err := url.Parse(cmp.Or(own, all, "http://localhost:4318"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT must be http:// or https:// and a host")
	}
	if own == "" { // the other is used as it is
		u = u.JoinPath("v1/traces")
	}
	t := &target{url: u, header: make(http.Header), timeout: sendTimeout}
	if text := option("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, errors.New("OTEL_EXPORTER_OTLP_TIMEOUT must be a number of milliseconds")
		}
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	for pair := range strings.SplitSeq(option("HEADERS"), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(text))
		if name = strings.TrimSpace(name); err != nil || name == "" {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value,…, with values as in URLs")
		}
		t.header.Set(name, value)
	}
	switch option("COMPRESSION") {
	case "", "none":
	case "gzip":
		t.gzip = true
	default:
		return nil, errors.New("OTEL_EXPORTER_OTLP_COMPRESSION must be gzip or none")
	}
	if t.tls, err = readTLS(option("CERTIFICATE"), option("CLIENT_CERTIFICATE"), option("CLIENT_KEY")); err != nil {
		return nil, err
	}
	t.header.Set("Content-Type", "application/x-protobuf")
	t.header.Set("User-Agent", scope)
	if t.gzip {
		t.header.Set("Content-Encoding", "gzip")
	}
	return t, nil
}

// readTLS reads PEM files: the authorities to believe, and what this service shows of itself. Any may be empty.
func readTLS(authorities, certificate, key string) (*tls.Config, error) {
	c := new(tls.Config)
	if authorities != "" {
		text, err := os.ReadFile(authorities)
		c.RootCAs = x509.NewCertPool()
		if err != nil || !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("OTEL_EXPORTER_OTLP_CERTIFICATE must be a PEM file of certificates")
		}
	}
	if certificate+key != "" {
		own, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, errors.New("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY must be PEM files that belong together")
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// option gives the variable of the exporter of traces, or else that of all exporters.
func option(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// A pipe takes spans that have ended to the target. It is the SDK's processor, which makes batches in the background, with
// a bound that it tells of, and the client of the official exporter, which turns spans into OTLP.
type pipe struct {
	sdktrace.SpanProcessor
	target
	client *http.Client
	log    *slog.Logger
	work   context.Context // done when there is no more time

	room    int64 // for spans that wait: what the processor has
	waiting atomic.Int64
	lost    atomic.Int64
	full    atomic.Bool // and said so
	away    atomic.Bool // and said so
}

// queueSize is the processor's, which drops what is over it without a word.
func queueSize() int64 {
	if n, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		return int64(n)
	}
	return sdktrace.DefaultMaxQueueSize
}

// OnEnd implements sdktrace.SpanProcessor.
func (p *pipe) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if p.waiting.Add(1) <= p.room {
		p.SpanProcessor.OnEnd(s)
		return
	}
	p.waiting.Add(-1)
	p.lost.Add(1)
	if p.full.CompareAndSwap(false, true) {
		p.log.Warn("spans dropped: more wait for the collector than OTEL_BSP_MAX_QUEUE_SIZE")
	}
}

// Start implements otlptrace.Client.
func (p *pipe) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (p *pipe) Stop(context.Context) error { return nil }

// UploadTraces implements otlptrace.Client. It logs when the collector goes away and when it is back.
func (p *pipe) UploadTraces(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	spans := 0
	for _, of := range batch {
		for _, in := range of.ScopeSpans {
			spans += len(in.Spans)
		}
	}
	defer p.waiting.Add(-int64(spans))
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	defer context.AfterFunc(p.work, cancel)()
	if err := p.send(ctx, batch); err != nil {
		p.lost.Add(int64(spans))
		if !p.away.Swap(true) {
			p.log.Warn("spans lost: the collector does not take them", "error", err.Error())
		}
		return nil
	}
	full, away := p.full.Swap(false), p.away.Swap(false)
	if full || away {
		p.log.Info("spans are exported again", "lost", p.lost.Swap(0))
	}
	return nil
}

// send makes the call, and again where the answer asks for it (OTLP specification, OTLP/HTTP Response).
func (p *pipe) send(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	body, err := p.encode(batch)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header = p.header
		answer, err := p.client.Do(r)
		if failed, ok := errors.AsType[*url.Error](err); ok {
			return failed.Err // without the address
		}
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
		_ = answer.Body.Close()
		if answer.StatusCode >= 200 && answer.StatusCode <= 299 {
			return nil
		}
		if try == tries || !slices.Contains(later, answer.StatusCode) {
			return fmt.Errorf("answered %d", answer.StatusCode)
		}
		wait := time.Duration(try) * pause
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
			wait = max(wait, time.Duration(min(seconds, 3600))*time.Second)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("answered %d", answer.StatusCode)
		case <-time.After(wait):
		}
	}
}

// later are the statuses after which the same batch may be taken.
var later = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// encode gives what TracesData and the ExportTraceServiceRequest of the protocol have in common, on the wire all of it.
func (p *pipe) encode(batch []*tracepb.ResourceSpans) ([]byte, error) {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: batch})
	if err != nil || !p.gzip {
		return body, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body)
	err = w.Close()
	return b.Bytes(), err
}
