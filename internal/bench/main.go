// Command bench measures the service against a yardstick: a server on the same stack that does nothing
// but the bare writes, with no checks, no limits and no log, and, if -baseline names its binary, against another
// version of the service. Each runs as a process of its own, is asked by the same clients in turns, and uses the
// servers that TEST_POSTGRES_URL and TEST_REDIS_URL name.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

var (
	clients = flag.Int("clients", 32, "requests in flight")
	rounds  = flag.Int("rounds", 5, "rounds, each with both servers")
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

func bench(ctx context.Context) (err error) {
	server, err := url.Parse(os.Getenv("TEST_POSTGRES_URL"))
	if err != nil || server.Host == "" {
		return errors.New("TEST_POSTGRES_URL is not set; make bench starts what this needs")
	}
	o, err := redis.ParseURL(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "otp-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "dekamond-otp")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "dekamond-otp").CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	inbox := newInbox()
	defer inbox.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	contestants := []*contestant{{name: "yardstick", command: []string{self, "yardstick"}}, {name: "service", command: []string{binary}}}
	if *baseline != "" {
		contestants = append(contestants, &contestant{name: "baseline", command: []string{*baseline}})
	}
	for i, c := range contestants {
		c.rates = make(map[string][]float64)
		// Stores of its own: versions need not agree on what they keep.
		postgres, dropDatabase, err := newDatabase(ctx, server, c.name)
		if err != nil {
			return err
		}
		defer dropDatabase()
		o.DB = firstRedis + i
		r := redis.NewClient(o)
		defer r.Close()
		defer r.FlushDB(ctx)
		stop, err := c.start(dir, []string{
			"DATABASE_URL=" + postgres, fmt.Sprintf("REDIS_URL=redis://%s/%d", o.Addr, o.DB), "INTERNAL_ADDR=off",
			"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + inbox.URL, "SMS_WEBHOOK_SECRET=a-secret-of-the-webhook", "OTP_LIMIT_IP=off",
		})
		if err != nil {
			return err
		}
		defer stop()
	}

	calls := []call{
		{"request", "POST", "/otp/request", func(p *person) string { return fmt.Sprintf(`{"phone":"%s"}`, p.phone) }},
		{"verify", "POST", "/otp/verify", func(p *person) string { return fmt.Sprintf(`{"phone":"%s","code":"%s"}`, p.phone, inbox.code(p.phone)) }},
		{"me", "GET", "/me", func(*person) string { return "" }},
		{"refresh", "POST", "/token/refresh", func(p *person) string { return fmt.Sprintf(`{"refresh_token":"%s"}`, p.Refresh) }},
	}
	for range *rounds {
		for _, c := range contestants {
			people := newPeople()
			for _, call := range calls {
				rate, err := load(c.url, call, people)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				c.rates[call.name] = append(c.rates[call.name], rate)
				if call.name == "request" { // what the couriers still do would slow down the next call
					rate, err := inbox.await(people, float64(len(people))/rate)
					if err != nil {
						return fmt.Errorf("%s: %w", c.name, err)
					}
					c.rates[arrival] = append(c.rates[arrival], rate)
				}
			}
		}
	}
	fmt.Printf("%d clients, %d rounds of %d logins, webhook of %s; calls a second, and ratios of one round: median (least to most)\n", *clients, *rounds, *logins, *delay)
	service := contestants[1]
	for _, call := range append(calls, call{name: arrival}) {
		fmt.Printf("%-9s", call.name)
		for _, c := range contestants {
			fmt.Printf(" %s %.0f", c.name, median(c.rates[call.name]))
		}
		for _, c := range contestants {
			if c == service {
				continue
			}
			var ratios []float64
			for k, rate := range c.rates[call.name] {
				ratios = append(ratios, service.rates[call.name][k]/rate)
			}
			slices.Sort(ratios)
			fmt.Printf("   service : %s %.2f (%.2f to %.2f)", c.name, median(ratios), ratios[0], ratios[len(ratios)-1])
		}
		fmt.Println()
	}
	return nil
}

// A contestant is a server under measurement.
type contestant struct {
	name    string
	command []string
	url     string
	rates   map[string][]float64 // a second, of each call by its name and of the arrival, by rounds
}

// arrival is what is measured from the first request to the last message.
const arrival = "arrival"

func median(v []float64) float64 { v = slices.Sorted(slices.Values(v)); return v[len(v)/2] }

func exec1(ctx context.Context, url, statement string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

// newDatabase makes an empty database on the server.
func newDatabase(ctx context.Context, server *url.URL, contestant string) (url string, drop func(), err error) {
	name := "bench_" + contestant
	if err := exec1(ctx, server.String(), "create database "+name); err != nil {
		return "", nil, err
	}
	own := *server
	own.Path = "/" + name
	return own.String(), func() {
		if err := exec1(ctx, server.String(), "drop database "+name+" with (force)"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}

// start runs the server on a free port until stop.
func (c *contestant) start(dir string, env []string) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	log, err := os.CreateTemp(dir, "log")
	if err != nil {
		return nil, err
	}
	server := exec.Command(c.command[0], c.command[1:]...)
	server.Dir, server.Stderr, server.Env = dir, log, append([]string{"HTTP_ADDR=" + address}, env...)
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() { _ = server.Process.Kill(); _ = server.Wait() }
	for range 300 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			c.url = "http://" + address
			return stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("%s does not start: %s", c.name, text)
}

// A person logs in with a phone and then has tokens.
type person struct {
	phone   string
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

var lastPhone atomic.Int64

func newPeople() []*person {
	people := make([]*person, *logins)
	for i := range people {
		people[i] = &person{phone: fmt.Sprintf("+98912%07d", 1_000_000+lastPhone.Add(1))}
	}
	return people
}

// An inbox is a webhook that keeps the code of each phone.
type inbox struct {
	*httptest.Server
	codes sync.Map
}

func newInbox() *inbox {
	i := new(inbox)
	i.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ To, Code string }
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			i.codes.Store(m.To, m.Code)
		}
		time.Sleep(*delay)
	}))
	return i
}

// await waits for everybody's message and gives the messages a second, from the first request on, which began that
// many seconds ago.
func (i *inbox) await(people []*person, ago float64) (rate float64, err error) {
	began := time.Now()
	for _, p := range people {
		for i.code(p.phone) == nil {
			if time.Since(began) > time.Minute {
				return 0, errors.New("a message has not arrived")
			}
			time.Sleep(time.Millisecond)
		}
	}
	return float64(len(people)) / (ago + time.Since(began).Seconds()), nil
}

func (i *inbox) code(phone string) any { code, _ := i.codes.Load(phone); return code }

// A call is what every person does in turn.
type call struct {
	name, method, path string
	body               func(*person) string
}

func (c call) do(client *http.Client, base string, p *person) error {
	r, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body(p)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if p.Access != "" {
		r.Header.Set("Authorization", "Bearer "+p.Access)
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %d %s", c.path, response.StatusCode, text)
	}
	return json.Unmarshal(text, p)
}

// load makes the call once for each person and gives the answers a second. Each must be a 2xx.
func load(base string, c call, people []*person) (rate float64, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *clients}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	work := make(chan *person, len(people))
	for _, p := range people {
		work <- p
	}
	close(work)
	errs := make([]error, *clients)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range *clients {
		wg.Go(func() {
			for p := range work {
				if errs[i] = c.do(client, base, p); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(len(people)) / time.Since(began).Seconds(), errors.Join(errs...)
}
