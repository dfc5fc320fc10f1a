package command

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
	"dekamond-otp/internal/setting"
)

// The messages of the log.
const (
	failedMessage   = "command failed"
	faultMessage    = "setting cannot be used"
	misspeltMessage = "unknown setting"
)

// report writes why a command failed to standard error, in the form of LOG_FORMAT, and returns the exit status. Beside
// faults of the settings it writes the misspelt names, because one of them may be the cause.
func (r *run) report(err error) (status int) {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, doctor.ErrWrong): // the report has said it
		return 1
	}
	faults, areFaults := errors.AsType[setting.Faults](err)
	refused, isRefused := errors.AsType[setting.Refused](err)
	if isRefused {
		faults = setting.Faults{setting.Fault(refused)}
	}
	switch {
	case !logsJSON():
		r.reportText(err, areFaults)
	case len(faults) > 0:
		log := slog.New(slog.NewJSONHandler(r.Stderr, nil))
		for _, f := range faults {
			log.Error(faultMessage, "variable", f.Variable, "problem", f.Problem)
		}
		for _, m := range r.misspelt {
			log.Warn(misspeltMessage, misspeltAttributes(m)...)
		}
	default:
		slog.New(slog.NewJSONHandler(r.Stderr, nil)).Error(failedMessage, "error", err.Error())
	}
	if _, isUsage := errors.AsType[usageError](err); isUsage || areFaults {
		return 2
	}
	return 1
}

func (r *run) reportText(err error, areFaults bool) {
	fmt.Fprintln(r.Stderr, err)
	if !areFaults {
		return
	}
	for _, m := range r.misspelt {
		fmt.Fprintln(r.Stderr, m)
	}
}

// logsJSON reports whether LOG_FORMAT, or its default in production, is json. It works with faulty settings too.
func logsJSON() bool {
	format := ""
	if strings.TrimSpace(os.Getenv("APP_ENV")) == "production" {
		format = "json"
	}
	switch own := strings.TrimSpace(os.Getenv("LOG_FORMAT")); own {
	case "text", "json":
		format = own
	}
	return cmp.Or(format, "text") == "json"
}

func misspeltAttributes(m config.Misspelling) []any {
	attributes := []any{"name", m.Name, "in", m.Place}
	if m.Near != "" {
		attributes = append(attributes, "meant", m.Near)
	}
	return attributes
}
