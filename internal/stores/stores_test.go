package stores

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/metrics"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/sms"
)

// settings returns those of a database file in a folder of the test and of the embedded Redis.
func settings(t *testing.T, more map[string]string) *config.Config {
	t.Helper()
	values := map[string]string{
		"DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "otp.db"),
		"REDIS_URL":    "embedded",
	}
	maps.Copy(values, more)
	c, err := config.Load(func(name string) string { return values[name] }, sms.Settings())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen(t *testing.T) {
	var log bytes.Buffer
	c := settings(t, nil)
	s, err := Open(t.Context(), Options{
		Config:  c,
		Policy:  otp.Policy{TTL: time.Minute},
		Metrics: metrics.New("v1"),
		Clock:   new(clock.Clock),
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ready := func(ping func(context.Context) error) error {
		return await(t.Context(), slog.New(slog.DiscardHandler), ping)
	}
	if err := errors.Join(ready(s.DatabaseHealth.Ping), ready(s.RedisHealth.Ping), s.Close()); err != nil {
		t.Errorf("Ping and Close: %v", err)
	}
	for _, want := range []string{`msg="database migrated"`, "00001_users_and_sessions.sql", `msg="embedded stores"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}

func TestMigrationsPending(t *testing.T) {
	c := settings(t, map[string]string{"MIGRATE_ON_START": "false"})
	o := Options{Config: c, Metrics: metrics.New("v1"), Clock: new(clock.Clock), Log: slog.New(slog.DiscardHandler)}
	s, err := Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "run dekamond-otp migrate") {
		t.Fatalf("Open of a database without tables: %v; want the pending migrations and the command", err)
	}
	if err := Migrate(t.Context(), c, o.Log); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open after Migrate: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		down := errors.New("connection refused")
		failures := 25
		ping := func(context.Context) error {
			if failures--; failures >= 0 {
				return down
			}
			return nil
		}
		if err := await(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), ping); err != nil {
			t.Errorf("await of a store that answers after 12.5 s: %v", err)
		}
		if n := strings.Count(log.String(), `msg="waiting for store" error="connection refused"`); n != 3 {
			t.Errorf("25 failed pings are logged %d times; want 3:\n%s", n, log.String())
		}
		began := time.Now()
		failures = 1000
		err := await(t.Context(), slog.New(slog.DiscardHandler), ping)
		if took := time.Since(began); !errors.Is(err, down) || took != startTimeout {
			t.Errorf("await of a dead store: %v after %v; want %v after %v", err, took, down, startTimeout)
		}
	})
}

// TestRefusal checks that a start does not wait for a store that refuses what a setting says, and names the setting.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := fmt.Errorf("postgres: %w", probe.Refusal{Words: "refuses user or password", Setting: "PGPASSWORD"})
		began := time.Now()
		ping := func(context.Context) error { return refusal }
		err := await(t.Context(), slog.New(slog.DiscardHandler), ping)
		if took := time.Since(began); !errors.Is(err, refusal) || took != 0 {
			t.Errorf("await of a store that refuses: %v after %v; want the refusal at once", err, took)
		}
		name := func(part string) string { return cmp.Or(part, "PGHOST") }
		const want = "PGPASSWORD: the database refuses user or password"
		if refused, ok := errors.AsType[setting.Refused](named("database", name, err)); !ok || refused.Error() != want {
			t.Errorf("named: %v; want %s", refused, want)
		}
		const other = "PGHOST: the database cannot be used: EOF"
		if err := named("database", name, io.EOF); !errors.Is(err, io.EOF) || err.Error() != other {
			t.Errorf("named: %v; want %s", err, other)
		}
	})
}
