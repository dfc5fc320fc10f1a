// Package httpapi owns the HTTP interface: routes, what a request may hold, and the form of every answer. It knows
// Fiber and the services; it knows neither Redis nor SQL.
//
// A handler reads the request, calls a service, and writes the answer or returns an error. Only the error handler turns
// errors into answers, by the table in problem.go, and it logs every failure of the service. The text of a request is
// parsed into values before it is passed on: no text of a stranger reaches a log, another person's answer, a key or a
// statement unparsed.
package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/trace"
)

const (
	readTimeout   = 5 * time.Second  // of a whole request
	answerTimeout = 9 * time.Second  // of a handler; shorter than writeTimeout, so that its answer is still written
	writeTimeout  = 10 * time.Second // of a whole answer
	maxBody       = 2 << 10          // bytes

	// partingTime is how long connections are still taken and kept after Shutdown began, each for one more answer. Most
	// clients that use a connection again do so meanwhile. Without it, a request that is just on its way when its
	// connection is closed would get no answer, and proxies do not send a POST again.
	partingTime = time.Second
	partingPoll = 10 * time.Millisecond // between two looks whether all connections are closed
)

// Tokens checks access tokens and publishes the keys to check them with.
type Tokens interface {
	// Verify returns the user and the session of a valid token. Its error is token.ErrInvalid.
	Verify(token string) (user, session uuid.UUID, err error)
	// Published returns the JWK set and how long it may be cached. It returns ok = false if no key is public.
	Published() (keySet []byte, maxAge time.Duration, ok bool)
}

// A Hook reads the delivery reports of a provider. Its errors are otp.ErrForged and otp.ErrCallback.
type Hook interface {
	Read(c otp.Callback) ([]otp.Report, error)
}

// A Check is a dependency that has to answer before the service is ready.
type Check struct {
	Name    string
	Setting string // That names the dependency; in the log.
	Ping    func(context.Context) error
	Down    error // What the error of a request wraps if the dependency did not answer it.
}

// Metrics counts answers.
type Metrics interface {
	// ObserveRequest counts a request and its duration. The route is a pattern, or "none" for a request without one.
	ObserveRequest(method, route string, status int, took time.Duration)
	// CountProblem counts a problem by its code.
	CountProblem(route, code string)
}

// Options are the inputs of New. The first seven fields are required.
type Options struct {
	Login    *login.Service
	Codes    *otp.Service
	Accounts *account.Service
	Tokens   Tokens
	Phones   *phone.Parser
	Log      *slog.Logger
	Metrics  Metrics

	Tracer         *trace.Tracer   // Defaults to no spans.
	Checks         []Check         // Defaults to a service that is ready as long as it runs.
	Hooks          map[string]Hook // By the name of the provider.
	PublicURL      string          // The base of the hooks' URLs as providers call them, without a slash at the end.
	AdminKeys      []string        // Defaults to none, which turns the admin endpoints off.
	TrustedProxies []netip.Prefix  // Proxies whose X-Forwarded-For is believed.
	CORSOrigins    []string        // scheme://host[:port] in lower case, or "*". Defaults to none.
	LoginPage      *LoginPage      // Defaults to no login page.
	MaxHeader      int             // Bytes of a request's head, its first line and headers. Defaults to 16 KiB.
	IdleTimeout    time.Duration   // How long a connection is kept between two requests. Defaults to 75 s.

	// ExamplePhone is the number, in E.164 form, that the page of the calls logs in if there is an Inbox. Defaults to
	// none, which turns that off.
	ExamplePhone string

	// Inbox yields the messages that the console provider has shown, the newest first, and when they were sent.
	// Defaults to nil, which turns /dev/messages off.
	Inbox iter.Seq2[otp.Message, time.Time]
}

// check returns an error that names the required fields that are missing.
func (o *Options) check() error {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"Login", o.Login == nil},
		{"Codes", o.Codes == nil},
		{"Accounts", o.Accounts == nil},
		{"Tokens", o.Tokens == nil},
		{"Phones", o.Phones == nil},
		{"Log", o.Log == nil},
		{"Metrics", o.Metrics == nil},
	} {
		if field.missing {
			errs = append(errs, fmt.Errorf("httpapi: Options.%s is missing", field.name))
		}
	}
	return errors.Join(errs...)
}

