package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"syscall"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/setting"
)

// Listen listens on HTTP_ADDR. The error is a setting.Refused.
func Listen(ctx context.Context, c *config.Config) (net.Listener, error) {
	return listen(ctx, "HTTP_ADDR", c.HTTPAddr, "")
}

// Reserve finds out that HTTP_ADDR cannot be listened on, before a store is made or opened; the error is a
// setting.Refused. It returns the listener of INTERNAL_ADDR, or nil if that is off or cannot be listened on. The latter
// is logged and nothing else: that the metrics are missing is no reason to keep people from logging in.
//
// HTTP_ADDR is left free again until the service is ready. Clients and load balancers are refused meanwhile and go to
// another copy. They would wait if the listener were kept, and a health check that only opens a connection would take
// a copy for ready that still migrates the database.
func Reserve(ctx context.Context, c *config.Config, log *slog.Logger) (internal net.Listener, err error) {
	api, err := Listen(ctx, c)
	if err != nil {
		return nil, err
	}
	defer api.Close() // after INTERNAL_ADDR, which could be the same
	if c.InternalAddr == "" {
		return nil, nil
	}
	internal, err = listen(ctx, "INTERNAL_ADDR", c.InternalAddr, c.HTTPAddr)
	if err != nil {
		log.WarnContext(ctx, "no operator's page and no metrics", "error", err.Error())
		return nil, nil
	}
	return internal, nil
}

// listen listens on the address in the variable, while the process itself listens on own, which may be empty.
func listen(ctx context.Context, variable, address, own string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, setting.Refused{Variable: variable, Problem: refusal(variable, address, own, err)}
	}
	return l, nil
}

// refusal returns why an address cannot be listened on, and what to do.
func refusal(variable, address, own string, err error) string {
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	set := func(host string, port int) string {
		return "set " + variable + "=" + net.JoinHostPort(host, strconv.Itoa(port))
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		next := number + 2 // the port between is the default of the other setting
		if next >= 1<<16 {
			next = number - 2
		}
		if _, taken, _ := net.SplitHostPort(own); taken == port {
			return address + " is in use by this copy, for HTTP_ADDR: " + set(host, next)
		}
		return address + " is in use: another copy may be running; stop it, or " + set(host, next)
	case errors.Is(err, fs.ErrPermission):
		const free = 1628
		return "port " + port + " is for processes with a privilege (CAP_NET_BIND_SERVICE); give it to this one, or " +
			set(host, free)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return host + " is no address of this machine; for all addresses of it, " + set("", number)
	case unknown:
		return "the host " + host + " is not known; for all addresses of this machine, " + set("", number)
	}
	return fmt.Sprintf("%s cannot be listened on: %v", address, err)
}
