// Package localname tells by which names nobody but a person on this machine or its network calls a service: those that
// no stranger can own. A web page whose name was made to resolve to this machine (DNS rebinding) is of the same origin
// as the service, but it cannot call it by such a name.
package localname

import (
	"net"
	"net/netip"
	"strings"
)

// Is tells whether the value of a Host header is an address, localhost, or a name without a dot.
func Is(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}
