package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"
)

// A contestant is a server that is measured.
type contestant struct {
	name    string
	command []string
	url     string
	rates   map[string][]float64 // calls a second of each round, by the name of the call
}

// arrival is the name under which the rate of messages is kept, from the first request to the last message.
const arrival = "arrival"

func newContestant(name string, command ...string) *contestant {
	return &contestant{name: name, command: command, rates: make(map[string][]float64)}
}

// measure runs one round. After the requests it waits for their messages, because couriers that are still at work
// would slow the next call down.
func (c *contestant) measure(calls []call, inbox *inbox) error {
	people := newPeople()
	for _, call := range calls {
		rate, err := load(c.url, call, people)
		if err != nil {
			return err
		}
		c.rates[call.name] = append(c.rates[call.name], rate)
		if call.name != "request" {
			continue
		}
		rate, err = inbox.await(people, float64(len(people))/rate)
		if err != nil {
			return err
		}
		c.rates[arrival] = append(c.rates[arrival], rate)
	}
	return nil
}

// ratios returns the rates of a call, each divided by the other contestant's rate in the same round.
func (c *contestant) ratios(other *contestant, call string) []float64 {
	ratios := make([]float64, len(c.rates[call]))
	for round, rate := range c.rates[call] {
		ratios[round] = rate / other.rates[call][round]
	}
	return ratios
}

// start runs the server on a free port until stop is called.
func (c *contestant) start(dir string, env []string) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
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
			_ = conn.Close()
			c.url = "http://" + address
			return stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("%s does not start: %s", c.name, text)
}

// newDatabase creates an empty database on the server.
func newDatabase(ctx context.Context, server *url.URL, contestant string) (url string, drop func(), err error) {
	name := "bench_" + contestant
	if err := execute(ctx, server.String(), "create database "+name); err != nil {
		return "", nil, err
	}
	own := *server
	own.Path = "/" + name
	return own.String(), func() {
		if err := execute(ctx, server.String(), "drop database "+name+" with (force)"); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, url, statement string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}
