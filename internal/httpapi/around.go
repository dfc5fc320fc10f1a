package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"dekamond-otp/internal/requestid"
	"dekamond-otp/internal/trace"
)

// around runs before and after every handler. It gives the request its identifier, its deadline and its span, turns
// errors and panics into answers, and writes the access log.
func (s *Server) around(c *fiber.Ctx) error {
	began := time.Now()
	s.prepare(c)
	ctx, cancel := context.WithTimeout(c.UserContext(), s.answerWithin())
	defer cancel()
	ctx, span := s.startSpan(ctx, c)
	defer span.End()
	c.SetUserContext(ctx)
	err := runHandler(c)
	route := routeOf(c, err)
	if err != nil {
		if err := s.fail(c, err); err != nil {
			return err
		}
	}
	describe(span, c, route)
	took := time.Since(began)
	s.metrics.ObserveRequest(methodOf(c), route, c.Response().StatusCode(), took)
	s.logAccess(ctx, c, route, took)
	return nil
}

// prepare gives the request its identifier and sets the headers of every answer. The error handler calls it for
// requests that could not be read, which never reach around.
func (s *Server) prepare(c *fiber.Ctx) {
	id := uuid.New().String()
	c.SetUserContext(withTrace(requestid.With(context.Background(), id), &c.Request().Header))
	c.Set("X-Request-ID", id)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
}

// runHandler runs the rest of the request's handlers and returns a panic as an error.
func runHandler(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return c.Next()
}

// A panicError is a panic in a handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// methodOf returns the request's method. Fiber's own string would not outlive the request, as metrics need it to.
func methodOf(c *fiber.Ctx) string {
	return fiber.DefaultMethods[max(0, slices.Index(fiber.DefaultMethods, c.Method()))]
}

// routeOf returns the pattern of the request's route. It returns "none" for a request that matches no route or cannot
// be read, and for a CORS preflight.
func routeOf(c *fiber.Ctx, err error) string {
	if _, unrouted := errors.AsType[*fiber.Error](err); unrouted || c.Method() == fiber.MethodOptions {
		return "none"
	}
	return c.Route().Path
}

// logAccess writes the request's line of the access log.
func (s *Server) logAccess(ctx context.Context, c *fiber.Ctx, route string, took time.Duration) {
	level := slog.LevelInfo
	if s.quiet[route] {
		level = slog.LevelDebug
	}
	s.log.LogAttrs(ctx, level, "request",
		slog.String("method", c.Method()),
		slog.String("route", route),
		slog.Int("status", c.Response().StatusCode()),
		slog.String("client", s.address(c).String()),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000))
}

// LogHandler returns a handler that adds request_id to every line that is logged on behalf of a request, and trace_id
// and span_id if the request is part of a trace.
func LogHandler(h slog.Handler) slog.Handler { return logHandler{h} }

type logHandler struct{ slog.Handler }

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := requestid.From(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if trace, span := trace.IDs(ctx); trace != "" {
		r.AddAttrs(slog.String("trace_id", trace), slog.String("span_id", span))
	}
	return h.Handler.Handle(ctx, r)
}

func (h logHandler) WithAttrs(a []slog.Attr) slog.Handler { return logHandler{h.Handler.WithAttrs(a)} }

func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
