// Package trace owns the trace that a request is part of: how it comes in and goes out (W3C Trace Context), and the
// spans that tell where its time went.
//
// A trace that a caller began is passed on whether or not this service exports spans. Without export there are no spans:
// what goes out is what came in, none is made up, and Start gives nothing for the price of a look into the context. A name
// or an attribute never holds what a stranger wrote, nor who a person is.
package trace

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

const (
	scope    = "dekamond-otp"
	maxState = 512 // characters of a tracestate that is passed on (W3C Trace Context §3.3.1.5)
)

// With gives a context in the trace of a traceparent and its tracestate. What is not valid is as good as not there.
func With(ctx context.Context, parent, state string) context.Context {
	c, ok := parse(parent)
	if !ok {
		return ctx
	}
	if len(state) <= maxState {
		c.TraceState, _ = oteltrace.ParseTraceState(state) // empty on an error, which spares the traceparent (§3.3.1)
	}
	return oteltrace.ContextWithRemoteSpanContext(ctx, oteltrace.NewSpanContext(c))
}

// parse reads a traceparent (W3C Trace Context §3.2). A later version may have more fields. OpenTelemetry's own parser
// takes a dash at the end of version 00, and does not take flags that are reserved.
func parse(parent string) (c oteltrace.SpanContextConfig, ok bool) {
	const size = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(parent) < size || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' {
		return c, false
	}
	version, versionOK := octet(parent[:2])
	flags, flagsOK := octet(parent[53:size])
	trace, traceErr := oteltrace.TraceIDFromHex(parent[3:35]) // neither takes zeros or capitals
	span, spanErr := oteltrace.SpanIDFromHex(parent[36:52])
	if !versionOK || !flagsOK || traceErr != nil || spanErr != nil || version == 0xff {
		return c, false
	}
	if len(parent) > size && (version == 0 || parent[size] != '-') {
		return c, false
	}
	known := oteltrace.TraceFlags(flags) & (oteltrace.FlagsSampled | oteltrace.FlagsRandom)
	return oteltrace.SpanContextConfig{TraceID: trace, SpanID: span, TraceFlags: known}, true
}

func octet(s string) (byte, bool) {
	var b [1]byte
	_, err := hex.Decode(b[:], []byte(s))
	return b[0], err == nil && s == strings.ToLower(s)
}

// Headers gives the traceparent and the tracestate to pass on; both are empty where there is no trace.
func Headers(ctx context.Context) (parent, state string) {
	c := oteltrace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return "", ""
	}
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String(), c.TraceState().String()
}

// Inject adds the headers to a call that this service makes.
func Inject(ctx context.Context, h http.Header) {
	parent, state := Headers(ctx)
	if parent != "" {
		h.Set("Traceparent", parent)
	}
	if state != "" {
		h.Set("Tracestate", state)
	}
}

// IDs are the trace and the span for a log line; both are empty where there is no trace.
func IDs(ctx context.Context) (trace, span string) {
	c := oteltrace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return "", ""
	}
	return c.TraceID().String(), c.SpanID().String()
}

// Kinds of spans.
const (
	Server   = oteltrace.SpanKindServer
	Client   = oteltrace.SpanKindClient
	Consumer = oteltrace.SpanKindConsumer
)

// A Span is a piece of work. The zero Span is one that nobody wants to know of.
type Span struct{ span oteltrace.Span }

// Start begins a piece of the work that the span of ctx stands for, named by what is done, and where. Without a span that
// is exported it does nothing.
func Start(ctx context.Context, kind oteltrace.SpanKind, operation, target string) (context.Context, Span) {
	return start(ctx, kind, operation, target, time.Time{})
}

// Ended is Start for a piece of work that began in the past and has just ended, so that the caller only sets attributes and
// ends the span. Unlike Start it can be called by an observer of the work.
func Ended(ctx context.Context, kind oteltrace.SpanKind, operation, target string, began time.Time) Span {
	_, span := start(ctx, kind, operation, target, began)
	return span
}

// start starts a span at a time; the zero time is now.
func start(
	ctx context.Context, kind oteltrace.SpanKind, operation, target string, began time.Time,
) (context.Context, Span) {
	outer := oteltrace.SpanFromContext(ctx)
	if !outer.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := outer.TracerProvider().Tracer(scope).Start(ctx, operation+" "+target,
		oteltrace.WithSpanKind(kind), oteltrace.WithTimestamp(began))
	return ctx, Span{span}
}

// Wanted tells whether the span is exported, for what is not free to find out.
func (s Span) Wanted() bool { return s.span != nil && s.span.IsRecording() }

// Rename gives the span the name that was not known at its start.
func (s Span) Rename(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Set sets an attribute, named as in OpenTelemetry's semantic conventions where they have one.
func (s Span) Set(name, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// SetInt is Set for a number.
func (s Span) SetInt(name string, value int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(name, value))
	}
}

// Fail marks the work as failed, by a word for the kind of failure: the text of an error may quote what it should not.
func (s Span) Fail(kind string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, "")
		s.Set("error.type", kind)
	}
}

// End ends the work.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}
