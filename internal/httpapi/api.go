// Package httpapi owns the HTTP interface: routes, what a request may hold, and what every answer looks
// like. It knows Fiber and the services; it knows neither Redis nor SQL.
//
// A handler reads, calls a service and writes, and returns its error. The error handler alone turns
// errors into answers, by the table in problem.go, and it alone logs failures. What a stranger wrote is
// turned into values at the edge: it reaches no log, no answer, no key and no statement.
package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cors"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/requestid"
	"dekamond-otp/internal/trace"
)

const (
	readTimeout   = 5 * time.Second
	answerTimeout = 9 * time.Second // of a handler, so that its answer comes before the write timeout
	writeTimeout  = 10 * time.Second
	idleTimeout   = 30 * time.Second
	maxHeader     = 4 << 10
	maxBody       = 2 << 10
)

// Tokens checks access tokens and publishes the keys, if there are public ones, that others check them with.
type Tokens interface {
	Verify(token string) (user, session uuid.UUID, err error)
	Published() (keySet []byte, maxAge time.Duration, ok bool)
}

// A Hook reads the delivery reports of a provider. Its errors are otp.ErrForged and otp.ErrCallback.
type Hook interface {
	Read(c otp.Callback) ([]otp.Report, error)
}

// A Check is a dependency that has to answer before the service is ready.
type Check struct {
	Name string
	Ping func(context.Context) error
}

// A Metrics counts answers.
type Metrics interface {
	// Answered counts a request and takes its time. The route is its pattern, or "none".
	ObserveRequest(method, route string, status int, took time.Duration)
	// Refused counts a problem by its code.
	CountProblem(route, code string)
}

// Options are the inputs of New.
type Options struct {
	OTP            *otp.Service
	Accounts       *account.Service
	Tokens         Tokens
	Phones         *phone.Parser
	Log            *slog.Logger
	Metrics        Metrics
	Tracer         *trace.Tracer // nil: no spans
	Checks         []Check
	Hooks          map[string]Hook // by the name of the provider
	PublicURL      string          // by which providers call the hooks, without a slash at the end
	AdminKeys      []string        // none: there are no admin calls
	TrustedProxies []netip.Prefix  // whose X-Forwarded-For is believed
	CORSOrigins    []string        // scheme://host[:port], or "*"
	LoginPage      *LoginPage
	Inbox          iter.Seq2[otp.Message, time.Time] // what the console has shown, the newest first; nil: nobody may see it
}

// A Server answers HTTP requests.
type Server struct {
	Options
	app       *fiber.App
	adminKeys []adminKey
	quiet     map[string]bool // routes that the access log has at the debug level
	stopping  atomic.Bool
}

