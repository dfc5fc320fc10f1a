package redisstore

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/otp/otptest"
)

// twice is a hook that runs each script a second time, as a call does whose reply was lost. It returns the second
// reply, or the first one of scripts whose second reply says less. It runs one after another, and leaves calls alone
// that share a round trip: an attempt may count twice if the same requester has made another one between.
type twice struct {
	scripts map[string]reading
	mu      *sync.Mutex
}

// A reading is which of two replies to a script is returned.
type reading string

const (
	onlyOne reading = "only one: it is not repeated, or counts a second event"
	first   reading = "first"
	second  reading = "second"
)

// newTwice returns the hook for the scripts of a store.
func newTwice(c *Client, s scripts) twice {
	h := twice{make(map[string]reading), new(sync.Mutex)}
	for reading, batchers := range map[reading][]*batcher{
		onlyOne: {s.take.calls, s.claim.calls},
		first:   {s.open.calls, s.unlock.calls, s.renew.calls, s.settle.calls},
		second:  {s.check.calls, s.close.calls, s.status.calls, s.report.calls},
	} {
		for _, b := range batchers {
			h.scripts[b.script.Hash()] = reading
		}
	}
	if c.cluster { // an address gets no attempts back if the reply of close is lost
		h.scripts[s.close.calls.script.Hash()] = first
	}
	return h
}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "evalsha" {
			return next(ctx, cmd)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		switch h.reading(cmd.Args()) {
		case first:
			err := next(ctx, cmd)
			_ = next(ctx, redis.NewCmd(ctx, cmd.Args()...))
			return err
		case second:
			_ = next(ctx, redis.NewCmd(ctx, cmd.Args()...))
		}
		return next(ctx, cmd)
	}
}

// reading returns which reply to an EVALSHA is returned. The arguments behind its keys begin with the number of keys of
// the first call.
func (h twice) reading(args []any) reading {
	hash, _ := args[1].(string)
	count, _ := args[2].(int)
	if args[3+count] != count {
		return onlyOne
	}
	return h.scripts[hash]
}

func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestTwiceEmbedded(t *testing.T)  { suiteTwice(t, "embedded") }
func TestTwiceOnRedis(t *testing.T)   { suiteTwice(t, "single") }
func TestTwiceOnCluster(t *testing.T) { suiteTwice(t, "cluster") }

// suiteTwice runs the suite while the first reply to every script is lost: it must make no difference.
func suiteTwice(t *testing.T, kind string) {
	otptest.TestStore(t, func(t *testing.T, p otp.Policy) otptest.Store {
		s := newTested(t, kind, p)
		s.codes.client.redis.AddHook(newTwice(s.codes.client, s.codes.scripts))
		return s.Store
	})
}
