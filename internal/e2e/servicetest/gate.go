package servicetest

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A Gate is a TCP proxy before a store, which can be shut to make the store unreachable.
type Gate struct {
	listener net.Listener
	target   string

	mu    sync.Mutex // guards the fields below
	shut  bool
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
	g := &Gate{listener: l, target: u.Host}
	t.Cleanup(func() { l.Close(); g.Shut(true) })
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
	go func() { _, _ = io.Copy(out, c); out.Close() }()
	_, _ = io.Copy(c, out)
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
