package httpapi

import (
	"net"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/address"
)

const devPath = "/dev/messages"

// A devMessage is a message that the console provider has shown.
type devMessage struct {
	ID      string    `json:"id"`
	To      string    `json:"to"`
	Channel string    `json:"channel"`
	Code    string    `json:"code"`
	Text    string    `json:"text"`
	Locale  string    `json:"locale"`
	SentAt  time.Time `json:"sent_at"`
}

// proxyHeaders are the beginnings of the names of headers that proxies, load balancers and tunnels add to what they
// forward, as their defaults are or as their documents recommend: nginx, Caddy, Traefik, Envoy, IIS, the ingresses of
// Kubernetes, cloudflared, ngrok, Tailscale, the load balancers of clouds, and CDNs. No client adds them by itself.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Forwarded", "X-Original-", "X-Real-", "X-Client-", "X-Cluster-", "X-Remote-", "X-Proxy",
	"X-Scheme", "X-Request-Start", "X-Originating-", "True-Client-", "Client-Ip", "Proxy-", "Wl-Proxy-", "Front-End-",
	"Cf-", "Cdn-", "Fastly-", "Fly-", "Akamai-", "X-Akamai-", "Incap-", "X-Sucuri-", "Ali-", "X-Varnish", "X-Envoy-",
	"X-Amz", "X-Azure-", "X-Ms-", "X-Arr-", "X-Appengine-", "X-Cloud-Trace-", "X-Vercel-", "X-Heroku-", "X-Railway-",
	"X-Tunnel-", "Ngrok-", "Tailscale-",
}

// forwarder returns what shows that a request came through a proxy or from elsewhere, and "" if it was made on this
// machine or in its local network.
func forwarder(c *fiber.Ctx) string {
	header := &c.Request().Header
	for name := range header.All() {
		for _, beginning := range proxyHeaders {
			if len(name) >= len(beginning) && strings.EqualFold(string(name[:len(beginning)]), beginning) {
				return "a header " + beginning
			}
		}
	}
	if !header.IsHTTP11() { // which nginx speaks to its backends by default, and no browser
		return "HTTP/1.0"
	}
	reached, _ := c.Context().LocalAddr().(*net.TCPAddr)
	client, _ := c.Context().RemoteAddr().(*net.TCPAddr)
	if reached == nil || client == nil || address.IsPublic(client.AddrPort().Addr()) {
		return "a public address"
	}
	for _, host := range [][]byte{header.Host(), c.Request().Host()} { // they differ if the request names a whole URL
		if !address.IsOwnName(string(host), reached.AddrPort().Addr()) {
			return "a host that is no name of this machine"
		}
	}
	return ""
}

// devMessages answers with the messages that the console provider has shown, so that a developer sees the codes of all
// phones in the browser. It answers only what comes from this machine or its local network, without a proxy, and under
// a name of this machine: a proxy would show the codes to the world, and under a name that the public DNS resolves, a
// page of a stranger could read them by DNS rebinding.
func (s *Server) devMessages(c *fiber.Ctx) error {
	if by := forwarder(c); by != "" {
		s.forwarded.Do(func() {
			s.log.WarnContext(c.UserContext(), "messages of development not shown to a stranger", "by", by)
		})
		return errNotLocal
	}
	to := ""
	if written := queryPhone(c, "phone"); written != "" {
		number, err := s.phones.Parse(written)
		if err != nil {
			return err
		}
		to = number.E164()
	}
	messages := []devMessage{}
	for m, at := range s.inbox {
		if to == "" || to == m.To.E164() {
			messages = append(messages, devMessage{m.ID, m.To.E164(), m.Channel, m.Code, m.Text, m.Locale, at})
		}
	}
	return c.JSON(fiber.Map{"messages": messages})
}
