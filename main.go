// Dekamond OTP is a phone-number login service. This file is its map: settings, stores, services and servers, in the
// order in which they are opened; they are closed in the reverse order.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/command"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/operator"
	"dekamond-otp/internal/servers"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/stores"
	"dekamond-otp/internal/trace"
)

// version is that of the newest entry in CHANGELOG.md (Semantic Versioning 2.0.0). The argument VERSION of the
// Dockerfile replaces it with -ldflags "-X main.version=…".
var version = "1.3.0"

const (
	drainTimeout = 10 * time.Second // for requests in flight; messages in flight have otp.DrainTimeout
	gcPercent    = 400              // costs about 20 MB, and saves collections: a request leaves little but garbage
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(command.Run(ctx, command.Options{
		Version: version,
		Args:    os.Args[1:],
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Serve:   serve,
	}))
}

// A service is what serve has opened.
type service struct {
	hangups  chan os.Signal // SIGHUP; each signal makes the service read the signing keys again
	internal net.Listener   // of INTERNAL_ADDR; nil if it is off
	history  *operator.History
	stores   *stores.Stores
	services *services.Services
	servers  *servers.Servers
}

// serve opens the service, answers requests until ctx is done, and closes it.
func serve(ctx context.Context, c *config.Config, log *slog.Logger) (err error) {
	// Settings: every fault in them, and an address in use, is found before a store is made or opened.
	s := service{hangups: make(chan os.Signal, 1), history: operator.NewHistory()}
	signal.Notify(s.hangups, syscall.SIGHUP)
	if s.internal, err = servers.Reserve(ctx, c, log); err != nil {
		return err
	}
	tools, err := services.NewTools(c, new(clock.Clock), os.Stdout, log)
	if err != nil {
		return err
	}
	tracer := trace.Open(log, version)
	defer tracer.Close()
	counters := metrics.New(version, s.history)

	// Stores.
	s.stores, err = stores.Open(ctx, stores.Options{
		Config:  c,
		Policy:  services.Policy(c),
		Metrics: counters,
		Clock:   tools.Clock,
		Log:     log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stores.Close()) }()

	// Services.
	s.services, err = services.New(services.Options{
		Config:        c,
		Tools:         tools,
		CodeStore:     s.stores.Codes,
		AccountStore:  s.stores.Accounts,
		AccountHealth: s.stores.DatabaseHealth,
		Metrics:       counters,
		Tracer:        tracer,
		Log:           log,
	})
	if err != nil {
		return err
	}

	// Servers.
	o := servers.Options{
		Version:  version,
		History:  s.history,
		Stores:   s.stores,
		Services: s.services,
		Examine:  func(ctx context.Context, report io.Writer) error { return examine(ctx, c, report) },
	}
	if s.servers, err = servers.New(o); err != nil {
		return err
	}
	listener, err := servers.Listen(ctx, c)
	if err != nil {
		return err
	}
	return s.answer(ctx, listener)
}

// examine writes the doctor's report. That something is wrong is no error here, because the report says it. The names
// that are no settings are in the log.
func examine(ctx context.Context, c *config.Config, report io.Writer) error {
	if err := doctor.Run(ctx, c, nil, report); !errors.Is(err, doctor.ErrWrong) {
		return err
	}
	return nil
}

// answer starts the servers and the work in the background, and stops them when ctx is done.
func (s service) answer(ctx context.Context, listener net.Listener) error {
	// requests ends with the first signal: from then on no request is accepted, and keys and old rows are left alone.
	requests, stopRequests := context.WithCancel(ctx)
	// delivery ends after the last request, because a courier may still hold its message.
	delivery, stopDelivery := context.WithCancel(context.WithoutCancel(ctx))
	// counting ends after the last delivery, so that it is counted, shared with the other copies and shown.
	counting, stopCounting := context.WithCancel(context.WithoutCancel(ctx))

	// Start.
	c, log := s.services.Config, s.services.Log
	var background sync.WaitGroup
	defer background.Wait()
	defer stopDelivery()
	defer stopRequests()
	background.Go(func() { s.services.Tokens.Watch(requests, s.hangups, s.services.Users.RecordKeys) })
	background.Go(func() { s.services.Users.Housekeep(requests) })
	background.Go(func() { s.stores.Watch(requests) })
	background.Go(func() { defer stopCounting(); s.services.Codes.Deliver(delivery) })
	background.Go(func() { s.history.Share(counting, s.stores.History) })
	background.Go(func() { s.servers.Operator.Serve(counting, s.internal) })
	own := listener.Addr().String()
	log.InfoContext(ctx, "listening", "address", own, "version", version, "production", c.Production)
	servers.Welcome(os.Stdout, c, listener, s.internal)
	served := make(chan error, 1)
	go func() { served <- s.servers.API.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-requests.Done():
	}

	// Stop.
	log.InfoContext(ctx, "stopping")
	drain, stop := context.WithTimeout(context.Background(), drainTimeout)
	defer stop()
	if err := s.servers.API.Shutdown(drain); err != nil {
		return fmt.Errorf("stopped with requests in flight: %w", err)
	}
	stopDelivery()
	background.Wait()
	log.InfoContext(ctx, "stopped")
	return nil
}
