// Package command owns the command line: which command the arguments name, the file .env, misspelt names of settings,
// the words in which a start fails, and exit statuses. What the commands do belongs to the packages that they call, and
// main provides serve, the only command that opens everything.
//
// Whatever a command writes to standard error has the form of LOG_FORMAT, even a fault of the settings or of the
// command line, so that a log collector can read why a process did not start. No value of a setting is written, and of
// an argument only what cannot be a value.
package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"dekamond-otp/internal/address"
	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/health"
	"dekamond-otp/internal/servers"
	"dekamond-otp/internal/sms"
	"dekamond-otp/internal/stores"
	"dekamond-otp/internal/token"
)

// Options are the inputs of Run. All are needed.
type Options struct {
	Version        string
	Args           []string // Without the name of the program.
	Stdout, Stderr io.Writer
	// Serve answers requests until ctx is done.
	Serve func(ctx context.Context, c *config.Config, log *slog.Logger) error
}

// A run is one run of the program.
type run struct {
	Options
	misspelt []config.Misspelling
}

// Run runs the command that the arguments name, and reports why it failed. The exit status is 2 if the settings or the
// arguments have faults, 1 after any other failure, and otherwise 0. Run puts the variables of .env into the
// environment of the process.
func Run(ctx context.Context, o Options) (status int) {
	r := &run{Options: o}
	c, args, err := find(o.Args)
	fileErr := r.readEnvironment()
	if err == nil && c.needsSettings {
		err = fileErr
	}
	if err == nil {
		err = c.do(r, ctx, args)
	}
	return r.report(err)
}

// readEnvironment reads .env, which does not override the environment, and finds misspelt names in both. After a fault
// the variables above it count all the same, because one of them could be LOG_FORMAT.
func (r *run) readEnvironment() error {
	var environment, file []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		environment = append(environment, name)
	}
	variables, err := readDotEnv()
	for name, value := range variables {
		file = append(file, name)
		if !slices.Contains(environment, name) {
			_ = os.Setenv(name, value) // fails for names alone that .env cannot have
		}
	}
	r.misspelt = config.Misspelt(file, environment, sms.Settings())
	return err
}

// A command is what the program can do.
type command struct {
	name          string // One or two words.
	does          string
	do            func(r *run, ctx context.Context, args []string) error
	argument      string // What its only argument may be; "" if it takes none.
	needsSettings bool   // Whether a fault in .env keeps it from running.
}

// commands returns all commands, the default first.
func commands() []command {
	return []command{
		{
			name:          "serve",
			does:          "answer requests (default)",
			do:            withSettings((*run).serve),
			needsSettings: true,
		},
		{
			name:          "migrate",
			does:          "bring the database up to date and exit",
			do:            withSettings((*run).migrate),
			needsSettings: true,
		},
		{
			name:          "keys new",
			does:          "create an EdDSA signing key in the folder JWT_KEYS; keys new ES256 and RS256 create others",
			do:            (*run).newKey,
			argument:      "algorithm",
			needsSettings: true,
		},
		{
			name:          "doctor",
			does:          "report what is weak or wrong in settings, stores and providers; changes and sends nothing",
			do:            withSettings((*run).doctor),
			needsSettings: true,
		},
		{
			name:          "unlock",
			does:          "free a phone from the limits of wrong attempts and messages, such as unlock +989121234567",
			do:            (*run).unlock,
			argument:      "phone",
			needsSettings: true,
		},
		{
			name:          "healthcheck",
			does:          "ask the service on HTTP_ADDR whether it is alive",
			do:            withSettings((*run).healthcheck),
			needsSettings: true,
		},
		{
			name: "version",
			does: "print the version, and the commit if the build recorded it",
			do:   (*run).printVersion,
		},
		{
			name:     "help",
			does:     "print this",
			do:       (*run).help,
			argument: "command",
		},
	}
}

// withSettings returns a command that reads the settings first.
func withSettings(
	do func(r *run, ctx context.Context, c *config.Config) error,
) func(r *run, ctx context.Context, args []string) error {
	return func(r *run, ctx context.Context, _ []string) error {
		c, err := config.Load(os.Getenv, sms.Settings())
		if err != nil {
			return err
		}
		return do(r, ctx, c)
	}
}

func (r *run) serve(ctx context.Context, c *config.Config) error {
	return r.Serve(ctx, c, r.openLog(ctx, c))
}

func (r *run) migrate(ctx context.Context, c *config.Config) error {
	return stores.Migrate(ctx, c, r.openLog(ctx, c))
}

// openLog returns the log, which begins with the misspelt names.
func (r *run) openLog(ctx context.Context, c *config.Config) *slog.Logger {
	log := servers.NewLog(r.Stderr, c)
	for _, m := range r.misspelt {
		log.WarnContext(ctx, misspeltMessage, misspeltAttributes(m)...)
	}
	return log
}

func (r *run) doctor(ctx context.Context, c *config.Config) error {
	return doctor.Run(ctx, c, r.misspelt, r.Stdout)
}

func (r *run) healthcheck(ctx context.Context, c *config.Config) error {
	return health.Check(ctx, address.Reachable(c.HTTPAddr))
}

// newKey makes a signing key. It needs no other setting than the folder.
func (r *run) newKey(_ context.Context, args []string) error {
	algorithm := token.Algorithms[0]
	if len(args) > 0 {
		i := slices.IndexFunc(token.Algorithms, func(a string) bool { return strings.EqualFold(a, args[0]) })
		if i < 0 {
			last := len(token.Algorithms) - 1
			all := strings.Join(token.Algorithms[:last], ", ") + " and " + token.Algorithms[last]
			return usageError("keys new makes no keys for " + quote(args[0]) + "; it makes them for " + all)
		}
		algorithm = token.Algorithms[i]
	}
	folder, err := config.KeyFolder(os.Getenv)
	if err != nil {
		return err
	}
	path, id, err := token.NewKey(folder, algorithm)
	if err == nil {
		_, err = fmt.Fprintf(r.Stdout, "%s\nkid %s\n", path, id)
	}
	return err
}

// printVersion prints the version, and the commit in parentheses if the build recorded it.
func (r *run) printVersion(context.Context, []string) error {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " (" + s.Value + ")"
			}
		}
	}
	_, err := fmt.Fprintln(r.Stdout, r.Version+commit)
	return err
}

// help prints all commands, whichever of them it is asked about.
func (r *run) help(_ context.Context, args []string) error {
	if len(args) > 0 {
		if _, _, err := find(args); err != nil {
			return err
		}
	}
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-13s%s\n", c.name, c.does)
	}
	_, err := fmt.Fprintf(r.Stdout, usage, list.String())
	return err
}

const usage = `Dekamond OTP, a phone-number login service.

usage: dekamond-otp [command]

%s
Settings are environment variables, and a file .env is read too. docs/settings.md lists them.
`
