package httpapi

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// An answer to a request that was not read to its end, such as a 413, can be lost if its connection is closed at once:
// the system then resets the connection, and some systems of clients drop what was not read yet. A page then sees a
// broken connection in place of the answer. RFC 9112 §9.6 therefore says to close in two steps.
const (
	lingerTime  = time.Second // for which the rest of the request is read and dropped
	lingerBytes = 16 << 20    // of the rest that are read and dropped at most
)

// A lingerListener accepts connections that can close in two steps.
type lingerListener struct{ net.Listener }

func (l lingerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &lingerConn{TCPConn: tcp}, nil
	}
	return c, err
}

// A lingerConn closes in two steps if linger was set, and counts what was read from it.
type lingerConn struct {
	*net.TCPConn
	linger atomic.Bool

	// These belong to the goroutine that serves the connection: see wasReadWhole.
	delivered int  // Bytes that were read and belong to no request yet.
	uncounted bool // Whether delivered has lost its meaning.
}

// Read implements net.Conn.
func (c *lingerConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.delivered += n
	return n, err
}

// Close implements net.Conn. It takes lingerTime at most.
func (c *lingerConn) Close() error {
	if c.linger.Swap(false) && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
	return c.TCPConn.Close()
}

// linger closes the request's connection in two steps after the answer.
func linger(c *fiber.Ctx) {
	if conn, ok := c.Context().Conn().(*lingerConn); ok {
		conn.linger.Store(true)
	}
}
