// Dekamond OTP is a phone-number login service. This file is the map of it: settings, stores, services,
// server, in the order in which they are opened, and closed the other way round.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
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

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/health"
	"dekamond-otp/internal/httpapi"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/operator"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/secret"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/stores"
	"dekamond-otp/internal/text"
	"dekamond-otp/internal/token"
	"dekamond-otp/internal/trace"
)

// gcPercent spends some 20 MB of memory on fewer collections: nearly all that a request allocates is garbage at its end.
const gcPercent = 400

const (
	drainTimeout = 10 * time.Second // for the requests in flight; the messages in hand have otp.DrainTimeout
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

// version is that of the newest entry in CHANGELOG.md (Semantic Versioning 2.0.0).
const version = "1.0.0"

var errUsage = errors.New("see dekamond-otp help")

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := godotenv.Load()
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		err = run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	default: // the cause would print what the file holds
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

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	command := cmp.Or(strings.Join(args, " "), "serve")
	switch command {
	case "keys new":
		return newKey(getenv, token.Algorithms[0], stdout)
	case "help", "-h", "--help":
		_, err := io.WriteString(stdout, usage)
		return err
	case "version":
		_, err := fmt.Fprintln(stdout, versionAndCommit())
		return err
	case "serve", "migrate", "doctor", "healthcheck":
	default:
		if algorithm, ok := strings.CutPrefix(command, "keys new "); ok {
			return newKey(getenv, algorithm, stdout)
		}
		return fmt.Errorf("unknown command; %w", errUsage)
	}
	c, err := config.Load(getenv, sms.Settings())
	if err != nil {
		return err
	}
	log := newLog(stderr, c)
	switch command {
	case "doctor":
		return doctor.Run(ctx, c, misspelt(), stdout)
	case "healthcheck":
		return health.Check(ctx, address.Reachable(c.HTTPAddr))
	case "migrate":
		return stores.Migrate(ctx, c, log)
	}
	return serve(ctx, c, log, stdout)
}

