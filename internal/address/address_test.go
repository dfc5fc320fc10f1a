package address

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestIsLocalName(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:1629":         true,
		"[::1]:1629":             true,
		"[::1]":                  true,
		"192.168.1.7":            true,
		"10.0.2.2:1628":          true,
		"localhost":              true,
		"localhost:1629":         true,
		"app.localhost":          true,
		"otp:1629":               true,
		"evil.example":           false,
		"evil.example:1628":      false,
		"evil.example.":          false,
		"127.0.0.1.nip.example":  false,
		"localhost.evil.example": false,
	} {
		if got := IsLocalName(host); got != want {
			t.Errorf("IsLocalName(%s) = %v; want %v", host, got, want)
		}
	}
}

func TestIsOwnName(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	hostname, _, _ = strings.Cut(hostname, ".")
	for host, want := range map[string]bool{
		"localhost":               true,
		"LOCALHOST:1628":          true,
		"app.localhost:1628":      true,
		"127.0.0.1:1628":          true,
		"127.8.8.8":               true,
		"[::1]:1628":              true,
		"[::ffff:127.0.0.1]:1628": true,
		"192.168.1.7:1628":        true, // the address that the connection reached
		"10.0.2.2:1628":           true,
		hostname + ":1628":        true,
		hostname + ".local":       true,
		"":                        false,
		":1628":                   false,
		"otp:1628":                false,
		"backend":                 false,
		"192.168.1.8:1628":        false,
		"203.0.113.5":             false,
		"[fd00::1]:1628":          false,
		"evil.example":            false,
		hostname + ".example":     false,
		"localhost.":              false,
		"localhost.evil.example":  false,
		"127.0.0.1.evil.example":  false,
		"127.1":                   false,
		"0.0.0.0:1628":            false,
	} {
		if got := IsOwnName(host, netip.MustParseAddr("::ffff:192.168.1.7")); got != want {
			t.Errorf("IsOwnName(%s) = %v; want %v", host, got, want)
		}
	}
}

func TestListeningAddresses(t *testing.T) {
	for listen, want := range map[string]struct {
		loopback  bool
		reachable string
	}{
		"127.0.0.1:1628":   {true, "127.0.0.1:1628"},
		"127.9.9.9:1628":   {true, "127.9.9.9:1628"},
		"[::1]:1628":       {true, "[::1]:1628"},
		"localhost:1628":   {true, "localhost:1628"},
		":1628":            {false, "127.0.0.1:1628"},
		"0.0.0.0:1628":     {false, "127.0.0.1:1628"},
		"[::]:1628":        {false, "127.0.0.1:1628"},
		"192.168.1.7:1628": {false, "192.168.1.7:1628"},
		"otp.example:1628": {false, "otp.example:1628"},
	} {
		if got := IsLoopback(listen); got != want.loopback {
			t.Errorf("IsLoopback(%s) = %v; want %v", listen, got, want.loopback)
		}
		if got := Reachable(listen); got != want.reachable {
			t.Errorf("Reachable(%s) = %s; want %s", listen, got, want.reachable)
		}
	}
}

func TestIsPublic(t *testing.T) {
	for ip, want := range map[string]bool{
		"127.0.0.1":       false,
		"10.1.2.3":        false,
		"172.20.0.2":      false,
		"192.168.1.1":     false,
		"169.254.1.1":     false,
		"100.100.1.1":     false,
		"::1":             false,
		"fd00::1":         false,
		"fe80::1":         false,
		"::ffff:10.0.0.1": false,
		"8.8.8.8":         true,
		"172.32.0.1":      true,
		"2001:db8::1":     true,
		"::ffff:8.8.8.8":  true,
	} {
		if got := IsPublic(netip.MustParseAddr(ip)); got != want {
			t.Errorf("IsPublic(%s) = %v; want %v", ip, got, want)
		}
	}
	if !IsPublicHost(t.Context(), "198.51.100.7") || IsPublicHost(t.Context(), "localhost") {
		t.Error("IsPublicHost: want an address to stand for itself, and localhost not to be public")
	}
}
