package trace

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Kinds of spans.
const (
	Server   = oteltrace.SpanKindServer
	Client   = oteltrace.SpanKindClient
	Consumer = oteltrace.SpanKindConsumer
)

// A Span is a piece of work that is timed. The zero Span records nothing.
type Span struct{ span oteltrace.Span }

// Start begins a span within the span of ctx, named by the operation and its target. Without a span in ctx that is
// exported it does nothing.
func Start(ctx context.Context, kind oteltrace.SpanKind, operation, target string) (context.Context, Span) {
	return start(ctx, kind, operation, target, time.Time{})
}

// Ended is Start for work that began in the past and has just ended: the caller sets attributes and ends the span.
// It serves an observer that is called after the work.
func Ended(ctx context.Context, kind oteltrace.SpanKind, operation, target string, began time.Time) Span {
	_, span := start(ctx, kind, operation, target, began)
	return span
}

// start begins a span at a time; the zero time means now.
func start(
	ctx context.Context, kind oteltrace.SpanKind, operation, target string, began time.Time,
) (context.Context, Span) {
	outer := oteltrace.SpanFromContext(ctx)
	if !outer.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := outer.TracerProvider().Tracer(scope).Start(
		ctx,
		operation+" "+target,
		oteltrace.WithSpanKind(kind),
		oteltrace.WithTimestamp(began),
	)
	return ctx, Span{span}
}

// IsRecording reports whether the span is exported. Ask it before computing an attribute that costs something.
func (s Span) IsRecording() bool { return s.span != nil && s.span.IsRecording() }

// Rename replaces a name that was not fully known when the span began.
func (s Span) Rename(name string) {
	if s.span != nil {
		s.span.SetName(name)
	}
}

// Set sets an attribute, named as in OpenTelemetry's semantic conventions where they have a name for it.
func (s Span) Set(name, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// SetInt sets an attribute that is a number.
func (s Span) SetInt(name string, value int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(name, value))
	}
}

// Fail marks the span as failed. The kind is a word for the failure, not the text of an error, which may quote a
// secret or an address.
func (s Span) Fail(kind string) {
	if s.span != nil {
		s.span.SetStatus(codes.Error, "")
		s.Set("error.type", kind)
	}
}

// End ends the span.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}
