package httpapi

import (
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// errLax is the error of a request that the server's library takes, but that is not what RFC 9112 demands. A proxy in
// front could read it as another request, or as two, and pass on what it would refuse (request smuggling).
var errLax = errors.New("httpapi: not strict HTTP/1.1")

// isStrict reports whether a request is written as RFC 9112 demands, in so far as the server's library is not strict
// itself. It copies nothing. The library keeps the lines of the head as they were sent, but for the first one, about
// which only its length is known: see wasReadWhole.
func isStrict(c *fasthttp.RequestCtx) bool {
	h := &c.Request.Header
	return (h.IsHTTP11() || string(h.Protocol()) == "HTTP/1.0") &&
		hasStrictLines(h) &&
		hasStrictTarget(h) &&
		len(h.PeekTrailerKeys()) == 0 && // whose lines may end as they like, and which no client of this API sends
		wasReadWhole(c)
}

// hasStrictLines reports whether each line of the head ends in CRLF, is not the continuation of the line before, and
// has a name without blanks; and that the length of the body is given in one way, of which "identity" is none.
func hasStrictLines(h *fasthttp.RequestHeader) bool {
	var length, encoding bool
	for raw := h.RawHeaders(); len(raw) > 0; {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || raw[end-1] != '\r' || raw[0] == ' ' || raw[0] == '\t' {
			return false
		}
		line := raw[:end-1]
		raw = raw[end+1:]
		if len(line) == 0 {
			return len(raw) == 0 && (!encoding || !length && h.ContentLength() == chunked)
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || bytes.IndexByte(line[:colon], ' ') >= 0 {
			return false
		}
		switch colon {
		case len("Content-Length"):
			length = length || bytes.EqualFold(line[:colon], contentLength)
		case len("Transfer-Encoding"):
			encoding = encoding || bytes.EqualFold(line[:colon], transferEncoding)
		}
	}
	return true // there are no lines, which HTTP/1.0 allows
}

var (
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
)

const chunked = -1 // the ContentLength of a chunked body

// hasStrictTarget reports whether the target has no fragment, is a path or a URL of the host that the header Host names
// too, and that header has no user.
func hasStrictTarget(h *fasthttp.RequestHeader) bool {
	target, host := h.RequestURI(), h.Host()
	if bytes.IndexByte(target, '#') >= 0 || bytes.IndexByte(host, '@') >= 0 {
		return false
	}
	scheme, rest, isURL := bytes.Cut(target, []byte("://"))
	if len(target) > 0 && target[0] == '/' || !isURL {
		return true
	}
	if end := bytes.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	isHTTP := bytes.EqualFold(scheme, []byte("http")) || bytes.EqualFold(scheme, []byte("https"))
	return isHTTP && bytes.EqualFold(rest, host)
}

// sendNow has the answer sent at once if more of the connection was read than this request. The library would hold the
// answer back until the next request has arrived whole, and lose it if the service stops meanwhile. It does not hold
// back the answer of a handler that has set the deadline of its writing.
func sendNow(c *fasthttp.RequestCtx) {
	if conn, ok := c.Conn().(*lingerConn); ok && (conn.delivered > 0 || conn.uncounted) {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // An error shows when the answer is written.
	}
}

// wasReadWhole counts the request against the bytes that its connection has delivered. It reports false if the request
// is longer than they are, because a line end of its first line is shorter than CRLF. What is left over belongs to the
// next request. Nothing is counted behind a chunked body, whose length on the wire is not known.
func wasReadWhole(c *fasthttp.RequestCtx) bool {
	conn, ok := c.Conn().(*lingerConn)
	if !ok || conn.uncounted {
		return true
	}
	h := &c.Request.Header
	if h.ContentLength() == chunked {
		conn.uncounted = true
		return true
	}
	const blanks, lineEnd = 2, 2
	first := len(h.Method()) + len(h.RequestURI()) + len(h.Protocol()) + blanks + lineEnd
	conn.delivered -= first + max(len(h.RawHeaders()), lineEnd) + len(c.Request.Body())
	return conn.delivered >= 0
}