func serve(ctx context.Context, c *config.Config, log *slog.Logger, stdout io.Writer) (err error) {
	if names := misspelt(); len(names) > 0 {
		log.Warn("no such settings in .env", "names", strings.Join(names, " "))
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	if err := makeSecrets(c); err != nil {
		return err
	}
	tokens, err := token.NewIssuer(token.Options{
		Secret: []byte(c.JWTSecret.Reveal()), Folder: c.JWTKeys, Grace: c.JWTKeyGrace,
		Issuer: c.JWTIssuer, Audience: c.JWTAudience, TTL: c.AccessTTL, Log: log,
	})
	if err != nil {
		return setting.Faults{{Variable: "JWT_KEYS", Problem: err.Error()}}
	}
	texts, err := openTexts(c, log)
	if err != nil {
		return err
	}
	tracer := trace.Open(log, version)
	defer tracer.Close()
	history := operator.NewHistory()
	numbers := metrics.New(version, history)
	numbers.Expect(c.UsedProviders(), c.SMSRegions)
	providers, err := sms.OpenAll(c.UsedProviders(), sms.OpenOptions{
		Settings:   c.Providers,
		PublicURL:  c.PublicURL,
		HookSecret: c.HookSecret,
		Production: c.Production,
		Stdout:     stdout,
	})
	if err != nil {
		return err
	}
	router := sms.NewRouter(sms.RouterOptions{Providers: providers, Order: c.SMSProviders, Routes: c.SMSRoutes, Metrics: numbers, Log: log})

	policy := otp.Policy{
		Length: c.OTPLength, TTL: c.OTPTTL, MaxAttempts: c.OTPMaxAttempts, ResendAfter: c.OTPResendAfter,
		PerPhone: otp.Limit(c.OTPLimitPhone), PerAddress: otp.Limit(c.OTPLimitIP), DailyAttempts: c.OTPDailyAttempts,
	}
	stores, err := stores.Open(ctx, stores.Options{Config: c, Policy: policy, Metrics: numbers, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	numbers.Watch(metrics.Sources{
		RedisPool:    stores.Redis.Pool,
		DatabasePool: stores.Accounts.Pool,
		Outbox:       stores.Codes.Backlog,
		Resting:      router.Resting,
	})
	codes, err := otp.New(otp.Options{
		Store: stores.Codes, Router: router, Texts: texts, Metrics: numbers, Log: log, Tracer: tracer,
		Secret: []byte(c.OTPSecret.Reveal()), Policy: policy, Regions: c.SMSRegions, TestNumbers: c.OTPTestNumbers,
	})
	if err != nil {
		return err
	}
	users := account.New(account.Options{
		Store: stores.Accounts, Signer: tokens, Log: log, RefreshTTL: c.RefreshTTL, SignupLogsIn: c.SignupLogsIn,
		DormantAfter: c.DormantAfter, AuditTTL: c.AuditTTL,
	})
	server, err := httpapi.New(httpapi.Options{
		Login:          login.New(codes, users),
		Codes:          codes,
		Accounts:       users,
		Tokens:         tokens,
		Phones:         phone.NewParser(c.DefaultRegion, slices.Collect(maps.Keys(c.OTPTestNumbers))...),
		Log:            log,
		Metrics:        numbers,
		Tracer:         tracer,
		Checks:         []httpapi.Check{{Name: "database", Ping: stores.Accounts.Ping}, {Name: "redis", Ping: stores.Redis.Ping}},
		Hooks:          hooks(c, log, providers),
		PublicURL:      c.PublicURL,
		AdminKeys:      reveal(c.AdminAPIKey),
		TrustedProxies: c.TrustedProxies,
		CORSOrigins:    c.CORSOrigins,
		LoginPage:      loginPage(c),
		Inbox:          inbox(c, providers),
	})
	if err != nil {
		return err
	}

	internal := operator.New(operator.Options{
		Version: version,
		Metrics: numbers.Handler(),
		History: history,
		Outbox:  stores.Codes.Backlog,
		Resting: router.Resting,
		Log:     log,
	})

	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { tokens.Watch(ctx, hangups, users.RecordKeys) })
	background.Go(func() { users.Housekeep(ctx) })
	// The couriers end after the last request, whose message may be in their hands.
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	counting, stopCounting := context.WithCancel(context.WithoutCancel(ctx))
	background.Go(func() { defer stopCounting(); codes.Deliver(delivering) })
	background.Go(func() { history.Share(counting, stores.History) })
	background.Go(func() { internal.Serve(counting, c.InternalAddr) })
	defer stopDelivering()

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.HTTPAddr)
	if err != nil {
		return err
	}
	greet(c, log, stdout, listener.Addr())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	drain, stop := context.WithTimeout(context.Background(), drainTimeout)
	defer stop()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("stopped with requests in flight: %w", err)
	}
	stopDelivering()
	background.Wait()
	log.Info("stopped")
	return nil
}

func newLog(w io.Writer, c *config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if c.LogFormat == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(httpapi.LogHandler(h))
}

