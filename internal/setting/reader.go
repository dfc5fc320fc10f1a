// Package setting owns how one setting is read: out of an environment variable, with a default, by a parser whose
// error says what the value must be. It also owns the types by which a messaging provider describes its settings, so
// that a provider needs no entry anywhere else. Which settings the service has is left to package config.
//
// A fault names the variable and never quotes the value: faults end up in logs, and any setting may turn out to hold a
// secret that was pasted into the wrong line.
package setting

import (
	"slices"
	"strings"
)

// A Fault is a setting that cannot be used, and why.
type Fault struct{ Variable, Problem string }

// Faults are all faults of the settings, at most one per variable. They hold no values.
type Faults []Fault

// Error has a line for each fault, such as "OTP_TTL: must be a duration from 30s to 10m in whole seconds".
func (f Faults) Error() string {
	var lines []string
	for _, fault := range f {
		lines = append(lines, fault.Variable+": "+fault.Problem)
	}
	return strings.Join(lines, "\n")
}

// Refused is the error of a setting whose value has the right form and is not accepted by the machine or the server
// that it names, such as an address in use. Another start may succeed, in contrast to one with Faults.
type Refused Fault

// Error returns the variable and the problem.
func (r Refused) Error() string { return r.Variable + ": " + r.Problem }

// A Reader reads variables and collects their faults.
type Reader struct {
	getenv func(string) string
	faults Faults
}

// NewReader returns a Reader of the variables that getenv knows.
func NewReader(getenv func(string) string) *Reader { return &Reader{getenv: getenv} }

// Err returns the Faults found so far, or nil.
func (r *Reader) Err() error {
	if len(r.faults) == 0 {
		return nil
	}
	return r.faults
}

// Text returns the variable without the spaces around it, or else its default. An empty variable counts as not set.
func (r *Reader) Text(name, def string) string {
	if s := strings.TrimSpace(r.getenv(name)); s != "" {
		return s
	}
	return def
}

// Read returns what parse makes of the variable or its default. It returns the zero value if both are empty, and after
// a fault, which r keeps.
func Read[T any](r *Reader, name, def string, parse Parser[T]) (value T) {
	s := r.Text(name, def)
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

// Check adds a fault of the named variable unless ok. It adds none if that variable, or one of the others on which ok
// depends, has a fault already.
func (r *Reader) Check(ok bool, problem, name string, others ...string) {
	faulty := func(f Fault) bool { return f.Variable == name || slices.Contains(others, f.Variable) }
	if !ok && !slices.ContainsFunc(r.faults, faulty) {
		r.faults = append(r.faults, Fault{name, problem})
	}
}
