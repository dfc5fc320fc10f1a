package doctor

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/pgstore"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/sqlitestore"
)

var postgresTests = []struct {
	name     string
	settings string // A change of the sound settings; may be empty.
	change   func(p *pgstore.Facts)
	want     string
}{
	{"healthy", "", func(*pgstore.Facts) {}, ""},
	{
		"old",
		"",
		func(p *pgstore.Facts) { p.Version = 140020 },
		"weak database Postgres 14 has had no fixes since November 2026; upgrade it",
	},
	{"replica", "", func(p *pgstore.Facts) { p.Replica = true }, "wrong database takes no writes"},
	{"read-only", "", func(p *pgstore.Facts) { p.ReadOnly = true }, "wrong database takes no writes"},
	{
		"no writes",
		"",
		func(p *pgstore.Facts) { p.NoWrites = state("53100") },
		"wrong database takes no writes: it has a full disk; see DATABASE_URL",
	},
	{
		"no room",
		"",
		func(p *pgstore.Facts) { p.Connections = 10 },
		"wrong database has 10 connections, fewer than the 16 of one copy",
	},
	{
		"nearly full",
		"",
		func(p *pgstore.Facts) { p.Used = 95 },
		"weak database has 95 of its 97 connections in use",
	},
	{
		"pending",
		"",
		func(p *pgstore.Facts) { p.Pending = []string{"1", "2"} },
		"note database lacks 2 migration(s), which the next start applies",
	},
	{
		"pending by hand",
		"MIGRATE_ON_START=false",
		func(p *pgstore.Facts) { p.Pending = []string{"1"} },
		"wrong database lacks 1 migration(s), and MIGRATE_ON_START is off; run: dekamond-otp migrate",
	},
	{
		"may not migrate",
		"",
		func(p *pgstore.Facts) { p.Pending, p.MayMigrate = []string{"1"}, false },
		"wrong database lacks 1 migration(s), and its user",
	},
	{
		"far",
		"",
		func(p *pgstore.Facts) { p.Latency = 42 * time.Millisecond },
		"weak database is 42.0 ms away",
	},
	{
		"public",
		"",
		func(p *pgstore.Facts) { p.Public, p.Unverified = true, true },
		"wrong database is reached over a public address without TLS",
	},
	{
		"public, unverified",
		"",
		func(p *pgstore.Facts) { p.Public, p.TLS, p.Unverified = true, true, true },
		"weak database is accepted with any certificate",
	},
	{"public, verified", "", func(p *pgstore.Facts) { p.Public, p.TLS = true, true }, ""},
	{"private, unverified", "", func(p *pgstore.Facts) { p.TLS, p.Unverified = true, true }, ""},
	{
		"certificate",
		"",
		func(p *pgstore.Facts) { p.Certificate = now.Add(-time.Hour) },
		"weak database has a certificate that expired on 2026-11-24",
	},
	{
		"password",
		"",
		func(p *pgstore.Facts) { p.KnownPassword = true },
		"weak database has a password that attackers try first",
	},
	{
		"superuser",
		"",
		func(p *pgstore.Facts) { p.Superuser = true },
		"weak database lets the service do anything",
	},
	{
		"fsync",
		"",
		func(p *pgstore.Facts) { p.Unsafe = true },
		"weak database has fsync or synchronous_commit off",
	},
}

func TestPostgres(t *testing.T) {
	for _, tc := range postgresTests {
		p := pgstore.Facts{
			Version:     170006,
			Latency:     time.Millisecond,
			MayMigrate:  true,
			Pool:        16,
			Connections: 97,
			Used:        5,
		}
		tc.change(&p)
		alone(t, tc.name, examinePostgres(p, nil, load(t, tc.settings), now), tc.want)
	}
	refused := fmt.Errorf("hunter2: %w", probe.Refusal{Words: "refuses user or password", Setting: "PGPASSWORD"})
	for _, tc := range []struct {
		err           error
		setting, want string
	}{
		{io.EOF, "", "hangs up; see DATABASE_URL"},
		{refused, "DATABASE_URL=postgres://otp:x@db/otp", "refuses user or password; see DATABASE_URL"},
		{refused, "DATABASE_URL=postgres://otp@db/otp PGPASSWORD=x", "refuses user or password; see PGPASSWORD"},
	} {
		got := examinePostgres(pgstore.Facts{}, tc.err, load(t, strings.Fields(tc.setting)...), now)
		if want := (findings{{Wrong, "database", tc.want}}); !slices.Equal(got, want) {
			t.Errorf("%v, %s: %v; want %v", tc.err, tc.setting, got, want)
		}
	}
}

func TestSQLite(t *testing.T) {
	production, development := load(t), load(t, "APP_ENV=development")
	for _, tc := range []struct {
		file sqlitestore.Facts
		err  error
		c    *config.Config
		want string
	}{
		{sqlitestore.Facts{}, nil, development, ""},
		{sqlitestore.Facts{}, nil, production, "weak database"},
		{sqlitestore.Facts{Missing: true}, nil, development, "note database"},
		{sqlitestore.Facts{WorldReadable: true}, nil, development, "weak database"},
		{sqlitestore.Facts{Pending: []string{"1"}}, nil, development, "note database"},
		{sqlitestore.Facts{}, os.ErrPermission, development, "wrong database"},
		{sqlitestore.Facts{Folder: probe.Folder{Fault: os.ErrPermission}}, nil, development, "wrong database"},
		{sqlitestore.Facts{Folder: probe.Folder{Room: new(uint64(1 << 20))}}, nil, development, "wrong database"},
		{sqlitestore.Facts{Folder: probe.Folder{Room: new(uint64(99 << 20))}}, nil, development, "weak database"},
		{sqlitestore.Facts{Folder: probe.Folder{Room: new(uint64(1 << 30))}}, nil, development, ""},
	} {
		if got := strings.Join(bad(examineSQLite(tc.file, tc.err, tc.c)), ", "); got != tc.want {
			t.Errorf("%+v, %v: %s; want %s", tc.file, tc.err, got, tc.want)
		}
	}
}
