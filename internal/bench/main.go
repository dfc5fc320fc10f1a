// Command bench measures the service against a yardstick: a server on the same stack that does nothing but the bare
// writes, with no checks, no limits and no log. With -baseline it also measures another version of the service. Each
// contestant runs in a process of its own and is called by the same clients, in turns. Their data is kept in the
// servers that TEST_POSTGRES_URL and TEST_REDIS_URL name.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/redis/go-redis/v9"
)

var (
	clients = flag.Int("clients", 32, "requests in flight")
	rounds  = flag.Int("rounds", 5, "rounds, each with every server")
	logins  = flag.Int("logins", 2000, "logins a round and server")

	delay    = flag.Duration("delay", 0, "time that the webhook takes for a message")
	baseline = flag.String("baseline", "", "binary of another version of the service")
)

// firstRedis is the number of the first Redis database that is used.
const firstRedis = 60

func main() {
	flag.Parse()
	run := bench
	if flag.Arg(0) == "yardstick" {
		run = yardstick
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bench(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "otp-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	contestants, err := build(ctx, dir)
	if err != nil {
		return err
	}
	inbox := newInbox()
	defer inbox.Close()
	stop, err := startAll(ctx, contestants, dir, inbox)
	defer stop()
	if err != nil {
		return err
	}
	calls := callsOf(inbox)
	for range *rounds {
		for _, c := range contestants {
			if err := c.measure(calls, inbox); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	report(calls, contestants)
	return nil
}

// build returns the contestants: the yardstick, the service as it stands in the working directory, and the baseline.
func build(ctx context.Context, dir string) ([]*contestant, error) {
	binary := filepath.Join(dir, "dekamond-otp")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "dekamond-otp").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	contestants := []*contestant{newContestant("yardstick", self, "yardstick"), newContestant("service", binary)}
	if *baseline != "" {
		contestants = append(contestants, newContestant("baseline", *baseline))
	}
	return contestants, nil
}

// startAll starts every contestant with stores of its own, because versions need not agree on what they store. stop
// ends them and removes their data. It must be called, also after an error.
func startAll(ctx context.Context, contestants []*contestant, dir string, inbox *inbox) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	server, err := url.Parse(os.Getenv("TEST_POSTGRES_URL"))
	if err != nil || server.Host == "" {
		return stop, errors.New("TEST_POSTGRES_URL is not set; make bench starts the servers that this needs")
	}
	o, err := redis.ParseURL(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		return stop, err
	}
	for i, c := range contestants {
		postgres, drop, err := newDatabase(ctx, server, c.name)
		if err != nil {
			return stop, err
		}
		stops = append(stops, drop)
		o.DB = firstRedis + i
		r := redis.NewClient(o)
		stops = append(stops, func() { r.FlushDB(ctx); _ = r.Close() })
		end, err := c.start(dir, []string{
			"DATABASE_URL=" + postgres,
			fmt.Sprintf("REDIS_URL=redis://%s/%d", o.Addr, o.DB),
			"INTERNAL_ADDR=off",
			"SMS_PROVIDERS=webhook",
			"SMS_WEBHOOK_URL=" + inbox.URL,
			"SMS_WEBHOOK_SECRET=a-secret-of-the-webhook",
			"OTP_LIMIT_IP=off",
		})
		if err != nil {
			return stop, err
		}
		stops = append(stops, end)
	}
	return stop, nil
}

// callsOf returns the calls that every person makes, in order.
func callsOf(inbox *inbox) []call {
	request := func(p *person) string { return fmt.Sprintf(`{"phone":"%s"}`, p.phone) }
	verify := func(p *person) string { return fmt.Sprintf(`{"phone":"%s","code":"%s"}`, p.phone, inbox.code(p.phone)) }
	refresh := func(p *person) string { return fmt.Sprintf(`{"refresh_token":"%s"}`, p.Refresh) }
	return []call{
		{"request", "POST", "/otp/request", request},
		{"verify", "POST", "/otp/verify", verify},
		{"me", "GET", "/me", func(*person) string { return "" }},
		{"refresh", "POST", "/token/refresh", refresh},
	}
}

// report prints the medians of the rates, and how the service compares with the other contestants.
func report(calls []call, contestants []*contestant) {
	fmt.Printf("%d clients, %d rounds of %d logins, webhook of %s; ", *clients, *rounds, *logins, *delay)
	fmt.Println("calls a second, and ratios of one round: median (least to most)")
	service := contestants[1]
	for _, call := range append(calls, call{name: arrival}) {
		fmt.Printf("%-9s", call.name)
		for _, c := range contestants {
			fmt.Printf(" %s %.0f", c.name, median(c.rates[call.name]))
		}
		for _, c := range contestants {
			if c != service {
				ratios := service.ratios(c, call.name)
				fmt.Printf("   service : %s %.2f", c.name, median(ratios))
				fmt.Printf(" (%.2f to %.2f)", slices.Min(ratios), slices.Max(ratios))
			}
		}
		fmt.Println()
	}
}

func median(v []float64) float64 { v = slices.Sorted(slices.Values(v)); return v[len(v)/2] }
