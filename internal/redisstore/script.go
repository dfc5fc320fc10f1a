package redisstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// maxBatch bounds how long one round trip keeps Redis busy: some 2 ms.
const maxBatch = 32

// scripts are those of a connection.
type scripts struct{ open, take, check, close, claim, hold, settle, status, report *script }

func newScripts(c *Client) scripts {
	return scripts{
		open: newScript(c, "open"), take: newScript(c, "take"), check: newScript(c, "check"), close: newScript(c, "close"),
		claim: newScript(c, "claim"), hold: newScript(c, "hold"), settle: newScript(c, "settle"),
		status: newScript(c, "status"), report: newScript(c, "report"),
	}
}

// A script is one decision of the store. Calls that are made at the same time share a round trip: while one is on its
// way, those that come meanwhile wait, and go together. It costs a call that is alone nothing, and makes many cheaper
// for both sides. On a cluster those of one slot go together.
type script struct {
	lua    *redis.Script
	client *Client

	mu    sync.Mutex
	lines map[string]*line // by what can share a round trip; those in use
}

// A line is the calls that wait for the one that is on its way.
type line struct{ waiting []*call }

type call struct {
	keys  []string
	args  []any
	reply any
	err   error
	turn  chan bool // true: make the round trip for those that wait; false: it was made
}

func newScript(c *Client, name string) *script {
	read := func(name string) string {
		text, err := luaFiles.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	text := read("prelude") + "local function decide(KEYS, ARGV)\n" + read(name) + "end\n" + read("batch")
	return &script{lua: redis.NewScript(text), client: c, lines: make(map[string]*line)}
}

// run makes the call. It gives up when ctx is done, unless the call is on its way already, which has a time of its own.
func (s *script) run(ctx context.Context, keys []string, args ...any) (any, error) {
	own := &call{keys: keys, args: args, turn: make(chan bool, 1)}
	name := ""
	if s.client.cluster {
		name = hashTag(keys[0])
	}
	s.mu.Lock()
	l, busy := s.lines[name]
	if !busy {
		l = new(line)
		s.lines[name] = l
	}
	l.waiting = append(l.waiting, own)
	s.mu.Unlock()
	if busy && !s.wait(ctx, l, own) {
		return own.reply, own.err
	}
	s.mu.Lock()
	batch := l.waiting[:min(len(l.waiting), maxBatch)] // own is the first
	l.waiting = l.waiting[len(batch):]
	s.mu.Unlock()
	s.send(ctx, batch)
	for _, other := range batch[1:] {
		other.turn <- false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.waiting) > 0 {
		l.waiting[0].turn <- true
	} else {
		delete(s.lines, name)
	}
	return own.reply, own.err
}

// wait tells whether it is the call's turn to make the round trip. Otherwise the call has its reply, or has given up.
func (s *script) wait(ctx context.Context, l *line, own *call) (first bool) {
	late := time.NewTimer(s.client.timeout)
	defer late.Stop()
	var err error
	select {
	case first := <-own.turn:
		return first
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = context.DeadlineExceeded
	}
	if s.leave(l, own) {
		own.err = err
		return false
	}
	return <-own.turn
}

// leave takes a call out of its line, unless it is its turn or it has been sent.
func (s *script) leave(l *line, own *call) (left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(l.waiting, own)
	if i < 0 || len(own.turn) > 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// send makes one round trip for the batch. It does not end with the request of its first call, which others share.
func (s *script) send(ctx context.Context, batch []*call) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.client.timeout)
	defer cancel()
	var keys []string
	var args []any
	for _, call := range batch {
		keys = append(keys, call.keys...)
		args = append(append(args, len(call.keys), len(call.args)), call.args...)
	}
	replies, err := s.lua.Run(ctx, s.client.redis, keys, args...).Slice()
	for i, call := range batch {
		switch {
		case err != nil:
			call.err = err
		case i >= len(replies):
			call.err = errors.New("no reply")
		default:
			call.reply, call.err = open(replies[i])
		}
	}
}

// open reads one reply of batch.lua.
func open(reply any) (any, error) {
	switch r := reply.([]any); {
	case len(r) == 1:
		return r[0], nil
	case len(r) == 2:
		return nil, fmt.Errorf("%v", r[1])
	}
	return nil, errors.New("no reply")
}

func hashTag(key string) string {
	_, tag, _ := strings.Cut(key, "{")
	tag, _, _ = strings.Cut(tag, "}")
	return tag
}
