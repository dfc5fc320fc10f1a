package operation

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
	"dekamond-otp/internal/servertest"
)

// A composeProject is what Docker Compose makes of docker-compose.yml.
type composeProject struct {
	Services map[string]composeService
}

// A composeService is what a test reads of one service.
type composeService struct {
	Image       string
	Build       struct{ Args map[string]string }
	Environment map[string]string
	Healthcheck *struct {
		Test        []string
		StartPeriod string `json:"start_period"`
	}
	Logging struct {
		Driver  string
		Options map[string]string
	}
	MemLimit        string `json:"mem_limit"`
	ReadOnly        bool   `json:"read_only"`
	StopGracePeriod string `json:"stop_grace_period"`
	Tmpfs           []string
	Ports           []struct{ Published string }
}

// dockerLibrary returns a command that asks the libraries of Docker; testdata/docker/main.go describes the questions.
func dockerLibrary(t *testing.T, question, argument string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "docker")
	runIn(t, "testdata/docker", "go", "build", "-o", program)
	return exec.Command(program, question, argument)
}

// readCompose returns docker-compose.yml as Docker Compose reads it, with the variables of env in the environment and
// dotEnv as the text of the .env beside it.
func readCompose(t *testing.T, dotEnv string, env ...string) composeProject {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"docker-compose.yml": file(t, servicetest.Root+"docker-compose.yml"),
		".env":               dotEnv,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := dockerLibrary(t, "compose", "docker-compose.yml")
	c.Dir, c.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "PWD=" + dir}, env...)
	out, err := c.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("docker-compose.yml: %v\n%s", err, exit.Stderr)
	}
	var project composeProject
	if err := json.Unmarshal(out, &project); err != nil {
		t.Fatal(err)
	}
	return project
}

// TestCompose checks what every service of docker-compose.yml needs on a machine that runs for years, and that the
// settings of the build reach it.
func TestCompose(t *testing.T) {
	plain := readCompose(t, "")
	for name, s := range plain.Services {
		if s.MemLimit == "" || s.Logging.Driver != "json-file" || s.Logging.Options["max-size"] == "" ||
			s.Logging.Options["max-file"] == "" {
			t.Errorf("%s has the memory %q and the logging %v; want limits for both", name, s.MemLimit, s.Logging)
		}
		if h := s.Healthcheck; name != "otp" && h == nil { // the image of otp has its own
			t.Errorf("%s has no health check", name)
		} else if slices.Contains([]string{"postgres", "redis"}, name) && h.StartPeriod == "" {
			t.Errorf("%s has no time to start", name)
		}
	}
	own := plain.Services["otp"]
	if !own.ReadOnly || !slices.Contains(own.Tmpfs, "/tmp") || len(own.Build.Args) > 0 {
		t.Errorf("otp: %+v; want a root that is read-only, a /tmp, and no arguments", own)
	}
	args := map[string]string{
		"VERSION":   "9.9.9-test",
		"REVISION":  "cafe",
		"GOPROXY":   "https://proxy.example.com",
		"DOCKERHUB": "mirror.example.com/hub",
		"GCR":       "mirror.example.com/gcr",
	}
	var set []string
	for name, value := range args {
		set = append(set, name+"="+value)
	}
	for _, p := range []composeProject{readCompose(t, "", set...), readCompose(t, strings.Join(set, "\n"))} {
		if got := p.Services["otp"].Build.Args; !maps.Equal(got, args) {
			t.Errorf("the build has the arguments %v; want %v", got, args)
		}
		for name, s := range p.Services {
			if name != "otp" && !strings.HasPrefix(s.Image, args["DOCKERHUB"]+"/") {
				t.Errorf("%s has the image %s; want it from %s", name, s.Image, args["DOCKERHUB"])
			}
		}
	}
	ports := readCompose(t, "", "PUBLISH=127.0.0.1:1630-1639").Services["otp"].Ports
	if ports[0].Published != "1630-1639" {
		t.Errorf("ports %v; want a range, one of which each copy gets", ports)
	}
}

