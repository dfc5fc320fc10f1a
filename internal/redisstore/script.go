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

const (
	maxBatch = 32 // calls in a round trip, which keeps Redis busy for about a millisecond
	maxTrips = 2  // at the same time: Redis decides one batch while the next is on its way
)

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

// A line is the calls that wait because as many round trips are on their way as may be.
type line struct {
	waiting []*call
	trips   int
}

func (l *line) take() (batch []*call) {
	n := min(len(l.waiting), maxBatch)
	batch, l.waiting = l.waiting[:n:n], l.waiting[n:]
	return batch
}

type call struct {
	keys  []string
	args  []any
	reply any
	err   error
	turn  chan []*call // the batch that it has to make the round trip for, as its first; nil: the round trip was made
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
	own := &call{keys: keys, args: args, turn: make(chan []*call, 1)}
	name := ""
	if s.client.cluster {
		name = hashTag(keys[0])
	}
	s.mu.Lock()
	l := s.lines[name]
	if l == nil {
		l = new(line)
		s.lines[name] = l
	}
	batch := []*call{own}
	if l.trips < maxTrips { // then nobody waits
		l.trips++
	} else {
		l.waiting, batch = append(l.waiting, own), nil
	}
	s.mu.Unlock()
	if batch == nil {
		batch = s.wait(ctx, l, own)
	}
	if batch == nil {
		return own.reply, own.err
	}
	s.send(ctx, batch)
	for _, other := range batch[1:] {
		other.turn <- nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if next := l.take(); len(next) > 0 {
		next[0].turn <- next
	} else if l.trips--; l.trips == 0 {
		delete(s.lines, name)
	}
	return own.reply, own.err
}

// wait gives the batch that the call has to make the round trip for, or nil when it has its reply, or has given up.
func (s *script) wait(ctx context.Context, l *line, own *call) (batch []*call) {
	late := time.NewTimer(s.client.timeout)
	defer late.Stop()
	var err error
	select {
	case batch := <-own.turn:
		return batch
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = context.DeadlineExceeded
	}
	s.mu.Lock()
	i := slices.Index(l.waiting, own)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // it is on its way
		return <-own.turn
	}
	own.err = err
	return nil
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
