package redisstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// pauses are the waits before a call is tried again.
var pauses = [...]time.Duration{50 * time.Millisecond, 350 * time.Millisecond, 1100 * time.Millisecond}

// reloadEvery is the least time between two reloads of the slots of a cluster.
const reloadEvery = 200 * time.Millisecond

// soon are the errors of Redis that pass by themselves within a moment, by the words with which they begin: a slot
// moves to another node, a replica takes over, a server starts.
var soon = []string{
	"TRYAGAIN", "MOVED", "ASK", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS", "LOADING", "BUSY",
	"max number of clients",
}

// try runs f within the timeout of the client. While f fails with an error that may pass soon, try runs it again, three
// times at most. f may have been carried out although its reply was lost, so it must bear running twice. If Redis has
// answered no call for longer than the timeout, try runs f once.
func (c *Client) try(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for retry := 0; ; retry++ {
		err := c.attempt(ctx, f)
		if !passes(err) {
			return err
		}
		if c.failingFor() > c.timeout || retry == len(pauses) || !sleep(ctx, pauses[retry]) {
			return err
		}
	}
}

// tryOnce runs f within the timeout of the client.
func (c *Client) tryOnce(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.attempt(ctx, f)
}

// attempt runs f, and learns from its error whether Redis answers.
func (c *Client) attempt(ctx context.Context, f func(context.Context) error) error {
	err := f(ctx)
	if passes(err) {
		c.reload(ctx)
	} else {
		c.failing.Store(0)
	}
	return err
}

// failingFor notes that a call failed, and returns for how long all calls have.
func (c *Client) failingFor() time.Duration {
	now := int64(time.Since(c.began))
	c.failing.CompareAndSwap(0, now)
	since := c.failing.Load()
	if since == 0 { // another call has succeeded meanwhile
		return 0
	}
	return time.Duration(now - since)
}

// sleep waits for a pause. It returns false, without waiting, if ctx ends before.
func sleep(ctx context.Context, pause time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// passes reports whether a call that failed with err may succeed soon: Redis says so, or did not answer.
func passes(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
		return false
	}
	answer := redis.Error(nil)
	return !errors.As(err, &answer) || begins(err, soon)
}

// begins reports whether an error of Redis begins with one of the words.
func begins(err error, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return redis.HasErrorPrefix(err, w) })
}

// reload asks a node of a cluster, in the background, which node has which slots. The client would do that once a
// minute, and until then ask a master that is gone.
func (c *Client) reload(ctx context.Context) {
	cluster, ok := c.redis.(*redis.ClusterClient)
	if !ok {
		return
	}
	now, last := time.Since(c.began), c.reloaded.Load()
	if now-time.Duration(last) >= reloadEvery && c.reloaded.CompareAndSwap(last, int64(now)) {
		cluster.ReloadState(ctx)
	}
}
