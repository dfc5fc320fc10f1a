package config

import (
	"slices"
	"strings"
)

// A Fault is a setting that cannot be used, and why.
type Fault struct{ Variable, Problem string }

// Faults are all faults of the settings, at most one a variable. They hold no values.
type Faults []Fault

// Error is one line a fault: OTP_TTL: must be a duration from 30s to 10m in whole seconds.
func (f Faults) Error() string {
	var lines []string
	for _, fault := range f {
		lines = append(lines, fault.Variable+": "+fault.Problem)
	}
	return strings.Join(lines, "\n")
}

// A reader reads variables and keeps their faults.
type reader struct {
	getenv func(string) string
	faults Faults
}

func (r *reader) text(name, def string) string {
	if s := strings.TrimSpace(r.getenv(name)); s != "" {
		return s
	}
	return def
}

// read gives the variable, or its default if it is not set, as parse reads it. It is the zero value
// where there is neither, and after a fault.
func read[T any](r *reader, name, def string, parse parser[T]) (value T) {
	s := r.text(name, def)
	if s == "" {
		return value
	}
	parsed, err := parse(s)
	if err != nil {
		r.faults = append(r.faults, Fault{name, err.Error()})
		return value
	}
	return parsed
}

// check adds a fault of the named variable unless ok. It adds nothing if that variable, or one of the
// others that ok depends on, has a fault already.
func (r *reader) check(ok bool, problem, name string, others ...string) {
	unknown := func(f Fault) bool { return f.Variable == name || slices.Contains(others, f.Variable) }
	if !ok && !slices.ContainsFunc(r.faults, unknown) {
		r.faults = append(r.faults, Fault{name, problem})
	}
}
