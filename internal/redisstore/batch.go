package redisstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	maxBatch = 32 // calls in a round trip, which keep Redis busy for about a millisecond
	maxTrips = 2  // round trips at the same time: Redis runs one batch while the next is on its way
)

// A batcher runs one script. Calls that are made at the same time share a round trip: while maxTrips are under way,
// further calls wait in a queue, and then go as one batch. A single call waits for nothing; many calls cost both sides
// less. On a cluster, only calls for the same slot share a round trip.
type batcher struct {
	script *redis.Script
	client *Client
	once   bool // a round trip that fails is not made again

	mu     sync.Mutex        // guards queues and their fields
	queues map[string]*queue // by hash tag on a cluster, otherwise one; only those with a round trip under way
}

// A queue holds the calls that wait for the next round trip.
type queue struct {
	waiting []*call
	trips   int // under way
}

// next removes the next batch from the queue.
func (q *queue) next() (batch []*call) {
	n := min(len(q.waiting), maxBatch)
	batch, q.waiting = q.waiting[:n:n], q.waiting[n:]
	return batch
}

type call struct {
	keys  []string
	args  []any
	reply any
	err   error
	// turn receives the batch for which this call, its first, has to make the round trip, or nil when another call has
	// made it.
	turn chan []*call
}

func newBatcher(c *Client, s *redis.Script) *batcher {
	return &batcher{script: s, client: c, queues: make(map[string]*queue)}
}

// do makes a call and returns its reply. While the call waits, it ends when ctx is done. Once it is part of a round
// trip, only the timeout of the client ends it.
func (b *batcher) do(ctx context.Context, keys []string, args []any) (any, error) {
	own := &call{keys: keys, args: args, turn: make(chan []*call, 1)}
	slot := ""
	if b.client.cluster {
		slot = hashTag(keys[0])
	}
	q, batch := b.enter(slot, own)
	if batch == nil {
		batch = b.wait(ctx, q, own)
	}
	if batch == nil {
		return own.reply, own.err
	}
	b.send(ctx, batch)
	for _, other := range batch[1:] {
		other.turn <- nil
	}
	b.leave(slot, q)
	return own.reply, own.err
}

// enter starts a round trip for the call alone if there is room for one. Otherwise it queues the call and returns no
// batch.
func (b *batcher) enter(slot string, own *call) (q *queue, batch []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q = b.queues[slot]
	if q == nil {
		q = new(queue)
		b.queues[slot] = q
	}
	if q.trips < maxTrips {
		q.trips++
		return q, []*call{own}
	}
	q.waiting = append(q.waiting, own)
	return q, nil
}

// leave ends a round trip, and hands its place to the next batch, if there is one.
func (b *batcher) leave(slot string, q *queue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if batch := q.next(); len(batch) > 0 {
		batch[0].turn <- batch
	} else if q.trips--; q.trips == 0 {
		delete(b.queues, slot)
	}
}

// wait returns the batch for which the call has to make the round trip. It returns nil when the call has ended, with a
// reply or with an error.
func (b *batcher) wait(ctx context.Context, q *queue, own *call) (batch []*call) {
	late := time.NewTimer(b.client.timeout)
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
	b.mu.Lock()
	i := slices.Index(q.waiting, own)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	b.mu.Unlock()
	if i < 0 { // the call is part of a round trip already
		return <-own.turn
	}
	own.err = err
	return nil
}

// send makes the round trip of the batch, and further ones for the calls that may succeed soon. It does not end with
// the context of the first call, because the others share the round trip.
func (b *batcher) send(ctx context.Context, batch []*call) {
	attempts := b.client.try
	if b.once {
		attempts = b.client.tryOnce
	}
	_ = attempts(context.WithoutCancel(ctx), func(ctx context.Context) error {
		b.trip(ctx, batch)
		var failed []*call
		for _, call := range batch {
			if passes(call.err) {
				failed = append(failed, call)
			}
		}
		if batch = failed; len(failed) == 0 {
			return nil
		}
		return failed[0].err
	})
}

// trip makes one round trip for the calls, and sets the reply or the error of each.
func (b *batcher) trip(ctx context.Context, calls []*call) {
	keyCount, argCount := 0, 0
	for _, call := range calls {
		keyCount, argCount = keyCount+len(call.keys), argCount+2+len(call.args)
	}
	keys, args := make([]string, 0, keyCount), make([]any, 0, argCount)
	for _, call := range calls {
		keys = append(keys, call.keys...)
		args = append(append(args, len(call.keys), len(call.args)), call.args...)
	}
	replies, err := b.script.Run(ctx, b.client.redis, keys, args...).Slice()
	for i, call := range calls {
		switch {
		case err != nil:
			call.err = err
		case i >= len(replies):
			call.err = errNoReply
		default:
			call.reply, call.err = unwrap(replies[i])
		}
	}
}

// A callError is the error with which Redis ended one call of a batch.
type callError string

const errNoReply callError = "no reply to a call of a batch"

func (e callError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (callError) RedisError() {}

// unwrap returns the reply or the error that batch.lua returned for one call.
func unwrap(value any) (any, error) {
	if list, ok := value.([]any); ok && len(list) == 1 {
		return list[0], nil
	}
	r := newReply(value)
	r.next() // false
	text := r.text()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("%w: %w", callError("script batch"), err)
	}
	return nil, callError(text)
}

// hashTag returns the part of a key that decides its slot on a cluster.
func hashTag(key string) string {
	_, tag, _ := strings.Cut(key, "{")
	tag, _, _ = strings.Cut(tag, "}")
	return tag
}
