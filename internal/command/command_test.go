package command

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/setting"
)

// start runs the program in a folder of its own with the variables of env alone, each NAME=value, and returns its exit
// status and what it writes.
func start(t *testing.T, env []string, args ...string) (status int, out, log string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		t.Setenv(name, "") // restores it at the end of the test
		os.Unsetenv(name)
	}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value)
	}
	var stdout, stderr strings.Builder
	status = Run(t.Context(), Options{
		Version: "1.2.3",
		Args:    args,
		Stdout:  &stdout,
		Stderr:  &stderr,
		Serve: func(ctx context.Context, c *config.Config, log *slog.Logger) error {
			switch c.AppName {
			case "refused":
				return setting.Refused{Variable: "HTTP_ADDR", Problem: "is in use"}
			case "broken":
				return errors.New("broken")
			}
			log.InfoContext(ctx, "serving", "production", c.Production)
			return nil
		},
	})
	return status, stdout.String(), stderr.String()
}

// TestArguments checks which command arguments name. What names none is repeated and answered with the nearest.
func TestArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	const see = "; see dekamond-otp help\n"
	const help = "Dekamond OTP, a phone-number login service.\n\nusage: dekamond-otp [command]\n\n  serve        answer"
	for _, tc := range []struct {
		args   string // with | between them
		status int
		out    string // how standard output begins
		log    string // standard error
	}{
		{"version", 0, "1.2.3", ""},
		{"-v", 0, "1.2.3", ""},
		{"-version", 0, "1.2.3", ""},
		{"--version", 0, "1.2.3", ""},
		{"help", 0, help, ""},
		{"-h", 0, help, ""},
		{"-help", 0, help, ""},
		{"--help", 0, help, ""},
		{"help|migrate", 0, help, ""},
		{"help|keys|new", 0, help, ""},
		{"migrate|--help", 0, help, ""},
		{"keys|new|-h", 0, help, ""},
		{"help|nix", 2, "", `unknown command "nix"` + see},
		{"start", 2, "", `unknown command "start"` + see},
		{"sevre", 2, "", `unknown command "sevre" (do you mean serve?)` + see},
		{"Serve", 2, "", `unknown command "Serve" (do you mean serve?)` + see},
		{"migrat", 2, "", `unknown command "migrat" (do you mean migrate?)` + see},
		{"docter", 2, "", `unknown command "docter" (do you mean doctor?)` + see},
		{"health-check", 2, "", `unknown command "health-check" (do you mean healthcheck?)` + see},
		{"keys", 2, "", `unknown command "keys" (do you mean keys new?)` + see},
		{"keys|list", 2, "", `unknown command "keys list" (do you mean keys new?)` + see},
		{"keysnew", 2, "", `unknown command "keysnew" (do you mean keys new?)` + see},
		{"key|new", 2, "", `unknown command "key" (do you mean keys new?)` + see},
		{"", 2, "", `unknown command ""` + see},
		{"--port=80", 2, "", `unknown command "--port=…"` + see},
		{"redis://:hunter2@redis", 2, "", `unknown command "redis:…"` + see},
		{"health", 2, "", `unknown command "health" (do you mean healthcheck?)` + see},
		{"key", 2, "", `unknown command "key" (do you mean keys new?)` + see},
		{"-V", 0, "1.2.3", ""},
		{"hunter=2\n\x1b[31m", 2, "", `unknown command "hunter=…"` + see},
		{"a\n\x1b[31m\u202e", 2, "", `unknown command "a��[31m�"` + see},
		{strings.Repeat("x", 60), 2, "", `unknown command "` + strings.Repeat("x", 40) + `…"` + see},
		{
			"OTP_SECRET=hunter2", 2, "",
			"OTP_SECRET is a setting and no command: set it in the environment, or in .env" + see,
		},
		{"serve|now", 2, "", `serve takes no argument, and was given "now"` + see},
		{"migrate|--to=3", 2, "", `migrate takes no argument, and was given "--to=…"` + see},
		{"version|x", 2, "", `version takes no argument, and was given "x"` + see},
		{"keys|new|ES256|RS256", 2, "", `keys new takes one algorithm, and was given "RS256" too` + see},
		{"keys|new|FOO", 2, "", `keys new makes no keys for "FOO"; it makes them for EdDSA, ES256 and RS256` + see},
	} {
		status, out, log := start(t, nil, strings.Split(tc.args, "|")...)
		if status != tc.status || !strings.HasPrefix(out, tc.out) || log != tc.log {
			t.Errorf("%q: %d, %q, %q; want %d, %q…, %q", tc.args, status, out, log, tc.status, tc.out, tc.log)
		}
	}
	if status, _, log := start(t, nil); status != 0 || !strings.Contains(log, "msg=serving production=false") {
		t.Errorf("without a command: %d, %s; want serve", status, log)
	}
}

