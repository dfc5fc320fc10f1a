package browser

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// own is the path below which the proxy answers itself.
const own = "/.test/"

// Nothing is a path that a page can request at any time. The answer is empty and comes from the proxy.
const Nothing = own + "nothing"

// watch reports the faults of a page to the proxy. WebDriver has no events that would do so.
//
//go:embed watch.js
var watch string

// A proxies is what lies between a tab and the hosts that it visits: one proxy before each host. A request that a
// browser would send again by itself after a lost connection is never sent twice, because each has its own connection.
type proxies struct {
	journal *journal
	script  string // which every document runs first

	mu       sync.Mutex        // guards the fields below
	fronts   map[string]string // the hosts of the proxies by the hosts behind them
	servers  []*http.Server
	requests []string // for example "POST /otp/request"
	answers  []string // for example "404 /otp/status?request_id=…"
	holding  *regexp.Regexp
	cut      *regexp.Regexp
	gate     chan struct{} // is closed when the requests that are held back may pass
	held     int
}

func newProxies(j *journal, v View) *proxies {
	n := &proxies{journal: j, script: v.Script, fronts: make(map[string]string), gate: make(chan struct{})}
	if v.Browser == WebKit {
		n.script = watch + v.Script
	}
	return n
}

// close ends the proxies.
func (n *proxies) close() {
	n.release()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.servers {
		s.Close()
	}
}

// front returns the host of the proxy before a host, which may be that proxy already, as in the links of a page.
func (n *proxies) front(t *testing.T, host string) string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if front, ok := n.fronts[host]; ok {
		return front
	}
	for _, front := range n.fronts {
		if front == host {
			return front
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: host})
			r.Out.Host = r.In.Host
			if documented(r.In) {
				r.Out.Header.Del("Accept-Encoding")
			}
		},
		Transport:      &http.Transport{DisableKeepAlives: true},
		ModifyResponse: n.answered,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	s := &http.Server{Handler: n.around(proxy), ErrorLog: log.New(io.Discard, "", 0)}
	s.SetKeepAlivesEnabled(false)
	go func() { _ = s.Serve(l) }()
	n.servers = append(n.servers, s)
	n.fronts[host] = l.Addr().String()
	n.journal.admit(l.Addr().String())
	return n.fronts[host]
}

// around answers the requests of the tests, and counts, cuts and holds back the requests of the page.
func (n *proxies) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case own + "first.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, n.script)
			return
		case Nothing:
			return
		case own + "fault":
			fault, _ := io.ReadAll(r.Body)
			n.journal.fault("%s", fault)
			return
		case own + "asked":
			address, _ := io.ReadAll(r.Body)
			n.journal.asked(string(address))
			return
		}
		n.journal.note("%s %s", r.Method, r.URL)
		if !n.pass(r) {
			n.journal.note("%s is cut", r.URL)
			panic(http.ErrAbortHandler)
		}
		answer := &answer{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.answers = append(n.answers, fmt.Sprintf("%d %s", answer.status, r.RequestURI))
	})
}

// An answer remembers its status.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what else the writer can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// pass counts a request and waits for as long as it is held back. It reports whether the request may pass.
func (n *proxies) pass(r *http.Request) bool {
	n.mu.Lock()
	n.requests = append(n.requests, r.Method+" "+r.URL.Path)
	if asks(n.cut, r) {
		n.mu.Unlock()
		return false
	}
	gate := n.gate
	hold := asks(n.holding, r)
	if hold {
		n.held++
	}
	n.mu.Unlock()
	if hold {
		<-gate
	}
	return true
}

// release lets all requests pass, also the ones that were held back.
func (n *proxies) release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.gate)
	n.gate, n.holding = make(chan struct{}), nil
}

// documented reports whether the answer to a request is shown as a document.
func documented(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Dest") == "document" }

var head = regexp.MustCompile(`(?i)^(<!doctype[^>]*>)?(\s*<html[^>]*>\s*<head[^>]*>)?`)

// answered has the document run the script first, and finds the parts of a page that are missing.
func (n *proxies) answered(r *http.Response) error {
	asked := r.Request
	n.journal.note("%d %s", r.StatusCode, asked.URL)
	byScript := asked.Header.Get("Sec-Fetch-Dest") == "empty" // which can therefore handle the failure
	if r.StatusCode >= 400 && !byScript {
		n.journal.fault("%s answers %d", asked.URL, r.StatusCode)
	}
	if n.script == "" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	page, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	end := head.FindIndex(page)[1]
	page = slices.Concat(page[:end], []byte(`<script src="`+own+`first.js"></script>`), page[end:])
	r.Body = io.NopCloser(bytes.NewReader(page))
	r.ContentLength = int64(len(page))
	r.Header.Set("Content-Length", strconv.Itoa(len(page)))
	return nil
}

// matching returns an expression that matches the requests to paths, in which * stands for anything.
func matching(paths []string) *regexp.Regexp {
	if len(paths) == 0 {
		return nil
	}
	var all []string
	for _, path := range paths {
		all = append(all, strings.ReplaceAll(regexp.QuoteMeta(path), `\*`, `.*`))
	}
	return regexp.MustCompile(`^(` + strings.Join(all, "|") + `)$`)
}

// asks reports whether a request is one that an expression of matching stands for.
func asks(paths *regexp.Regexp, r *http.Request) bool {
	return paths != nil && (paths.MatchString(r.RequestURI) || paths.MatchString(r.Method+" "+r.RequestURI))
}

// Hold holds the requests to a path back until Release is called. In the path, * stands for anything, and it may have a
// method before it.
func (b *Tab) Hold(path string) {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	b.proxies.holding = matching([]string{path})
}

// Held returns how many requests have been held back in all.
func (b *Tab) Held() int {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	return b.proxies.held
}

// Release lets all requests pass, also the ones that were held back.
func (b *Tab) Release() { b.proxies.release() }

// Cut closes the connection of the requests to paths without an answer. A path may have a method before it. Without
// paths all requests pass again.
func (b *Tab) Cut(paths ...string) {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	b.proxies.cut = matching(paths)
}

// Answered reports whether a request to a path has been answered with a status. In the path, * stands for anything.
func (b *Tab) Answered(path string, status int) bool {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	return slices.ContainsFunc(b.proxies.answers, matching([]string{fmt.Sprintf("%d %s", status, path)}).MatchString)
}

// Made returns how many requests with a method and a path the page has made.
func (b *Tab) Made(method, path string) (made int) {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	for _, r := range b.proxies.requests {
		if r == method+" "+path {
			made++
		}
	}
	return made
}
