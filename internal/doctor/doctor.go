// Package doctor reports to the operator, in plain words, what is weak or wrong in a deployment. It owns the verdicts,
// which follow from the settings and from facts alone; the adapters gather the facts about the services that they know.
//
// No line of the report contains a secret, or a text that a server sent, apart from numbers and from words that are
// known here, because the report ends up in tickets and in terminals. Nothing is changed by being examined.
package doctor

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Timeout bounds the whole examination. Everything is asked at the same time.
const Timeout = 5 * time.Second

// A Mark is how bad a finding is.
type Mark string

// The marks, the worst one last.
const (
	OK    Mark = "ok"
	Note  Mark = "note"  // Good to know, or impossible to find out.
	Weak  Mark = "weak"  // It works, and should not stay so.
	Wrong Mark = "wrong" // It does not work, or not safely.
)

// A Finding is one line of the report. Text is the rest of a sentence about About.
type Finding struct {
	Mark  Mark
	About string
	Text  string
}

type findings []Finding

func (f *findings) add(m Mark, about, format string, args ...any) {
	*f = append(*f, Finding{m, about, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")})
}

// addEither adds good as OK, or else bad with its mark.
func (f *findings) addEither(ok bool, about, good string, otherwise Mark, bad string) {
	if ok {
		f.add(OK, about, "%s", good)
	} else {
		f.add(otherwise, about, "%s", bad)
	}
}

// A Report is the findings, in groups that belong together.
type Report [][]Finding

// Count returns the number of findings with the mark.
func (r Report) Count(m Mark) (n int) {
	for _, group := range r {
		for _, f := range group {
			if f.Mark == m {
				n++
			}
		}
	}
	return n
}

// Write writes one line for each finding, an empty line between groups, and the counts at the end.
func (r Report) Write(w io.Writer) error {
	width := 0
	for _, group := range r {
		for _, f := range group {
			width = max(width, len(f.About))
		}
	}
	var b strings.Builder
	for _, group := range r {
		for _, f := range group {
			fmt.Fprintf(&b, "%-5s  %-*s  %s\n", f.Mark, width, f.About, f.Text)
		}
		if len(group) > 0 {
			b.WriteByte('\n')
		}
	}
	fmt.Fprintf(&b, "%d wrong, %d weak\n", r.Count(Wrong), r.Count(Weak))
	_, err := io.WriteString(w, b.String())
	return err
}