// lines returns the JSON objects of a log, one a line, without their time.
func lines(t *testing.T, log string) (all []map[string]string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var object map[string]string
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("%q is no JSON: %v", line, err)
		}
		delete(object, "time")
		all = append(all, object)
	}
	return all
}

// TestFaultsInJSON checks that every failure has the form of LOG_FORMAT, of which json is the default in production,
// even if LOG_FORMAT or .env has a fault itself.
func TestFaultsInJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	fault := func(variable, problem string) map[string]string {
		return map[string]string{
			"level":    "ERROR",
			"msg":      "setting cannot be used",
			"variable": variable,
			"problem":  problem,
		}
	}
	failure := func(problem string) map[string]string {
		return map[string]string{"level": "ERROR", "msg": "command failed", "error": problem}
	}
	const length = "must be a whole number from 6 to 10"
	for _, tc := range []struct {
		file, env, args string
		status          int
		want            []map[string]string
	}{
		{"", "LOG_FORMAT=json OTP_LENGTH=3", "", 2, []map[string]string{fault("OTP_LENGTH", length)}},
		{"LOG_FORMAT=json\n", "OTP_LENGTH=3", "doctor", 2, []map[string]string{fault("OTP_LENGTH", length)}},
		{"", "APP_ENV=production", "keys new", 2, []map[string]string{fault("JWT_KEYS", "must be set")}},
		{
			"LOG_FORMAT=json\nOTP_SECRET\n", "", "", 2,
			[]map[string]string{fault(".env", "line 2 must have the form NAME=value")},
		},
		{"", "APP_ENV=production", "sevre", 2, []map[string]string{
			failure(`unknown command "sevre" (do you mean serve?); see dekamond-otp help`),
		}},
		{"", "LOG_FORMAT=json APP_NAME=refused", "", 1, []map[string]string{fault("HTTP_ADDR", "is in use")}},
		{"", "LOG_FORMAT=json APP_NAME=broken", "", 1, []map[string]string{failure("broken")}},
	} {
		if err := os.WriteFile(dotEnv, []byte(tc.file), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, log := start(t, strings.Fields(tc.env), strings.Fields(tc.args)...)
		if got := lines(t, log); status != tc.status || out != "" || !slices.EqualFunc(got, tc.want, maps.Equal) {
			t.Errorf("%q with %s: %d, %q, %v; want %d, %v", tc.args, tc.env, status, out, got, tc.status, tc.want)
		}
	}
	_, _, log := start(t, []string{"APP_ENV=production", "LOG_FORMAT=xml"})
	format := fault("LOG_FORMAT", "must be text or json")
	if !slices.ContainsFunc(lines(t, log), func(l map[string]string) bool { return maps.Equal(l, format) }) {
		t.Errorf("a faulty LOG_FORMAT in production:\n%s; want %v among the lines", log, format)
	}
	_, _, log = start(t, []string{"APP_ENV=production", "LOG_FORMAT=text", "OTP_LENGTH=3"})
	if !strings.HasPrefix(log, "OTP_LENGTH: "+length+"\n") {
		t.Errorf("faults with LOG_FORMAT=text:\n%s; want lines for people", log)
	}
}

// TestMisspelt checks that misspelt names in .env and in the environment are reported, beside faults that they may have
// caused, and that their values never are.
func TestMisspelt(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile(dotEnv, []byte("OTP_LEN=8\nOTP_TTL=3m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DATABSE_URL=hunter2", "OTP_LENGTH=7", "REDIS_PORT_6379_TCP=tcp://10.0.0.1:6379"}
	status, _, log := start(t, env)
	for _, want := range []string{
		`level=WARN msg="unknown setting" name=OTP_LEN in=.env meant=OTP_LENGTH`,
		`level=WARN msg="unknown setting" name=DATABSE_URL in=environment meant=DATABASE_URL`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("serve: %d,\n%s; want %s", status, log, want)
		}
	}
	if n := strings.Count(log, "unknown setting"); n != 2 || strings.Contains(log, "hunter2") {
		t.Errorf("%d misspelt names:\n%s; want two, and no value", n, log)
	}
	status, _, log = start(t, append(env, "APP_ENV=production", "LOG_FORMAT=text"))
	for _, want := range []string{
		"DATABASE_URL: must be set in production, or PGHOST\n",
		"OTP_LEN: in .env is no setting; do you mean OTP_LENGTH?\n",
		"DATABSE_URL: in the environment is no setting; do you mean DATABASE_URL?\n",
	} {
		if status != 2 || !strings.Contains(log, want) {
			t.Errorf("production: %d,\n%s; want 2 and %s", status, log, want)
		}
	}
}
