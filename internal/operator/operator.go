// Package operator owns what the people who run the service read on INTERNAL_ADDR: a page that shows whether codes
// arrive, the history by the hour that it draws, the metrics for Prometheus, and profiles. What is counted is decided
// by the packages that call the History; the metrics themselves belong to package metrics.
//
// Everyone who reaches the address can read everything here. Therefore it holds no phone, address, code or secret, and
// it does not answer the web pages of strangers.
package operator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/otp"
)

const (
	readTimeout   = 10 * time.Second // of a request
	writeTimeout  = time.Minute      // of an answer: a profile takes half of it
	outboxTimeout = time.Second      // for Redis to describe the outbox
)

// Options are the inputs of New. All are needed.
type Options struct {
	Version string
	Metrics http.Handler // answers GET /metrics
	History *History
	// Outbox returns how many messages wait in all copies, and the age of the oldest.
	Outbox func(ctx context.Context) (messages int, oldest time.Duration, err error)
	// LookUp returns what is known of a message by its ticket. Its errors are otp.ErrUnknown and otp.ErrUnavailable.
	LookUp func(ctx context.Context, ticket string) (otp.Lookup, error)
	// Examine writes what the doctor finds now. An error means that the report is not complete.
	Examine func(ctx context.Context, report io.Writer) error
	// Resting yields the providers, and whether this copy leaves each alone for now.
	Resting iter.Seq2[string, bool]
	Log     *slog.Logger
}

// A Server answers on INTERNAL_ADDR.
type Server struct {
	options Options
	handler http.Handler
	// examination is held while the doctor is at work, because it asks every store and every provider.
	examination sync.Mutex
}

// New returns a Server.
func New(o Options) *Server {
	s := &Server{options: o}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /numbers.json", s.summary)
	mux.HandleFunc("GET /message.json", s.message)
	mux.HandleFunc("GET /doctor", ownSite(s.findings))
	servePage(mux)
	serveDocuments(mux)
	serveProfiles(mux)
	s.handler = guard(mux)
	return s
}

// Serve answers on the listener until ctx is done, and closes it. It does nothing if there is no listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) {
	if listener == nil {
		return
	}
	log := s.options.Log
	own := listener.Addr().String()
	log.InfoContext(ctx, "metrics", "address", own, "page", "http://"+address.Reachable(own)+"/")
	server := &http.Server{Handler: s.handler, ReadTimeout: readTimeout, WriteTimeout: writeTimeout}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.WarnContext(ctx, "metrics ended", "error", err.Error())
	}
}

// findings answers with the doctor's report. Examinations follow each other.
func (s *Server) findings(w http.ResponseWriter, r *http.Request) {
	s.examination.Lock()
	defer s.examination.Unlock()
	var report bytes.Buffer
	if err := s.options.Examine(r.Context(), &report); err != nil {
		s.options.Log.WarnContext(r.Context(), "the examination failed", "error", err.Error())
		http.Error(w, "The examination failed. The log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = report.WriteTo(w)
}

// serveProfiles answers profilers, such as: go tool pprof http://127.0.0.1:1629/debug/pprof/profile.
func serveProfiles(mux *http.ServeMux) {
	for path, profile := range map[string]http.HandlerFunc{
		"":        pprof.Index,
		"cmdline": pprof.Cmdline,
		"profile": pprof.Profile,
		"symbol":  pprof.Symbol,
		"trace":   pprof.Trace,
	} {
		mux.HandleFunc("GET /debug/pprof/"+path, ownSite(profile))
	}
}

// ownSite refuses what costs work to a browser that asks on behalf of another site.
func ownSite(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			http.Error(w, "Not from another site.", http.StatusForbidden)
			return
		}
		h(w, r)
	}
}

// guard keeps the web pages of strangers from reading the answers. On a loopback address it also refuses a page whose
// name was made to resolve to this machine (DNS rebinding). On other addresses it accepts any host name, because the
// operator chooses the name.
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Referrer-Policy", "no-referrer")
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if local != nil && local.IP.IsLoopback() && !address.IsLocalName(r.Host) {
			http.Error(w, "Call this by an address or as localhost.", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}