// misspelt gives the names in .env that no setting has, and nothing else that reads it.
func misspelt() (names []string) {
	file, err := godotenv.Read()
	if err != nil { // there is none
		return nil
	}
	settings := config.Names(sms.Settings())
	others := []string{"OTEL_", "AWS_", "PUBLISH", "POSTGRES_", "COMPOSE_", "DOCKER_", "GO", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_", "TZ"}
	for name := range file {
		if !slices.Contains(settings, name) && !slices.ContainsFunc(others, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// makeSecrets makes what development may leave out.
func makeSecrets(c *config.Config) (err error) {
	if c.OTPSecret.IsZero() {
		if c.OTPSecret, err = secret.Kept("data/otp_secret"); err != nil {
			return err
		}
	}
	if c.JWTSecret.IsZero() && c.JWTKeys == "" {
		c.JWTSecret, err = secret.Kept("data/jwt_secret")
	}
	return err
}

func reveal(secrets []secret.Secret) (texts []string) {
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return texts
}

// newKey makes a signing key. It needs no other setting than the folder.
func newKey(getenv func(string) string, algorithm string, stdout io.Writer) error {
	folder, err := config.KeyFolder(getenv)
	if err != nil {
		return err
	}
	known := slices.IndexFunc(token.Algorithms, func(a string) bool { return strings.EqualFold(a, algorithm) })
	if known < 0 {
		return fmt.Errorf("keys new makes keys for %s; %w", strings.Join(token.Algorithms, ", "), errUsage)
	}
	path, id, err := token.NewKey(folder, token.Algorithms[known])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\nkid %s\n", path, id)
	return err
}

// hooks gives those providers whose delivery reports reach this service.
func hooks(c *config.Config, log *slog.Logger, providers []sms.Opened) map[string]httpapi.Hook {
	hooks := make(map[string]httpapi.Hook)
	for _, p := range providers {
		if p.Reports {
			hooks[p.Name] = p.Provider.(httpapi.Hook)
		}
		log.Info("provider", "name", p.Name, "channels", strings.Join(p.Channels(), ","), "delivery_reports", p.Reports)
		if p.Name == "webhook" && c.Providers.Text("SMS_WEBHOOK_SECRET") == "" {
			log.Warn("webhook calls are not signed", "missing", "SMS_WEBHOOK_SECRET")
		}
	}
	return hooks
}

// loginPage is nil where there is to be none.
func loginPage(c *config.Config) *httpapi.LoginPage {
	if !c.LoginPage {
		return nil
	}
	return &httpapi.LoginPage{AppName: c.AppName, DefaultRegion: c.DefaultRegion, Regions: c.SMSRegions, CodeLength: c.OTPLength}
}

// inbox gives the messages that the console has shown, where it is the only provider, in development.
func inbox(c *config.Config, providers []sms.Opened) iter.Seq2[otp.Message, time.Time] {
	if console, ok := providers[0].Provider.(*sms.Console); ok && len(providers) == 1 && !c.Production {
		return console.Recent
	}
	return nil
}

// openTexts gives the texts of messages, and warns of those that cost more than one message.
func openTexts(c *config.Config, log *slog.Logger) (*text.Texts, error) {
	texts, err := text.New(text.Options{
		App: c.AppName, Digits: c.OTPLength, TTL: c.OTPTTL, Origin: c.WebOTPOrigin, AndroidHash: c.AndroidAppHash, Folder: c.SMSTexts,
	})
	if err != nil {
		return nil, setting.Faults{{Variable: "SMS_TEXTS", Problem: err.Error()}}
	}
	for _, cost := range texts.Costs() {
		log.Warn("text costs more than one message", "locale", cost.Locale, "purpose", cost.Purpose, "segments", cost.Segments, "characters", cost.Characters, "bytes", cost.Bytes)
	}
	return texts, nil
}

const try = `
Dekamond OTP answers on http://%[1]s. Try it:

%[2]s  http://%[1]s/docs  has the calls, and makes them
%[3]s
  curl -i http://%[1]s/otp/request -H 'Content-Type: application/json' -d '{"phone":"+989121234567"}'
  curl -i http://%[1]s/otp/verify -H 'Content-Type: application/json' -d '{"phone":"+989121234567","code":"THE CODE"}'

`

func greet(c *config.Config, log *slog.Logger, stdout io.Writer, listening net.Addr) {
	log.Info("listening", "address", listening.String(), "version", version, "production", c.Production)
	if !c.Production {
		own, page := address.Reachable(listening.String()), ""
		if c.LoginPage {
			page = "  http://" + own + "/      is a page to log in on\n"
		}
		operator := ""
		if c.InternalAddr != "" {
			operator = "  http://" + address.Reachable(c.InternalAddr) + "/      shows whether codes arrive\n"
		}
		fmt.Fprintf(stdout, try, own, page, operator)
	}
}

// versionAndCommit returns the version, and the commit in parentheses if the build recorded it.
func versionAndCommit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return version + " (" + s.Value + ")"
		}
	}
	return version
}
