// Dekamond OTP is a phone-number login service. This file is its map: settings, stores, services and servers, in the
// order in which they are opened; they are closed in the reverse order.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/joho/godotenv"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/health"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/operator"
	"dekamond-otp/internal/servers"
	"dekamond-otp/internal/services"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/stores"
	"dekamond-otp/internal/token"
	"dekamond-otp/internal/trace"
)

const (
	version      = "1.1.0"          // of the newest entry in CHANGELOG.md (Semantic Versioning 2.0.0)
	drainTimeout = 10 * time.Second // for requests in flight; messages in flight have otp.DrainTimeout
	gcPercent    = 400              // costs about 20 MB, and saves collections: a request leaves little but garbage
)

const usage = `Dekamond OTP, a phone-number login service.

usage: dekamond-otp [command]

  serve        answer requests (default)
  migrate      bring the database up to date and exit
  keys new     create a signing key (EdDSA) in the folder JWT_KEYS; keys new ES256 and keys new RS256 create others
  doctor       report what is weak or wrong in settings, stores and providers; changes and sends nothing
  healthcheck  ask the service on HTTP_ADDR whether it is alive
  version      print the version, and the commit if the build recorded it
  help         print this

Settings are environment variables, and a file .env is read too. docs/settings.md lists them.
`

var errUsage = errors.New("see dekamond-otp help")

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := godotenv.Load()
	switch {
	case err == nil, errors.Is(err, os.ErrNotExist):
		err = run(ctx, strings.Join(os.Args[1:], " "))
	default: // err could quote a secret in the file
		err = setting.Faults{{Variable: ".env", Problem: "must hold one NAME=value a line"}}
	}
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if _, ok := errors.AsType[setting.Faults](err); ok || errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// run runs a command, which includes its arguments.
func run(ctx context.Context, command string) (err error) {
	var c *config.Config
	withSettings := map[string]func() error{
		"serve":       func() error { return serve(ctx, c, servers.NewLog(os.Stderr, c)) },
		"migrate":     func() error { return stores.Migrate(ctx, c, servers.NewLog(os.Stderr, c)) },
		"doctor":      func() error { return doctor.Run(ctx, c, misspelt(), os.Stdout) },
		"healthcheck": func() error { return health.Check(ctx, address.Reachable(c.HTTPAddr)) },
	}
	if do, ok := withSettings[cmp.Or(command, "serve")]; ok {
		if c, err = config.Load(os.Getenv, sms.Settings()); err != nil {
			return err
		}
		return do()
	}
	switch command {
	case "help", "-h", "--help":
		_, err = fmt.Print(usage)
		return err
	case "version":
		_, err = fmt.Println(versionAndCommit())
		return err
	}
	if algorithm, ok := strings.CutPrefix(command+" ", "keys new "); ok {
		return newKey(cmp.Or(strings.TrimSpace(algorithm), token.Algorithms[0]))
	}
	return fmt.Errorf("unknown command; %w", errUsage)
}

// A service is what serve has opened.
type service struct {
	hangups  chan os.Signal // SIGHUP; each signal makes the service read the signing keys again
	history  *operator.History
	stores   *stores.Stores
	services *services.Services
	servers  *servers.Servers
}

// serve opens the service, answers requests until ctx is done, and closes it.
func serve(ctx context.Context, c *config.Config, log *slog.Logger) (err error) {
	// Settings: every fault in them is found before a store is opened.
	s := service{hangups: make(chan os.Signal, 1), history: operator.NewHistory()}
	signal.Notify(s.hangups, syscall.SIGHUP)
	if names := misspelt(); len(names) > 0 {
		log.WarnContext(ctx, "unknown settings in .env", "names", strings.Join(names, " "))
	}
	tools, err := services.NewTools(c, os.Stdout, log)
	if err != nil {
		return err
	}
	tracer := trace.Open(log, version)
	defer tracer.Close()
	counters := metrics.New(version, s.history)

	// Stores.
	s.stores, err = stores.Open(ctx, stores.Options{Config: c, Policy: services.Policy(c), Metrics: counters, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stores.Close()) }()

	// Services.
	s.services, err = services.New(services.Options{
		Config:       c,
		Tools:        tools,
		CodeStore:    s.stores.Codes,
		AccountStore: s.stores.Accounts,
		Metrics:      counters,
		Tracer:       tracer,
		Log:          log,
	})
	if err != nil {
		return err
	}

	// Servers.
	o := servers.Options{Version: version, History: s.history, Stores: s.stores, Services: s.services}
	if s.servers, err = servers.New(o); err != nil {
		return err
	}
	return s.answer(ctx)
}

// answer starts the servers and the work in the background, and stops them when ctx is done.
func (s service) answer(ctx context.Context) error {
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
	background.Go(func() { defer stopCounting(); s.services.Codes.Deliver(delivery) })
	background.Go(func() { s.history.Share(counting, s.stores.History) })
	background.Go(func() { s.servers.Operator.Serve(counting, c.InternalAddr) })
	listener, err := new(net.ListenConfig).Listen(requests, "tcp", c.HTTPAddr)
	if err != nil {
		return err
	}
	own := listener.Addr()
	log.InfoContext(ctx, "listening", "address", own.String(), "version", version, "production", c.Production)
	servers.Welcome(os.Stdout, c, own)
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

// misspelt returns the names in .env that are no settings.
func misspelt() []string {
	file, _ := godotenv.Read() // main has reported an unreadable file
	return config.Unknown(file, sms.Settings())
}

// newKey makes a signing key. It needs no other setting than the folder.
func newKey(algorithm string) error {
	folder, err := config.KeyFolder(os.Getenv)
	if err != nil {
		return err
	}
	known := slices.IndexFunc(token.Algorithms, func(a string) bool { return strings.EqualFold(a, algorithm) })
	if known < 0 {
		return fmt.Errorf("keys new makes keys for %s; %w", strings.Join(token.Algorithms, ", "), errUsage)
	}
	path, id, err := token.NewKey(folder, token.Algorithms[known])
	if err == nil {
		fmt.Printf("%s\nkid %s\n", path, id)
	}
	return err
}

// versionAndCommit returns the version, and the commit in parentheses if the build recorded it.
func versionAndCommit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return version + " (" + s.Value + ")"
			}
		}
	}
	return version
}
