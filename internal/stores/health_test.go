package stores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/account"
)

// A fakeStore counts its writes, and takes none while down.
type fakeStore struct {
	Accounts
	writes atomic.Int32
	down   atomic.Bool
	gone   atomic.Bool   // it does not answer
	hangs  atomic.Bool   // a write takes an hour, whatever its timeout
	slow   time.Duration // of other writes

	refused error // of a login
}

var (
	errDown = errors.New("disk full")
	errGone = errors.New("connection refused")
)

func (f *fakeStore) Ping(ctx context.Context) error {
	if f.gone.Load() {
		return errGone
	}
	return ctx.Err()
}

func (f *fakeStore) Touch(context.Context) error {
	f.writes.Add(1)
	if f.hangs.Load() {
		time.Sleep(time.Hour)
		return nil
	}
	time.Sleep(f.slow)
	if f.down.Load() {
		return errDown
	}
	return nil
}

func (f *fakeStore) Login(context.Context, account.NewSession) (account.User, error) {
	return account.User{}, f.refused
}

// watched runs a test on the health of a store that is watched until the test ends, in a time of its own.
func watched(t *testing.T, f *fakeStore, log io.Writer, test func(t *testing.T, h *Health)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := newHealth("database", "DATABASE_URL", f.Ping, f.Touch, slog.New(slog.NewTextHandler(log, nil)))
		ended := make(chan struct{})
		go func() { h.watch(ctx); close(ended) }()
		synctest.Wait()
		test(t, h)
		cancel()
		<-ended
	})
}

// TestStalls checks that a store is stalled once it has taken no write for ten seconds, though nobody asks for it, that
// it is not from the moment on at which it takes one, and that the log reports each change once.
func TestStalls(t *testing.T) {
	var f fakeStore
	var log bytes.Buffer
	watched(t, &f, &log, func(t *testing.T, h *Health) {
		taken := time.Now()
		f.down.Store(true)
		for ; time.Since(taken) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
			if h.Stalled() {
				t.Fatalf("stalled %v after the last write; want 10s", time.Since(taken))
			}
		}
		if !h.Stalled() {
			t.Error("not stalled 10s after the last write")
		}
		time.Sleep(time.Hour)
		if !h.Stalled() {
			t.Error("not stalled after an hour")
		}
		stores := Stores{DatabaseHealth: h, RedisHealth: newHealth("redis", "REDIS_URL", f.Ping, f.Touch, h.log)}
		if got := maps.Collect(stores.Failing); !maps.Equal(got, map[string]bool{"database": true, "redis": false}) {
			t.Errorf("failing: %v; want the database alone", got)
		}
		f.down.Store(false)
		time.Sleep(touchEvery)
		synctest.Wait()
		if h.Stalled() || h.fails() {
			t.Error("stalled a second after the store takes writes again")
		}
		time.Sleep(time.Hour)
		if h.Stalled() {
			t.Error("stalled although the store takes writes")
		}
	})
	for _, message := range []string{
		`level=WARN msg="store takes no writes" store=database setting=DATABASE_URL error="disk full"`,
		`level=ERROR msg="store has taken no write for 10s" store=database setting=DATABASE_URL error="disk full"`,
		`level=INFO msg="store takes writes again" store=database setting=DATABASE_URL`,
	} {
		if n := strings.Count(log.String(), message); n != 1 {
			t.Errorf("the log has %d times %s; want it once:\n%s", n, message, log.String())
		}
	}
}

