package api

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// A wire is a connection on which a test writes bytes as they are.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, s *servicetest.Service) wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(servicetest.Patience))
	return wire{c, bufio.NewReader(c)}
}

func (w wire) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

// answer reads the next answer. It returns the status 0 at the end of the connection.
func (w wire) answer(t *testing.T) (status int, closes bool) {
	t.Helper()
	if _, err := w.r.Peek(1); err == io.EOF {
		return 0, true
	}
	response, err := http.ReadResponse(w.r, nil)
	if err != nil {
		t.Fatalf("read an answer: %v", err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatalf("read the body of an answer: %v", err)
	}
	return response.StatusCode, response.Close
}

const (
	head    = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
	good    = head + "\r\n"
	posted  = "POST /otp/request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	invalid = "{\n\"phone\":\"0\"\n}" // with bare line feeds, which belong there
	lf      = "\r\n" + invalid
	sized   = posted + "Content-Length: 15\r\n"
	chunked = posted + "Transfer-Encoding: chunked\r\n"
	chunks  = "\r\nf\r\n" + invalid + "\r\n0\r\n\r\n"
)

// laxRequests are not written as RFC 9112 demands.
var laxRequests = map[string]string{
	"blank in a name":          head + "X Foo: 1\r\n\r\n",
	"tab in a name":            head + "X\tFoo: 1\r\n\r\n",
	"blank before the colon":   head + "X-Foo : 1\r\n\r\n",
	"no name":                  head + ": 1\r\n\r\n",
	"no colon":                 head + "foo\r\n\r\n",
	"NUL in a name":            head + "X\x00: 1\r\n\r\n",
	"NUL in a value":           head + "X: a\x00b\r\n\r\n",
	"bare CR":                  head + "X: a\rb\r\n\r\n",
	"bare LF":                  head + "X: a\nY: b\r\n\r\n",
	"bare LF in the last line": head + "X: a\n\r\n\r\n",
	"bare LF in the first":     "GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
	"bare LF and a body":       strings.Replace(sized, "\r\n", "\n", 1) + "\r\n" + invalid,
	"bare LF before another":   head + "X: a\n\nGET /me HTTP/1.1\r\nHost: x\r\n\r\n",
	"folded line":              head + "X: a\r\n b\r\n\r\n",
	"folded line with a tab":   head + "X: a\r\n\tb\r\n\r\n",
	"folded length":            posted + "Content-Length:\r\n 15\r\n\r\n" + invalid,
	"folded first header":      "GET /healthz HTTP/1.1\r\n Host: x\r\n\r\n",
	"HTTP/3.7":                 "GET /healthz HTTP/3.7\r\nHost: x\r\n\r\n",
	"HTTP/2.0":                 "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
	"HTTP/1.2":                 "GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
	"HTTP/0.9":                 "GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n",
	"HTTP/0.9 itself":          "GET /healthz\r\n\r\n",
	"http in lower case":       "GET /healthz http/1.1\r\nHost: x\r\n\r\n",
	"two blanks":               "GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	"blank behind the version": "GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n",
	"two lengths":              sized + "Content-Length: 15\r\n\r\n" + invalid,
	"list of lengths":          posted + "Content-Length: 15, 15\r\n\r\n" + invalid,
	"length with a sign":       posted + "Content-Length: +15\r\n\r\n" + invalid,
	"length and chunks":        sized + "Transfer-Encoding: chunked\r\n" + chunks,
	"chunks and length":        chunked + "content-length: 15\r\n" + chunks,
	"identity":                 posted + "Transfer-Encoding: identity\r\n\r\n",
	"length and identity":      sized + "transfer-encoding: identity\r\n\r\n" + invalid,
	"unknown encoding":         posted + "Transfer-Encoding: xchunked\r\n" + chunks,
	"two encodings":            chunked + "Transfer-Encoding: chunked\r\n" + chunks,
	"chunks in HTTP/1.0":       strings.Replace(chunked, "1.1", "1.0", 1) + chunks,
	"chunk with bare LF":       chunked + "\r\nf\n" + invalid + "\n0\n\n",
	"extension with bare LF":   chunked + "\r\nf;a\n" + invalid + "\r\n0\r\n\r\n",
	"chunk that is too short":  chunked + "\r\ne\r\n" + invalid + "\r\n0\r\n\r\n",
	"trailer":                  chunked + "\r\nf\r\n" + invalid + "\r\n0\r\nX: 1\r\n\r\n",
	"trailer with bare LF":     chunked + "\r\nf\r\n" + invalid + "\r\n0\r\nX: 1\nY: 2\r\n\r\n",
	"two hosts":                head + "Host: x\r\n\r\n",
	"no host":                  "GET /healthz HTTP/1.1\r\n\r\n",
	"host with a user":         "GET /healthz HTTP/1.1\r\nHost: u@x\r\n\r\n",
	"host with a blank":        "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
	"URL of another host":      "GET http://y/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	"URL of another scheme":    "GET ftp://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	"target without a slash":   "GET healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	"fragment":                 "GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n",
}

// TestStrictHTTP checks that a request that is not written as RFC 9112 demands is refused, and its connection closed,
// so that a proxy in front cannot read it as another one, or as two.
func TestStrictHTTP(t *testing.T) {
	s := servicetest.Start(t, nil)
	for name, request := range laxRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := dial(t, s)
			w.write(t, request)
			if status, closes := w.answer(t); status != 400 || !closes {
				t.Fatalf("%q: %d, and the connection is closed: %t; want 400 and its end", request, status, closes)
			}
			if status, _ := w.answer(t); status != 0 {
				t.Errorf("%q: a second answer, %d; want none", request, status)
			}
		})
	}
}

