package httpapi

import (
	"bytes"
	"context"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"dekamond-otp/internal/trace"
)

// taken gives a context in the trace that the headers name. Two traceparents name none (W3C Trace Context §3.2).
func taken(ctx context.Context, h *fasthttp.RequestHeader) context.Context {
	parents := h.PeekAll("Traceparent")
	if len(parents) != 1 {
		return ctx
	}
	parent := string(parents[0])
	return trace.With(ctx, parent, string(bytes.Join(h.PeekAll("Tracestate"), []byte(","))))
}

// span begins the span of a request. Those who only ask whether the service is well have none.
func (s *Server) span(ctx context.Context, c *fiber.Ctx) (context.Context, trace.Span) {
	if path := c.Path(); path == "/healthz" || path == "/readyz" {
		return ctx, trace.Span{}
	}
	return s.Tracer.Start(ctx, trace.Server, "request")
}

// describe says what the request was: the route, but nothing of what its address or body held.
func describe(span trace.Span, c *fiber.Ctx, route string) {
	if !span.Wanted() {
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
