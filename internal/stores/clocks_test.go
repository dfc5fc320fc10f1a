package stores

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/clock"
)

// serversMu guards the fields of all fake servers.
var serversMu sync.Mutex

// A fakeServer is a store whose clock is ahead.
type fakeServer struct {
	ahead, latency time.Duration
	silent         bool
	asked          int
}

func (f *fakeServer) ask(context.Context) (latency, skew time.Duration, err error) {
	serversMu.Lock()
	defer serversMu.Unlock()
	f.asked++
	if f.silent {
		err = errGone
	}
	return f.latency, f.ahead, err
}

// clocksOf returns the clocks of two stores, and their log.
func clocksOf(redis, database *fakeServer) (*clocks, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &clocks{
		servers: []serverClock{{"redis", "REDIS_URL", redis.ask}, {"database", "DATABASE_URL", database.ask}},
		common:  new(clock.Clock),
		log:     slog.New(slog.NewTextHandler(log, nil)),
	}, log
}

// TestCompareClocks checks which differences are logged, and which of them correct the clock: those of a machine that
// is alone with its time.
func TestCompareClocks(t *testing.T) {
	const days = 3 * 24 * time.Hour
	here := func(store, difference, direction string) string {
		setting := map[string]string{"redis": "REDIS_URL", "database": "DATABASE_URL"}[store]
		return "store=" + store + " setting=" + setting + " difference=" + difference + " here=" + direction
	}
	for name, tc := range map[string]struct {
		redis, database fakeServer
		want            []string
		follows         time.Duration
	}{
		"all agree":   {},
		"by a little": {fakeServer{ahead: 2 * time.Second}, fakeServer{ahead: -2 * time.Second}, nil, 0},
		"by the time of a round trip": {
			fakeServer{ahead: 2400 * time.Millisecond, latency: time.Second}, fakeServer{}, nil, 0,
		},
		"one store": {
			fakeServer{ahead: -2600 * time.Millisecond, latency: time.Second},
			fakeServer{},
			[]string{here("redis", "2.6s", "ahead")},
			0,
		},
		"the other store": {
			fakeServer{}, fakeServer{ahead: days}, []string{here("database", "72h0m0s", "behind")}, 0,
		},
		"this machine, behind": {
			fakeServer{ahead: days},
			fakeServer{ahead: days + time.Second},
			[]string{here("redis", "72h0m0s", "behind"), here("database", "72h0m1s", "behind")},
			days,
		},
		"this machine, ahead": {
			fakeServer{ahead: -days},
			fakeServer{ahead: -days},
			[]string{here("redis", "72h0m0s", "ahead"), here("database", "72h0m0s", "ahead")},
			-days,
		},
		"all three": {
			fakeServer{ahead: days},
			fakeServer{ahead: -days},
			[]string{here("redis", "72h0m0s", "behind"), here("database", "72h0m0s", "ahead")},
			0,
		},
		"no answer": {fakeServer{ahead: days, silent: true}, fakeServer{silent: true}, nil, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, log := clocksOf(&tc.redis, &tc.database)
			c.compare(t.Context())
			for _, line := range tc.want {
				if strings.Count(log.String(), line) != 1 {
					t.Errorf("%s: the log is\n%s; want %s once", name, log, line)
				}
			}
			if n := strings.Count(log.String(), "differs"); n != len(tc.want) {
				t.Errorf("%s: %d warnings:\n%s; want %d", name, n, log, len(tc.want))
			}
			if got := time.Until(c.common.Now()); got != tc.follows {
				t.Errorf("%s: the common clock is %v ahead; want %v", name, got, tc.follows)
			}
		})
	}
}

// TestWatchClocks checks that the clocks are compared every hour, that a store that does not answer changes nothing,
// and that a clock that was set right is not corrected any more.
func TestWatchClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		redis, database := fakeServer{ahead: time.Minute}, fakeServer{ahead: time.Minute}
		c, log := clocksOf(&redis, &database)
		c.compare(t.Context())
		go c.watch(t.Context())
		follows := func(when string, want time.Duration, asked int) {
			t.Helper()
			synctest.Wait()
			serversMu.Lock()
			defer serversMu.Unlock()
			if got := time.Until(c.common.Now()); got != want || redis.asked != asked {
				t.Errorf("%s: asked %d times, %v ahead; want %d and %v", when, redis.asked, got, asked, want)
			}
		}
		follows("at the start", time.Minute, 1)
		time.Sleep(50 * time.Minute)
		follows("within the hour", time.Minute, 1)
		serversMu.Lock()
		database.silent = true
		serversMu.Unlock()
		time.Sleep(11 * time.Minute)
		follows("after an hour", time.Minute, 2)
		serversMu.Lock()
		database.silent, redis.ahead, database.ahead = false, 0, 0
		serversMu.Unlock()
		time.Sleep(time.Hour + time.Minute)
		follows("after two hours", 0, 3)
		if n := strings.Count(log.String(), "store=redis"); n != 2 {
			t.Errorf("%d warnings about Redis; want one an hour while it differs:\n%s", n, log)
		}
	})
}