// goodRequests are several requests for one connection each, and the answers to them.
var goodRequests = map[string]struct {
	requests []string
	want     []int
}{
	"one after another":     {[]string{good, sized + lf, good, sized + lf}, []int{200, 422, 200, 422}},
	"chunks":                {[]string{chunked + chunks, good, chunked + chunks}, []int{422, 200, 422}},
	"chunk with extension":  {[]string{chunked + strings.Replace(chunks, "f\r", "f;a=b\r", 1), good}, []int{422, 200}},
	"GET with a body":       {[]string{head + "Content-Length: 15\r\n" + lf, good}, []int{200, 200}},
	"no body":               {[]string{posted + "\r\n", good}, []int{400, 200}},
	"expects 100":           {[]string{sized + "Expect: 100-continue\r\n" + lf, good}, []int{100, 422, 200}},
	"empty lines before":    {[]string{"\r\n\r\n" + good, good}, []int{200, 200}},
	"URL as target":         {[]string{"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", good}, []int{200, 200}},
	"unknown method":        {[]string{"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n", good}, []int{405, 200}},
	"empty value, and UTF8": {[]string{head + "X-A:\r\nX-B: س\r\nX-C:\t c \t\r\n\r\n", good}, []int{200, 200}},
	"HTTP/1.0 kept alive": {
		[]string{"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /healthz HTTP/1.0\r\n\r\n"},
		[]int{200, 200},
	},
}

// TestGoodHTTP checks that what clients and proxies send by right is taken, one request after another on a connection,
// all at once, and in pieces.
func TestGoodHTTP(t *testing.T) {
	s := servicetest.Start(t, nil)
	for name, tc := range goodRequests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, pieces := range map[string][]string{
				"in turn":   tc.requests,
				"pipelined": {strings.Join(tc.requests, "")},
				"in bytes":  strings.Split(strings.Join(tc.requests, ""), ""),
			} {
				w := dial(t, s)
				go func() {
					for _, piece := range pieces {
						_, _ = io.WriteString(w, piece)
					}
				}()
				for i, want := range tc.want {
					if status, _ := w.answer(t); status != want {
						t.Fatalf("%s, answer %d: %d; want %d", way, i, status, want)
					}
				}
			}
		})
	}
}

// TestPipelinedBareLF checks that a bare LF in the first line of a later request closes the connection, too.
func TestPipelinedBareLF(t *testing.T) {
	s := servicetest.Start(t, nil)
	w := dial(t, s)
	w.write(t, good+sized+"\r\n"+invalid+"GET /healthz HTTP/1.1\nHost: x\r\n\r\n")
	for _, want := range []int{200, 422, 400, 0} {
		if status, _ := w.answer(t); status != want {
			t.Fatalf("answer %d; want %d", status, want)
		}
	}
}
