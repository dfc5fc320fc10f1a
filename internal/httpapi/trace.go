package httpapi

import (
	"bytes"
	"context"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"dekamond-otp/internal/trace"
)

// withTrace returns a context in the trace that the headers name. More than one traceparent is none (W3C Trace Context
// §3.2).
func withTrace(ctx context.Context, h *fasthttp.RequestHeader) context.Context {
	parents := h.PeekAll("Traceparent")
	if len(parents) != 1 {
		return ctx
	}
	parent := string(parents[0])
	return trace.With(ctx, parent, string(bytes.Join(h.PeekAll("Tracestate"), []byte(","))))
}

// startSpan starts the span of a request. Health checks have none.
func (s *Server) startSpan(ctx context.Context, c *fiber.Ctx) (context.Context, trace.Span) {
	if path := c.Path(); path == "/healthz" || path == "/readyz" {
		return ctx, trace.Span{}
	}
	return s.tracer.Start(ctx, trace.Server, "request")
}

// describe names the span and sets its attributes. They hold the route and the status, but nothing of the request's URL
// or body.
func describe(span trace.Span, c *fiber.Ctx, route string) {
	if !span.IsRecording() {
		return
	}
	method, status := methodOf(c), c.Response().StatusCode()
	span.Set("http.request.method", method)
	span.SetInt("http.response.status_code", status)
	if span.Rename(method); route != "none" {
		span.Rename(method + " " + route)
		span.Set("http.route", route)
	}
	if status >= 500 {
		span.Fail(strconv.Itoa(status))
	}
}
