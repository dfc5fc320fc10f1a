package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

// trips is a hook that expects waves of calls: those of a wave are made at the same time, and wait for no other. A wave
// ends when all of its calls have begun.
type trips struct {
	t *testing.T

	mu    sync.Mutex
	waves []int // calls of each wave that have not begun
	whole chan struct{}
}

func (w *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.begin(cmd.Name())
		return next(ctx, cmd)
	}
}

func (w *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		w.begin("pipeline")
		return next(ctx, cmds)
	}
}

func (w *trips) begin(name string) {
	w.mu.Lock()
	if len(w.waves) == 0 {
		w.mu.Unlock()
		w.t.Errorf("a further round trip: %s", name)
		return
	}
	whole := w.whole
	if w.waves[0]--; w.waves[0] == 0 {
		close(whole)
		w.waves, w.whole = w.waves[1:], make(chan struct{})
	}
	w.mu.Unlock()
	select {
	case <-whole:
	case <-time.After(patience):
		w.t.Errorf("%s waits in vain for the calls that are made at the same time", name)
	}
}

// during expects these waves of calls while the call runs.
func (w *trips) during(what string, call func(), waves ...int) {
	w.t.Helper()
	w.mu.Lock()
	w.waves, w.whole = waves, make(chan struct{})
	w.mu.Unlock()
	call()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waves) > 0 {
		w.t.Errorf("%s: it makes fewer round trips; %v are left", what, w.waves)
	}
}

// TestRoundTrips checks how many calls wait for each other until a request and an attempt are answered: one on a single
// Redis, and on a cluster one more for a request, which asks the limits of its sources first.
func TestRoundTrips(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, c *Client) {
		limit := otp.Limit{Max: 100, Window: time.Minute}
		s := newCodes(t, c, otp.Policy{
			Length:          6,
			TTL:             10 * time.Minute,
			MaxAttempts:     5,
			DailyAttempts:   30,
			PerPhone:        limit,
			PerAddress:      limit,
			TriesPerAddress: limit,
		}, 1)
		walk := func(at otp.Place, wide otp.Pseudonym, w *trips) {
			walkThrough(t, s, at, wide, w)
		}
		walk(otp.Place{Phone: otp.Pseudonym(rand.Text())}, "", nil) // the servers learn the scripts
		w := &trips{t: t}
		c.redis.AddHook(w)
		user := otp.ForPhoneChange(uuid.New())
		walk(otp.Place{Phone: otp.Pseudonym(rand.Text())}, "", w)
		walk(otp.Place{Phone: otp.Pseudonym(rand.Text())}, otp.Pseudonym(rand.Text()), w)
		walk(otp.Place{Phone: otp.Pseudonym(rand.Text()), Purpose: user}, otp.Pseudonym(rand.Text()), w)
		walk(otp.Place{Phone: otp.Pseudonym(rand.Text()), Device: "device"}, otp.Pseudonym(rand.Text()), w)
	})
}

// walkThrough makes the calls of a login or of a change of phone, with a wrong attempt. It counts nothing if w is nil.
func walkThrough(t *testing.T, s *Codes, at otp.Place, wide otp.Pseudonym, w *trips) {
	t.Helper()
	sources := 0 // slots of a cluster in which the sources of the place are
	if s.client.cluster && at.Device == "" {
		sources = 1
		if at.Purpose != otp.ForLogin {
			sources = 2
		}
	}
	counted := func(what string, call func(), waves ...int) {
		if w == nil {
			call()
			return
		}
		if waves[0] == 0 {
			waves = waves[1:]
		}
		w.during(what, call, waves...)
	}
	address := otp.Address{Narrow: otp.Pseudonym(rand.Text()), Wide: wide}
	o := otp.Opening{Place: at, Address: address, ID: uuid.New(), Digest: "digest", Letter: []byte("letter")}
	a := otp.Attempt{Place: at, Address: address, Digest: "digest", Length: 6}
	var opened otp.Challenge
	var match otp.Match
	var err error
	check := func(want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Fatalf("%v; want %v", err, want)
		}
	}
	counted("a request", func() { opened, err = s.Open(t.Context(), o) }, sources, 1)
	check(nil)
	wrong := a
	wrong.Digest, wrong.Request, wrong.Send = "wrong", opened.ID, opened.Send
	counted("a wrong attempt", func() { _, err = s.Check(t.Context(), wrong) }, 1+sources)
	check(otp.ErrWrong)
	counted("a right attempt", func() { match, err = s.Check(t.Context(), a) }, 1+sources)
	check(nil)
	more := min(sources, 1)
	if w != nil && more == 0 {
		counted("a close", func() { err = s.Close(t.Context(), a, match) }, 1)
	} else {
		counted("a close", func() { err = s.Close(t.Context(), a, match) }, 1, more)
	}
	check(nil)
}
