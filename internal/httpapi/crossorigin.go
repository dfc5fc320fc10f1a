package httpapi

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// What pages of the allowed origins may send, and read in the answers. The service knows a caller by its credential
// alone, never by a cookie, so a page may send any header, such as those that monitoring adds by itself. The header
// Authorization needs its name, and old browsers need the others (Fetch standard §3.3.3).
const (
	allowMethods  = "GET,POST,PATCH,DELETE"
	allowHeaders  = "Authorization,Content-Type,X-API-Key,Traceparent,Tracestate,*"
	exposeHeaders = "Retry-After,X-Request-ID"
	preflightAge  = "600" // seconds for which a browser need not ask again
)

// crossOrigin lets pages of CORS_ORIGINS call the service, but for /dev/messages. It is not Fiber's middleware, because
// that marks no answer to a request that could not be read, and does not tell which origins it refuses.
func (s *Server) crossOrigin(c *fiber.Ctx) error {
	if c.Path() == devPath {
		return c.Next()
	}
	s.allowOrigin(c)
	preflight := c.Method() == fiber.MethodOptions && c.Get(fiber.HeaderAccessControlRequestMethod) != ""
	if !preflight || len(s.origins) == 0 {
		return c.Next()
	}
	c.Vary(fiber.HeaderAccessControlRequestMethod, fiber.HeaderAccessControlRequestHeaders)
	c.Set(fiber.HeaderAccessControlAllowMethods, allowMethods)
	c.Set(fiber.HeaderAccessControlAllowHeaders, allowHeaders)
	c.Set(fiber.HeaderAccessControlMaxAge, preflightAge)
	return c.SendStatus(fiber.StatusNoContent)
}

// allowOrigin lets the page that made the request read its answer if CORS_ORIGINS has the page's origin. It logs the
// origin otherwise.
func (s *Server) allowOrigin(c *fiber.Ctx) {
	origin, allowed := strings.ToLower(c.Get(fiber.HeaderOrigin)), false
	switch {
	case slices.Contains(s.origins, "*"):
		origin, allowed = "*", true
	case len(s.origins) > 0:
		c.Vary(fiber.HeaderOrigin)
		allowed = slices.Contains(s.origins, origin)
	}
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlExposeHeaders, exposeHeaders)
	} else if origin != "" && !s.isOwn(c, origin) {
		s.logRefused(c, origin)
	}
}

// allowUnread does what allowOrigin does for a request that could not be read. If not even its head could be read, its
// origin is unknown; then any page may read the answer, which holds nothing but the problem.
func (s *Server) allowUnread(c *fiber.Ctx) {
	headUnread := len(c.Request().Header.Host()) == 0
	switch {
	case !headUnread || len(s.origins) == 0:
		s.allowOrigin(c)
	case len(s.origins) == 1:
		c.Set(fiber.HeaderAccessControlAllowOrigin, s.origins[0])
		c.Set(fiber.HeaderAccessControlExposeHeaders, exposeHeaders)
	default:
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
		c.Set(fiber.HeaderAccessControlExposeHeaders, exposeHeaders)
	}
}

// isOwn reports whether the origin is the service's own: browsers name it in every POST of the login page. Behind a
// proxy that changes the header Host, the browser says so itself, or PUBLIC_URL has the origin.
func (s *Server) isOwn(c *fiber.Ctx, origin string) bool {
	_, host, _ := strings.Cut(origin, "://")
	return c.Get("Sec-Fetch-Site") == "same-origin" ||
		strings.EqualFold(host, string(c.Request().Host())) ||
		strings.HasPrefix(strings.ToLower(s.publicURL)+"/", origin+"/")
}

// originShape is what a browser sends as Origin (RFC 6454 §7), in lower case.
var originShape = regexp.MustCompile(`^(null|[a-z][a-z0-9+.-]{0,31}://[a-z0-9.:_\[\]-]{0,253})$`)

// logRefused logs an origin that CORS_ORIGINS does not have, once an hour. Nothing is logged if it is no origin.
func (s *Server) logRefused(c *fiber.Ctx, origin string) {
	if originShape.MatchString(origin) && s.refused.first(strings.Clone(origin), time.Now()) {
		s.log.WarnContext(c.UserContext(), "page of another origin refused",
			"origin", origin, "setting", "CORS_ORIGINS")
	}
}

const (
	refusedAgain = time.Hour // after which a refused origin is logged again
	maxRefused   = 100       // origins a time, so that a stranger who invents origins fills neither memory nor log
)

// refusedOrigins remembers which origins were logged.
type refusedOrigins struct {
	mu     sync.Mutex
	logged map[string]time.Time // guarded by mu
}

// first reports whether the origin was not logged within the hour before now, and remembers it as logged then. It
// reports false for every further origin while a hundred are remembered.
func (r *refusedOrigins) first(origin string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for o, at := range r.logged {
		if now.Sub(at) >= refusedAgain {
			delete(r.logged, o)
		}
	}
	if _, ok := r.logged[origin]; ok || len(r.logged) >= maxRefused {
		return false
	}
	if r.logged == nil {
		r.logged = make(map[string]time.Time)
	}
	r.logged[origin] = now
	return true
}
