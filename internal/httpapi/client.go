package httpapi

import (
	"net"
	"net/netip"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/internal/account"
)

// address returns the client's address: the rightmost hop that is not a trusted proxy.
func (s *Server) address(c *fiber.Ctx) netip.Addr {
	var address netip.Addr
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		address = tcp.AddrPort().Addr().Unmap()
	}
	var hops []string
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0 && s.trusts(address); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		address = hop
	}
	return address
}

// trusts reports whether the address is that of a trusted proxy.
func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.trustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads an address, with or without a port.
func parseHop(hop string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

const maxUserAgent = 256 // bytes

// client returns the client's address and the printable part of its User-Agent.
func (s *Server) client(c *fiber.Ctx) account.Client {
	agent := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(c.Get(fiber.HeaderUserAgent), ""))
	if len(agent) > maxUserAgent {
		agent = strings.ToValidUTF8(agent[:maxUserAgent], "")
	}
	return account.Client{IP: s.address(c).String(), UserAgent: strings.Clone(agent)}
}
