package operation

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
)

var interpolated = regexp.MustCompile(`\$\{([A-Z_]+):-((?:[^${}]|\$\{[^{}]*\})*)\}`)

// interpolate replaces ${NAME:-default}, where the default may have more of them, as Docker Compose does (Compose
// specification, Interpolation).
func interpolate(text string, env map[string]string) string {
	return interpolated.ReplaceAllStringFunc(text, func(match string) string {
		m := interpolated.FindStringSubmatch(match)
		if value := env[m[1]]; value != "" {
			return value
		}
		return interpolate(m[2], env)
	})
}

// composeEnvironment returns the environment that docker-compose.yml gives to a service, with env as the .env file.
func composeEnvironment(t *testing.T, service string, env map[string]string) map[string]string {
	t.Helper()
	var compose struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := yaml.Unmarshal([]byte(file(t, servicetest.Root+"docker-compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for name, value := range compose.Services[service].Environment {
		values[name] = interpolate(value, env)
	}
	return values
}

// databaseOf returns a Postgres database and, as settings, its host and port.
func databaseOf(t *testing.T) (database, name string, settings []string) {
	t.Helper()
	database = pgtest.NewDatabase(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return database, u.Path[1:], []string{"PGHOST=" + u.Hostname(), "PGPORT=" + u.Port()}
}

// TestComposePassword checks that any password in POSTGRES_PASSWORD reaches both the Postgres of docker-compose.yml and
// the service as it is, and that the service logs people in with it.
func TestComposePassword(t *testing.T) {
	for _, password := range []string{
		`n5/8+Qw==`,
		`a@b:c/d?e#f%41&g`,
		`p$w {"x"} 'y' \z`,
		`گذرواژه`,
		``,
	} {
		t.Run(password, func(t *testing.T) {
			database, name, settings := databaseOf(t)
			env := map[string]string{"POSTGRES_PASSWORD": password}
			role := "role_" + name
			pgtest.NewRole(t, database, role, composeEnvironment(t, "postgres", env)["POSTGRES_PASSWORD"])
			own := composeEnvironment(t, "otp", env)
			if own["DATABASE_URL"] != "" {
				t.Errorf("DATABASE_URL is %q; want the parts alone", own["DATABASE_URL"])
			}
			settings = append(settings, "PGPASSWORD="+own["PGPASSWORD"], "PGUSER="+role, "PGDATABASE="+name)
			s := servicetest.Start(t, nil, settings...)
			s.Want(s.Verify(phone, s.Code(phone)), 201, "")
			s.End(os.Interrupt) // before the role is dropped
		})
	}
}

// TestRefusedDatabase checks that a wrong user, password or database ends the start at once, with the setting's name
// and without the password.
func TestRefusedDatabase(t *testing.T) {
	database, name, settings := databaseOf(t)
	role := "role_" + name
	pgtest.NewRole(t, database, role, "right/password")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	link := func(user, password, database string) string {
		u.User, u.Path = url.UserPassword(user, password), "/"+database
		return "DATABASE_URL=" + u.String()
	}
	parts := func(more ...string) []string { return append(append([]string{}, settings...), more...) }
	for want, env := range map[string][]string{
		"DATABASE_URL: the database refuses user or password": {link(role, "hunter2", name)},
		"DATABASE_URL: the database has no such database":     {link("test", "hunter2", "nowhere")},
		"PGPASSWORD: the database refuses user or password": parts(
			"PGUSER="+role, "PGPASSWORD=hunter2", "PGDATABASE="+name),
		"PGDATABASE: the database has no such database": parts("PGUSER=test", "PGDATABASE=nowhere"),
		"PGUSER: the database refuses the user":         parts("PGUSER=nobody", "PGDATABASE="+name),
	} {
		for _, command := range []string{"serve", "migrate"} {
			status, _, log := servicetest.Run(t, t.TempDir(), env, command)
			if status != 1 || !strings.Contains(log, want) || strings.Contains(log, "hunter2") {
				t.Errorf("%s with %v: %d, %s; want 1 and %s", command, env, status, log, want)
			}
			if strings.Contains(log, "waiting for store") {
				t.Errorf("%s with %v waits:\n%s", command, env, log)
			}
		}
	}
}

// TestRefusedRedis checks the same for Redis.
func TestRefusedRedis(t *testing.T) {
	plain := servicetest.RedisURL(t)
	u, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	link := func(user *url.Userinfo, database string) string {
		u.User, u.Path = user, "/"+database
		return "REDIS_URL=" + u.String()
	}
	for env, want := range map[string]string{
		link(url.UserPassword("otp", "hunter2"), "1"): "REDIS_URL: the Redis refuses user or password",
		link(nil, "99"): "REDIS_URL: the Redis has no database of that number",
	} {
		status, _, log := servicetest.Run(t, t.TempDir(), []string{env})
		if status != 1 || !strings.Contains(log, want) || strings.Contains(log, "hunter2") {
			t.Errorf("%s: %d, %s; want 1 and %s", env, status, log, want)
		}
		if strings.Contains(log, "waiting for store") {
			t.Errorf("%s: the service waits:\n%s", env, log)
		}
	}
}