// New gives a server.
func New(o Options) *Server {
	s := &Server{Options: o, quiet: map[string]bool{"/healthz": true, "/readyz": true, devPath: true}}
	for _, k := range o.AdminKeys {
		s.adminKeys = append(s.adminKeys, sha256.Sum256([]byte(k)))
	}
	s.app = fiber.New(fiber.Config{
		DisableStartupMessage: true, CaseSensitive: true, StrictRouting: true, DisablePreParseMultipartForm: true,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ReadBufferSize: maxHeader, BodyLimit: maxBody, ErrorHandler: s.fail,
	})
	s.app.Use(s.around)
	if len(o.CORSOrigins) > 0 {
		s.app.Use(cors.New(cors.Config{
			AllowOrigins: strings.Join(o.CORSOrigins, ","), AllowMethods: "GET,POST,PATCH,DELETE",
			Next:         func(c *fiber.Ctx) bool { return c.Path() == devPath },
			AllowHeaders: "Authorization,Content-Type,Traceparent,Tracestate", ExposeHeaders: "Retry-After,X-Request-ID", MaxAge: 600,
		}))
	}
	s.app.Post("/otp/request", s.request)
	s.app.Get("/otp/status", s.status)
	s.app.Post("/otp/verify", s.verify)
	s.app.Post("/token/refresh", s.refresh)
	s.app.Post("/logout", s.logout)
	s.app.Get("/me", s.me)
	s.app.Delete("/me", s.deleteMe)
	s.app.Get("/me/sessions", s.mySessions)
	s.app.Delete("/me/sessions/:id", s.endMySession)
	s.app.Post("/me/phone/request", s.requestPhone)
	s.app.Post("/me/phone/verify", s.verifyPhone)
	if len(s.adminKeys) > 0 {
		s.app.Get("/users", s.admin, s.users)
		s.app.Get("/users/:id", s.admin, s.user)
		s.app.Patch("/users/:id", s.admin, s.patchUser)
		s.app.Delete("/users/:id", s.admin, s.deleteUser)
		s.app.Get("/users/:id/sessions", s.admin, s.userSessions)
		s.app.Delete("/users/:id/sessions", s.admin, s.endUserSessions)
		s.app.Get("/audit", s.admin, s.audit)
	}
	for _, method := range []string{fiber.MethodGet, fiber.MethodPost} { // providers' accounts are set to either
		s.app.Add(method, "/hooks/:provider", s.hook)
		s.app.Add(method, "/hooks/:provider/:secret", s.hook)
	}
	s.app.Get("/.well-known/jwks.json", s.keySet)
	s.app.Get("/healthz", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"status": "ok"}) })
	s.app.Get("/readyz", s.ready)
	s.app.Get("/openapi.yaml", s.document)
	s.mountPage("/docs", "docs")
	if o.LoginPage != nil {
		s.mountLogin()
	}
	if o.Inbox != nil {
		s.app.Get(devPath, s.devMessages)
	}

	server := s.app.Server()
	server.Logger = silent{} // it quotes what strangers send
	handler := server.Handler
	server.Handler = func(c *fasthttp.RequestCtx) {
		if !slices.Contains(fiber.DefaultMethods, string(c.Method())) { // Fiber answers it without asking the error handler
			c.Request.Header.SetMethod(fiber.MethodTrace)
		}
		handler(c)
	}
	return s
}

// Serve answers requests until Shutdown, and then returns nil.
func (s *Server) Serve(l net.Listener) error { return s.app.Listener(l) }

// Shutdown makes the server not ready, takes no new connections and waits until every request in flight
// is answered, or ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopping.Store(true)
	return s.app.ShutdownWithContext(ctx)
}

// A key is a value's name in a request's context.
type key int

const adminName key = iota

// around stands around every handler: it gives the request an identifier, a deadline and the headers of
// every answer, turns errors and panics into answers, and writes the access log.
func (s *Server) around(c *fiber.Ctx) error {
	began := time.Now()
	s.prepare(c)
	ctx, cancel := context.WithTimeout(c.UserContext(), answerTimeout)
	defer cancel()
	ctx, span := s.span(ctx, c)
	defer span.End()
	c.SetUserContext(ctx)
	err := guarded(c)
	route := routeOf(c, err)
	if err != nil {
		if err := s.fail(c, err); err != nil {
			return err
		}
	}
	describe(span, c, route)
	level := slog.LevelInfo
	if s.quiet[route] {
		level = slog.LevelDebug
	}
	took := time.Since(began)
	s.Metrics.ObserveRequest(methodOf(c), route, c.Response().StatusCode(), took)
	s.Log.LogAttrs(ctx, level, "request",
		slog.String("method", c.Method()), slog.String("route", route),
		slog.Int("status", c.Response().StatusCode()), slog.String("client", s.client(c).String()),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	return nil
}

// methodOf gives the method, as a text that outlives the request.
func methodOf(c *fiber.Ctx) string {
	return fiber.DefaultMethods[max(0, slices.Index(fiber.DefaultMethods, c.Method()))]
}

// routeOf gives the pattern of the route, and "none" for a request that was answered before it had one: refused, or a
// preflight of CORS.
func routeOf(c *fiber.Ctx, err error) string {
	if _, unrouted := errors.AsType[*fiber.Error](err); unrouted || c.Method() == fiber.MethodOptions {
		return "none"
	}
	return c.Route().Path
}

// prepare names the request. Requests that the server could not even read come here from the error handler.
func (s *Server) prepare(c *fiber.Ctx) {
	id := uuid.New().String()
	c.SetUserContext(taken(requestid.With(context.Background(), id), &c.Request().Header))
	c.Set("X-Request-ID", id)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
}

// LogHandler adds the request_id to every line that is logged on behalf of a request, and trace_id and span_id where
// the request is part of a trace.
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

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

func guarded(c *fiber.Ctx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return c.Next()
}

type silent struct{}

func (silent) Printf(string, ...any) {}