// A Server answers HTTP requests.
type Server struct {
	app            *fiber.App
	login          *login.Service
	codes          *otp.Service
	accounts       *account.Service
	tokens         Tokens
	phones         *phone.Parser
	log            *slog.Logger
	metrics        Metrics
	tracer         *trace.Tracer
	checks         []Check
	hooks          map[string]Hook
	publicURL      string
	adminKeys      []adminKey
	trustedProxies []netip.Prefix
	inbox          iter.Seq2[otp.Message, time.Time]
	origins        []string        // as Options.CORSOrigins
	refused        refusedOrigins  // pages that were refused
	quiet          map[string]bool // the routes that the access log has at the debug level
	forwarded      sync.Once       // logs that a proxy asked for the messages of development
	stopping       atomic.Bool     // set by Shutdown

	// answerBy is when Shutdown stops to wait for answers; nil before Shutdown, and if that waits for ever.
	answerBy atomic.Pointer[time.Time]
}

// New returns a Server. It fails if a required option is missing.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		login:          o.Login,
		codes:          o.Codes,
		accounts:       o.Accounts,
		tokens:         o.Tokens,
		phones:         o.Phones,
		log:            o.Log,
		metrics:        o.Metrics,
		tracer:         o.Tracer,
		checks:         o.Checks,
		hooks:          o.Hooks,
		publicURL:      o.PublicURL,
		trustedProxies: o.TrustedProxies,
		inbox:          o.Inbox,
		origins:        o.CORSOrigins,
		quiet:          map[string]bool{"/healthz": true, "/readyz": true, devPath: true},
	}
	for _, k := range o.AdminKeys {
		s.adminKeys = append(s.adminKeys, sha256.Sum256([]byte(k)))
	}
	s.app = s.newApp(cmp.Or(o.MaxHeader, 16<<10), cmp.Or(o.IdleTimeout, 75*time.Second))
	s.app.Use(s.around)
	s.app.Use(s.crossOrigin)
	s.mount()
	s.mountCalls(o)
	if o.LoginPage != nil {
		s.mountLogin(*o.LoginPage)
	}
	return s, nil
}

// newApp returns a Fiber app with the limits of this service, whose failures are all answered by the error handler. A
// connection has a buffer of maxHeader bytes.
func (s *Server) newApp(maxHeader int, idleTimeout time.Duration) *fiber.App {
	app := fiber.New(fiber.Config{
		DisableStartupMessage:        true,
		CaseSensitive:                true,
		StrictRouting:                true,
		DisablePreParseMultipartForm: true,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		ReadBufferSize:               maxHeader,
		BodyLimit:                    maxBody,
		ErrorHandler:                 s.fail,
	})
	server := app.Server()
	server.Logger = discard{}
	handler := server.Handler
	server.Handler = func(c *fasthttp.RequestCtx) {
		if !isStrict(c) {
			server.ErrorHandler(c, errLax)
			c.SetConnectionClose()
			return
		}
		// Fiber answers an unknown method by itself. TRACE, which is known and which no route has, goes to the error
		// handler.
		if !slices.Contains(fiber.DefaultMethods, string(c.Method())) {
			c.Request.Header.SetMethod(fiber.MethodTrace)
		}
		handler(c)
		if s.stopping.Load() {
			c.SetConnectionClose()
		}
		sendNow(c)
	}
	return app
}

// discard drops the log lines of fasthttp, because they quote requests.
type discard struct{}

func (discard) Printf(string, ...any) {}

// Serve answers requests until Shutdown, and then returns nil.
func (s *Server) Serve(l net.Listener) error { return s.app.Listener(lingerListener{l}) }

// Shutdown makes the server not ready, and waits until every request in flight is answered or ctx is done. For
// partingTime, or until no connection is left, requests are still accepted. Then no new connections are, and those on
// which nothing arrives are closed. A request of which a part has arrived gets its answer, which is 408 if the rest
// does not follow in time. Every answer from now on ends its connection.
func (s *Server) Shutdown(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		s.answerBy.Store(&end)
	}
	s.stopping.Store(true)
	for began := time.Now(); time.Since(began) < partingTime && s.app.Server().GetOpenConnectionsCount() > 0; {
		time.Sleep(partingPoll)
	}
	return s.app.ShutdownWithContext(ctx)
}

// answerWithin returns how long a handler may take that begins now.
func (s *Server) answerWithin() time.Duration {
	end := s.answerBy.Load()
	if end == nil {
		return answerTimeout
	}
	const toWrite = time.Second
	return min(answerTimeout, time.Until(*end)-toWrite)
}
