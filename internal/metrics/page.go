package metrics

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/address"
)

// page has the operator's page; page/uplot is uPlot 1.6.32 as its npm package has it, under the MIT licence.
//
//go:embed page
var page embed.FS

// files are the parts of the page by path.
var files = map[string]string{
	"/{$}":       "index.html",
	"/page.css":  "page.css",
	"/page.js":   "page.js",
	"/icon.svg":  "icon.svg",
	"/uplot.css": "uplot/uPlot.min.css",
	"/uplot.js":  "uplot/uPlot.iife.min.js",
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages gives what those who run the service read in a browser: the page, and the numbers that it draws.
func (m *Metrics) pages(mux *http.ServeMux) {
	for path, name := range files {
		content, err := page.ReadFile("page/" + name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		etag := `"` + hex.EncodeToString(sum[:8]) + `"`
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", etag)
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Content-Security-Policy", policy)
			http.ServeContent(w, r, name, time.Time{}, strings.NewReader(string(content)))
		})
	}
	mux.HandleFunc("GET /numbers.json", m.numbers)
}

// profiles serves what a profiler asks for: go tool pprof http://127.0.0.1:1629/debug/pprof/profile. A profile costs work,
// so no other site may have a browser ask for one.
func profiles(mux *http.ServeMux) {
	for path, serve := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.HandleFunc("GET /debug/pprof/"+path, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
				http.Error(w, "Not from another site.", http.StatusForbidden)
				return
			}
			serve(w, r)
		})
	}
}

// guarded keeps web pages of strangers out, also those whose name was made to resolve to this machine. On other addresses
// than loopback the operator may have any name for the service.
func guarded(h http.Handler) http.Handler {
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

type numbers struct {
	Now         time.Time     `json:"now"`
	Version     string        `json:"version"`
	Copies      int           `json:"copies"`
	Shared      bool          `json:"shared"`    // false: the numbers of the other copies are as old as shared_at
	SharedAt    *time.Time    `json:"shared_at"` // null: they were never known
	Outbox      *outboxState  `json:"outbox"`    // null: Redis does not answer
	Resting     []string      `json:"resting"`   // providers that this copy does not ask for now
	DelayBounds []float64     `json:"delay_bounds"`
	Hours       []hourNumbers `json:"hours"` // oldest first, without those in which nothing happened
}

type outboxState struct {
	Messages      int     `json:"messages"`
	OldestSeconds float64 `json:"oldest_seconds"`
}

type hourNumbers struct {
	Hour   time.Time `json:"hour"`
	Counts []count   `json:"counts"`
	Delays delays    `json:"delays"` // codes answered within each bound, and one more for those that took longer
}

// numbers answers what the page draws.
func (m *Metrics) numbers(w http.ResponseWriter, r *http.Request) {
	v := m.history.view()
	n := numbers{
		Now: time.Now().UTC(), Version: m.version, Copies: v.copies, Shared: v.shared,
		DelayBounds: personBuckets[:], Resting: []string{}, Hours: []hourNumbers{},
	}
	if !v.at.IsZero() {
		at := v.at.UTC()
		n.SharedAt = &at
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if messages, oldest, err := m.sources.Outbox(ctx); err == nil {
		n.Outbox = &outboxState{messages, oldest.Seconds()}
	}
	for provider, rests := range m.sources.Resting {
		if rests {
			n.Resting = append(n.Resting, provider)
		}
	}
	for _, h := range slices.Sorted(maps.Keys(v.hours)) {
		n.Hours = append(n.Hours, hourNumbers{timeOf(h), sorted(v.hours[h].counts), v.hours[h].delays})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept-Encoding")
	out := io.Writer(w)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") { // it is the same words again and again
		w.Header().Set("Content-Encoding", "gzip")
		compressed := gzip.NewWriter(w)
		defer compressed.Close()
		out = compressed
	}
	_ = json.NewEncoder(out).Encode(n) // fails when the reader has gone
}
