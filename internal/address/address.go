// Package address owns what can be told from a network address without a connection: whether strangers can reach it,
// whether they can own its name, and how a client on this machine calls it. The callers decide what they allow.
package address

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// IsLocalName reports whether the value of a Host header is an IP address, localhost, or a name without a dot. No
// stranger can own such a name. A web page whose own name was made to resolve to this machine (DNS rebinding) has the
// same origin as the service, but it cannot call the service by a local name.
func IsLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

// emulators are the addresses by which an app in the emulators of Android and Genymotion calls the machine that runs
// it.
var emulators = []netip.Addr{netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("10.0.3.2")}

// IsOwnName reports whether the value of a Host header names this machine by itself: it is localhost, a loopback
// address, the address that the connection reached, or the machine's own name, with or without ".local". A name that
// only a DNS server gives to this machine is none, with or without a dot: proxies call it by such names.
func IsOwnName(host string, reached netip.Addr) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip == reached.Unmap().WithZone("") || slices.Contains(emulators, ip)
	}
	host = strings.ToLower(host)
	own, err := os.Hostname()
	own = strings.TrimSuffix(strings.ToLower(own), ".local")
	isOwn := err == nil && own != "" && !strings.Contains(own, ".") && strings.TrimSuffix(host, ".local") == own
	return isOwn || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// IsLoopback reports whether a server that listens on the address, such as 127.0.0.1:1628, is reached from this machine
// alone.
func IsLoopback(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Reachable returns the address by which a client on this machine calls a server that listens on the given one: an
// unspecified host becomes 127.0.0.1.
func Reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598; private networks that span providers use it

// IsPublic reports whether an address is reached through networks of other owners.
func IsPublic(ip netip.Addr) bool {
	ip = ip.Unmap()
	private := ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
	return !private && !shared.Contains(ip)
}

// IsPublicHost reports whether the host, a name or an address, resolves to a public address. A name that does not
// resolve is not public.
func IsPublicHost(ctx context.Context, host string) bool {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(ips, IsPublic)
}
