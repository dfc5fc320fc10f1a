// Command bench measures the service against a yardstick: a server on the same stack that does nothing
// but the bare writes, with no checks, no limits and no log. Both run as processes of their own, are asked
// by the same clients in turns, and use the servers that TEST_POSTGRES_URL and TEST_REDIS_URL name.
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
)

const (
	database      = "bench"
	redisDatabase = 60
)

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
	if err := exec1(ctx, server.String(), "create database "+database); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, exec1(ctx, server.String(), "drop database "+database+" with (force)"))
	}()
	postgres := *server
	postgres.Path = "/" + database

	o, err := redis.ParseURL(os.Getenv("TEST_REDIS_URL"))
	if err != nil {
		return err
	}
	o.DB = redisDatabase
	r := redis.NewClient(o)
	defer r.Close()
	defer r.FlushDB(ctx)

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
	env := []string{
		"DATABASE_URL=" + postgres.String(), fmt.Sprintf("REDIS_URL=redis://%s/%d", o.Addr, o.DB),
		"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + inbox.URL, "SMS_WEBHOOK_SECRET=a-secret-of-the-webhook", "OTP_LIMIT_IP=off",
	}
	service, stop, err := start(dir, env, binary)
	if err != nil {
		return err
	}
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	yard, stopYard, err := start(dir, env, self, "yardstick")
	if err != nil {
		return err
	}
	defer stopYard()

	calls := []call{
		{"request", "POST", "/otp/request", func(p *person) string { return fmt.Sprintf(`{"phone":"%s"}`, p.phone) }},
		{"verify", "POST", "/otp/verify", func(p *person) string { return fmt.Sprintf(`{"phone":"%s","code":"%s"}`, p.phone, inbox.code(p.phone)) }},
		{"me", "GET", "/me", func(*person) string { return "" }},
		{"refresh", "POST", "/token/refresh", func(p *person) string { return fmt.Sprintf(`{"refresh_token":"%s"}`, p.Refresh) }},
	}
	var results [2][4][]float64 // of yardstick and service, of each call: calls a second
	for range *rounds {
		for i, base := range []string{yard, service} {
			people := newPeople()
			for j, c := range calls {
				rate, err := load(base, c, people)
				if err != nil {
					return err
				}
				results[i][j] = append(results[i][j], rate)
			}
		}
	}
	fmt.Printf("%d clients, %d rounds of %d logins\n%-9s %12s %12s   %s\n", *clients, *rounds, *logins, "", "yardstick/s", "service/s", "service : yardstick, median (least to most)")
	for j, c := range calls {
		var ratios []float64
		for k := range *rounds {
			ratios = append(ratios, results[1][j][k]/results[0][j][k])
		}
		slices.Sort(ratios)
		fmt.Printf("%-9s %12.0f %12.0f   %.2f (%.2f to %.2f)\n", c.name, median(results[0][j]), median(results[1][j]), median(ratios), ratios[0], ratios[len(ratios)-1])
	}
	return nil
}

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

// start runs a server on a free port until stop.
func start(dir string, env []string, binary string, args ...string) (base string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	l.Close()
	log, err := os.CreateTemp(dir, "log")
	if err != nil {
		return "", nil, err
	}
	c := exec.Command(binary, args...)
	c.Dir, c.Stderr, c.Env = dir, log, append([]string{"HTTP_ADDR=" + address}, env...)
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = c.Process.Kill(); _ = c.Wait() }
	for range 300 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address, stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	text, _ := os.ReadFile(log.Name())
	return "", nil, fmt.Errorf("%s does not start: %s", binary, text)
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
	}))
	return i
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
