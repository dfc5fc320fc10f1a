package browser

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A journal is what a tab has done, and what of it is a fault.
type journal struct {
	mu       sync.Mutex // guards the fields below
	hosts    []string   // which the page may ask
	lines    []string
	faults   []string
	forgiven []string // parts of faults
}

// note adds a line that explains a failure.
func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

// fault adds a fault, unless it is forgiven.
func (j *journal) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.note("FAULT %s", text)
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.ContainsFunc(j.forgiven, func(part string) bool { return strings.Contains(text, part) }) {
		j.faults = append(j.faults, text)
	}
}

// admit lets the page ask a host.
func (j *journal) admit(host string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hosts = append(j.hosts, host)
}

// inner are the schemes of addresses that lead to no host.
var inner = []string{"about", "blob", "data"}

// asked adds a fault if an address is none that the page may ask.
func (j *journal) asked(address string) {
	u, err := url.Parse(address)
	j.mu.Lock()
	inside := err == nil && (slices.Contains(j.hosts, u.Host) || slices.Contains(inner, u.Scheme))
	j.mu.Unlock()
	if !inside {
		j.fault("the page asks %s", address)
	}
}

func (j *journal) forgive(parts []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forgiven = parts
}

func (j *journal) found() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.faults)
}

// clear forgets the faults.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}
