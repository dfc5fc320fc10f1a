package servicetest

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Gate is a TCP proxy before a store, which can be shut to make the store unreachable, or hold all that passes.
type Gate struct {
	listener net.Listener
	target   string
	ended    chan struct{} // closed when the test has ended

	mu    sync.Mutex // guards the fields below
	shut  bool
	held  bool
	delay time.Duration // of what passes, each way
	conns []net.Conn
}

// Through puts a Gate before the server of a setting NAME=URL. It returns the gate, open, and the setting with the
// gate's address.
func Through(t *testing.T, setting string) (*Gate, string) {
	t.Helper()
	name, value, _ := strings.Cut(setting, "=")
	u, err := url.Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{listener: l, target: u.Host, ended: make(chan struct{})}
	t.Cleanup(func() { l.Close(); close(g.ended); g.Shut(true) })
	go g.serve()
	u.Host = l.Addr().String()
	return g, name + "=" + u.String()
}

func (g *Gate) serve() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		go g.pass(c)
	}
}

func (g *Gate) pass(c net.Conn) {
	defer c.Close()
	if g.holds() {
		<-g.ended
		return
	}
	out, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	g.conns = append(g.conns, c, out)
	shut := g.shut
	g.mu.Unlock()
	if shut {
		return
	}
	go func() { g.copy(out, c); out.Close() }()
	g.copy(c, out)
}

// copy copies until an end closes, and holds back what it reads for the delay. Once the gate holds, it passes nothing
// on, not even that an end has closed.
func (g *Gate) copy(to io.Writer, from io.Reader) {
	type part struct {
		bytes []byte
		due   time.Time
	}
	parts := make(chan part, 1000)
	go func() {
		defer close(parts)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			parts <- part{buffer[:n], time.Now().Add(g.delays())}
		}
	}()
	for p := range parts {
		time.Sleep(time.Until(p.due))
		if g.holds() {
			break
		}
		_, _ = to.Write(p.bytes)
	}
	if g.holds() {
		<-g.ended
	}
}

// Slow makes everything that passes take so long, each way.
func (g *Gate) Slow(delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = delay
}

func (g *Gate) delays() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.delay
}

// Hold makes the gate accept connections and pass nothing on until the test ends, as if packets were dropped.
func (g *Gate) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

func (g *Gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// Shut closes all connections and refuses new ones, or, with false, lets connections through again.
func (g *Gate) Shut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}
