// Package trace owns the trace that a request is part of: how it is received and passed on (W3C Trace Context), and
// the spans that record where its time went.
//
// A trace that a caller began is passed on whether or not this service exports spans. Without export there are no
// spans: the received headers are passed on unchanged, and Start costs one look into the context. The name
// or an attribute of a span never holds text that a client wrote, nor anything that identifies a person.
package trace

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

const (
	scope    = "dekamond-otp"
	maxState = 512 // characters of a tracestate that is passed on (W3C Trace Context §3.3.1.5)
)

// The names of the headers.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

// With returns a context in the trace that a traceparent and a tracestate describe. A traceparent that is not valid
// leaves ctx as it is, and a tracestate that is not valid is left out.
func With(ctx context.Context, parent, state string) context.Context {
	const size = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if strings.HasPrefix(parent, "00-") {
		if len(parent) != size { // the propagator accepts a dash at the end
			return ctx
		}
		// The propagator refuses unknown flags in version 00, although a flag was added to that version once already.
		// In a later version, whose fields are the same, it clears them.
		parent = "01" + parent[2:]
	}
	if len(state) > maxState {
		state = ""
	}
	return propagation.TraceContext{}.Extract(ctx, &headers{parent, state})
}

// Headers returns the traceparent and the tracestate to pass on. Both are empty where there is no trace.
func Headers(ctx context.Context) (parent, state string) {
	var h headers
	propagation.TraceContext{}.Inject(ctx, &h)
	return h.parent, h.state
}

// Inject adds the headers to a call that this service makes.
func Inject(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// headers carries the two headers between the propagator and this package, for less than the price of a map.
type headers struct{ parent, state string }

func (h *headers) Get(name string) string {
	if name == traceparent {
		return h.parent
	}
	return h.state
}

func (h *headers) Set(name, value string) {
	if name == traceparent {
		h.parent = value
	} else {
		h.state = value
	}
}

func (h *headers) Keys() []string { return []string{traceparent, tracestate} }

// IDs returns the identifiers of the trace and the span for a log line. Both are empty where there is no trace.
func IDs(ctx context.Context) (trace, span string) {
	c := oteltrace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return "", ""
	}
	return c.TraceID().String(), c.SpanID().String()
}