// TestBuildContext checks that .dockerignore lets through what the Dockerfile builds, and neither tests nor pictures,
// and that VERSION is the version of the binary.
func TestBuildContext(t *testing.T) {
	out, err := dockerLibrary(t, "context", servicetest.Root).Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if strings.HasSuffix(name, "_test.go") || regexp.MustCompile(`test/|testdata|pictures|^\.`).MatchString(name) {
			t.Errorf(".dockerignore lets %s through", name)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file(t, servicetest.Root+name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dockerfile := file(t, servicetest.Root+"Dockerfile")
	build := regexp.MustCompile(`go build .* -o /out/dekamond-otp \.`).FindString(dockerfile)
	labelled := regexp.MustCompile(`(?m)^ARG VERSION=(.+)$`).FindStringSubmatch(dockerfile)
	if build == "" || labelled == nil || strings.HasPrefix(dockerfile, "# syntax") {
		t.Fatalf("the Dockerfile is\n%s\nwant a build, a version, and no image for its syntax", dockerfile)
	}
	build = strings.Replace(build, "/out/", "./", 1)
	for _, version := range []string{"", "9.9.9-test"} {
		c := exec.Command("sh", "-euc", build)
		c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "VERSION="+version)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", build, err, out)
		}
		out, err := exec.Command(filepath.Join(dir, "dekamond-otp"), "version").Output()
		if want := cmp.Or(version, labelled[1]); err != nil || string(out) != want+"\n" {
			t.Errorf("with VERSION=%q the version is %s, %v; want %s", version, out, err, want)
		}
	}
}

// TestMakeCompose runs .ci/compose with a program in place of Docker that starts and stops the service itself. The
// script succeeds if the same user logs in before and after, fails if the data is lost, and says what is missing.
func TestMakeCompose(t *testing.T) {
	bin, err := filepath.Abs("testdata/bin")
	if err != nil {
		t.Fatal(err)
	}
	run := func(env ...string) (output, calls string, err error) {
		dir := t.TempDir()
		service := servicetest.Command(t, dir, nil).Path
		c := exec.Command("bash", servicetest.Root+".ci/compose")
		c.Env = append([]string{
			"PATH=" + bin + ":" + os.Getenv("PATH"),
			"FAKE_DIR=" + dir,
			"FAKE_SERVICE=" + service,
			"FAKE_ADDRESS=" + servertest.FreeAddress(t),
			"FAKE_VERSION=2.24.0",
		}, env...)
		out, err := c.CombinedOutput()
		made, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return string(out), string(made), err
	}
	output, calls, err := run()
	const up, port = "up --build --wait --wait-timeout 600\n", "port otp 1628\n"
	const want = "version --short\ninfo\n" + up + port + "exec -T otp dekamond-otp doctor\ndown\n" + up + port +
		"down --volumes --rmi local\n"
	if err != nil || calls != want {
		t.Errorf("%v\n%s\nwith the calls\n%s\nwant\n%s", err, output, calls, want)
	}
	for fault, env := range map[string]string{
		"the second login has another user": "FAKE_FORGETS=yes",
		"2.24 or newer is needed":           "FAKE_VERSION=2.9.0",
	} {
		output, calls, err := run(env)
		if err == nil || !strings.Contains(output, fault) {
			t.Errorf("with %s: %v\n%s; want a failure: %s", env, err, output, fault)
		}
		if strings.Contains(calls, up) && !strings.HasSuffix(calls, "down --volumes --rmi local\n") {
			t.Errorf("with %s the calls are\n%s; want the containers removed", env, calls)
		}
	}
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

// TestComposePassword checks that any password in POSTGRES_PASSWORD, in the environment or in .env, reaches both the
// Postgres of docker-compose.yml and the service as it is, and that the service logs people in with it.
func TestComposePassword(t *testing.T) {
	for _, password := range []string{
		`n5/8+Qw==`,
		`a@b:c/d?e#f%41&g`,
		`p$w {"x"} 'y' \z`,
		`p$w $$ ${HOME} "x" \z`,
		`گذرواژه`,
		``,
	} {
		t.Run(password, func(t *testing.T) {
			database, name, settings := databaseOf(t)
			project := readCompose(t, "", "POSTGRES_PASSWORD="+password)
			want := project.Services["postgres"].Environment["POSTGRES_PASSWORD"]
			if want != password && password != "" {
				t.Errorf("Postgres gets the password %s; want %s", want, password)
			}
			if !strings.Contains(password, "'") { // which a value in single quotes cannot have
				quoted := readCompose(t, "POSTGRES_PASSWORD='"+password+"'\n")
				server := quoted.Services["postgres"].Environment["POSTGRES_PASSWORD"]
				client := quoted.Services["otp"].Environment["PGPASSWORD"]
				if server != want || client != want {
					t.Errorf("with .env, Postgres gets %s and the service %s; want %s", server, client, want)
				}
			}
			role := "role_" + name
			pgtest.NewRole(t, database, role, want)
			own := project.Services["otp"].Environment
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