// TestWritesLittle checks how often a store is written to, and that simultaneous calls share a write.
func TestWritesLittle(t *testing.T) {
	f := fakeStore{slow: 100 * time.Millisecond}
	watched(t, &f, io.Discard, func(t *testing.T, h *Health) {
		writes := func(d time.Duration) int32 {
			before := f.writes.Load()
			time.Sleep(d)
			return f.writes.Load() - before
		}
		time.Sleep(touchEvery / 2) // so that no write begins at the end of the minute
		if got := writes(time.Minute); got != 12 {
			t.Errorf("%d writes in a minute; want one every five seconds", got)
		}
		f.down.Store(true)
		time.Sleep(watchEvery)
		if got := writes(time.Minute); got != 60 {
			t.Errorf("%d writes in a minute in which the store takes none; want one every second", got)
		}
		f.down.Store(false)
		time.Sleep(watchEvery)
		before := f.writes.Load()
		for range 50 { // ten seconds
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if err := h.Ping(t.Context()); err != nil {
						t.Errorf("Ping: %v", err)
					}
				})
			}
			wg.Wait()
			time.Sleep(200 * time.Millisecond)
		}
		if got := f.writes.Load() - before; got > 16 {
			t.Errorf("%d writes while 100 calls at a time ask for 15 seconds; want at most one a second", got)
		}
	})
}

// TestPingFails checks that Ping returns why the store takes no writes, and that a caller who leaves spoils neither the
// write nor the health of the store.
func TestPingFails(t *testing.T) {
	f := fakeStore{slow: 100 * time.Millisecond}
	watched(t, &f, io.Discard, func(t *testing.T, h *Health) {
		time.Sleep(4 * time.Second)
		left, leave := context.WithCancel(t.Context())
		leave()
		if err := h.Ping(left); !errors.Is(err, context.Canceled) {
			t.Errorf("Ping of a caller who left: %v; want Canceled", err)
		}
		if err := h.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
		f.down.Store(true)
		time.Sleep(time.Second)
		if err := h.Ping(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("Ping of a store that takes no writes: %v; want its error", err)
		}
		f.down.Store(false)
		time.Sleep(time.Second)
		if err := h.Ping(t.Context()); err != nil {
			t.Errorf("Ping of a store that takes writes again: %v", err)
		}
		f.gone.Store(true)
		if err := h.Ping(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("Ping of a store that took a write and is gone: %v; want its error", err)
		}
	})
}

// TestHangs checks that a store stalls that does not even return an error.
func TestHangs(t *testing.T) {
	var f fakeStore
	watched(t, &f, io.Discard, func(t *testing.T, h *Health) {
		f.hangs.Store(true)
		time.Sleep(stallAfter)
		if !h.Stalled() {
			t.Error("a store that hangs is not stalled")
		}
		f.hangs.Store(false)
		time.Sleep(time.Hour)
		if h.Stalled() {
			t.Error("stalled after the store has taken the write that hung")
		}
	})
}

// TestLoginsAreWrites checks that a store that takes logins is not stalled, however busy it is.
func TestLoginsAreWrites(t *testing.T) {
	var f fakeStore
	watched(t, &f, io.Discard, func(t *testing.T, h *Health) {
		accounts := countedAccounts{&f, h}
		f.down.Store(true)
		for range 60 {
			time.Sleep(time.Second)
			if _, err := accounts.Login(t.Context(), account.NewSession{}); err != nil {
				t.Fatal(err)
			}
			if h.Stalled() {
				t.Fatal("stalled although logins are taken")
			}
		}
		time.Sleep(stallAfter)
		if !h.Stalled() {
			t.Error("not stalled 10s after the last login")
		}
	})
}

// TestRefusedLogin checks that a store that took a write a moment ago is not ready if it has refused a login since.
func TestRefusedLogin(t *testing.T) {
	f := fakeStore{refused: fmt.Errorf("%w: disk full", account.ErrUnavailable)}
	watched(t, &f, io.Discard, func(t *testing.T, h *Health) {
		f.down.Store(true)
		if err := h.Ping(t.Context()); err != nil {
			t.Fatalf("Ping shares the write of a moment ago: %v", err)
		}
		if _, err := (countedAccounts{&f, h}).Login(t.Context(), account.NewSession{}); err == nil {
			t.Fatal("Login of a store that refuses it: no error")
		}
		if err := h.Ping(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("Ping after a login was refused: %v; want %v", err, errDown)
		}
	})
}
