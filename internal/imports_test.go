// Package internal has no code. Its tests check the imports of the packages below it, and how all code is laid out.
package internal

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors are the packages from the ground up. A package may import those on floors below its own. The ground floor has
// steps of its own: the settings are built from how one setting is read, and that from secrets.
var floors = [][]string{
	{
		"docs",
		"internal/address",
		"internal/brand",
		"internal/clock",
		"internal/health",
		"internal/phone",
		"internal/probe",
		"internal/requestid",
		"internal/secret",
		"internal/spelling",
		"internal/text",
		"internal/trace",
		"migrations",
	},
	{
		"internal/setting",
	},
	{
		"internal/config",
	},
	{
		"internal/account",
		"internal/otp",
		"internal/token",
	},
	{
		"internal/login",
	},
	{
		"internal/metrics",
		"internal/pgstore",
		"internal/redisstore",
		"internal/sms",
		"internal/sqlitestore",
	},
	{
		"internal/httpapi",
		"internal/operator",
		"internal/services",
		"internal/stores",
	},
	{
		"internal/doctor",
		"internal/servers",
	},
	{
		"internal/command",
	},
	{""}, // main
}

// wiring are the packages that may import adapters: they open them, ask them about themselves, or show what they count.
var wiring = []string{
	"",
	"internal/command",
	"internal/doctor",
	"internal/operator",
	"internal/servers",
	"internal/services",
	"internal/stores",
}

// owners are the only packages that may import a library.
var owners = map[string][]string{
	"github.com/gofiber/fiber":    {"internal/httpapi", "internal/bench"},
	"github.com/valyala/fasthttp": {"internal/httpapi", "internal/bench"},
	"github.com/redis/go-redis":   {"internal/redisstore", "internal/bench"},
	"github.com/alicebob":         {"internal/redisstore"},
	"github.com/jackc/pgx":        {"internal/pgstore", "internal/pgstore/pgtest", "internal/bench"},
	"modernc.org/sqlite":          {"internal/sqlitestore"},
	"github.com/golang-jwt":       {"internal/token", "internal/bench"},
	"github.com/go-jose":          {"internal/token"},
	"github.com/nyaruka":          {"internal/phone", "internal/config"},
	"github.com/joho/godotenv":    {"internal/command"},
	"database/sql":                {"internal/sqlitestore", "migrations"},
	"net/http": {
		"internal/sms", "internal/metrics", "internal/trace", "internal/health", "internal/operator", "internal/bench",
	},
	"github.com/aws":             {"internal/sms"},
	"github.com/prometheus":      {"internal/metrics"},
	"go.opentelemetry.io":        {"internal/trace"},
	"google.golang.org/protobuf": {"internal/trace"},
	"golang.org/x/text":          {"internal/text"},
	"github.com/yuin/goldmark":   {"docs"},
}

const module = "dekamond-otp"

func TestImportsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	floor := make(map[string]int)
	for i, packages := range floors {
		for _, p := range packages {
			floor[p] = i
		}
	}
	adapters := floor["internal/redisstore"] // Its packages meet the services through interfaces alone.
	endToEnd := func(p string) bool { return strings.HasPrefix(p, "internal/e2e/") }
	forTests := func(p string) bool {
		return strings.HasSuffix(p, "test") || p == "internal/bench" || p == "internal" || endToEnd(p)
	}
	found := make(map[string]bool)
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := local(p.ImportPath)
		found[name] = true
		own, placed := floor[name]
		if !placed && !forTests(name) {
			t.Errorf("%s stands on no floor", p.ImportPath)
		}
		for _, imported := range p.Imports {
			below, ours := floor[local(imported)], strings.HasPrefix(imported+"/", module+"/")
			if placed && ours && (below >= own || forTests(local(imported))) {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imported)
			}
			if placed && ours && below == adapters && !slices.Contains(wiring, name) {
				t.Errorf("%s imports %s; want adapters imported by %v alone", p.ImportPath, imported, wiring)
			}
			if endToEnd(name) {
				continue // its packages speak with stores and with the service as clients of their own
			}
			for library, allowed := range owners {
				if strings.HasPrefix(imported+"/", library+"/") && !slices.Contains(allowed, name) {
					t.Errorf("%s imports %s, which is for %v alone", p.ImportPath, imported, allowed)
				}
			}
		}
	}
	for name := range floor {
		if !found[name] {
			t.Errorf("there is no package %q", name)
		}
	}
}

func local(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }
