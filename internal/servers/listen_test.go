package servers

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/setting"
)

func TestRefusal(t *testing.T) {
	for _, tc := range []struct {
		address string
		err     error
		want    string
	}{
		{
			"127.0.0.1:1628", syscall.EADDRINUSE,
			"127.0.0.1:1628 is in use: another copy may be running; stop it, or set HTTP_ADDR=127.0.0.1:1630",
		},
		{
			":65535", syscall.EADDRINUSE,
			":65535 is in use: another copy may be running; stop it, or set HTTP_ADDR=:65533",
		},
		{
			"[::1]:80", syscall.EACCES,
			"port 80 is for processes with a privilege (CAP_NET_BIND_SERVICE); give it to this one, or " +
				"set HTTP_ADDR=[::1]:1628",
		},
		{
			"192.0.2.1:1628", syscall.EADDRNOTAVAIL,
			"192.0.2.1 is no address of this machine; for all addresses of it, set HTTP_ADDR=:1628",
		},
		{
			"nohost:1628", &net.DNSError{},
			"the host nohost is not known; for all addresses of this machine, set HTTP_ADDR=:1628",
		},
		{"[::1]:1628", syscall.EAFNOSUPPORT, "[::1]:1628 cannot be listened on: " + syscall.EAFNOSUPPORT.Error()},
	} {
		err := &net.OpError{Op: "listen", Err: tc.err}
		if got := refusal("HTTP_ADDR", tc.address, "", err); got != tc.want {
			t.Errorf("refusal of %s for %v: %s; want %s", tc.address, tc.err, got, tc.want)
		}
	}
}

// TestReserve checks that HTTP_ADDR is left free, that INTERNAL_ADDR is kept, and that an address in use is named by
// its setting.
func TestReserve(t *testing.T) {
	free := func() string {
		l := take(t, "127.0.0.1:0")
		defer l.Close()
		return l.Addr().String()
	}
	var log strings.Builder
	reserve := func(api, internal string) (net.Listener, error) {
		log.Reset()
		c := &config.Config{HTTPAddr: api, InternalAddr: internal}
		l, err := Reserve(context.Background(), c, slog.New(slog.NewTextHandler(&log, nil)))
		if l != nil {
			t.Cleanup(func() { l.Close() })
		}
		return l, err
	}
	api, internal := free(), free()
	l, err := reserve(api, internal)
	if err != nil || l == nil || l.Addr().String() != internal {
		t.Fatalf("Reserve: %v, %v; want a listener of INTERNAL_ADDR", l, err)
	}
	take(t, api).Close()
	if l, err := reserve(api, ""); l != nil || err != nil || log.Len() > 0 {
		t.Errorf("with INTERNAL_ADDR off: %v, %v, %s; want nothing", l, err, &log)
	}
	for internal, words := range map[string]string{
		internal: "is in use: another copy may be running",
		api:      "is in use by this copy, for HTTP_ADDR: set INTERNAL_ADDR=",
	} {
		l, err := reserve(api, internal)
		want := "INTERNAL_ADDR: " + internal + " " + words
		if l != nil || err != nil || !strings.Contains(log.String(), want) {
			t.Errorf("INTERNAL_ADDR in use: %v, %v, %s; want %s and nothing else", l, err, &log, want)
		}
	}
	taken := take(t, "127.0.0.1:0")
	defer taken.Close()
	_, err = reserve(taken.Addr().String(), "")
	if refused, ok := errors.AsType[setting.Refused](err); !ok || refused.Variable != "HTTP_ADDR" {
		t.Errorf("HTTP_ADDR in use: %v; want it refused", err)
	}
}

func take(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
