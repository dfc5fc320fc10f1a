// Package doctor says in plain words what is weak or wrong in a deployment, to the one who runs it. It owns the
// verdicts, which follow from the settings and from facts alone; the facts are gathered by the packages that
// know the services.
//
// No line holds a secret, or anything that a server sent, apart from numbers and from words that are known here: the
// report ends up in tickets and in terminals. Nothing is changed by being looked at.
package doctor

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"dekamond-otp/internal/config"
)

// Timeout is how long one look may take. All are at the same time.
const Timeout = 5 * time.Second

// A Mark is how bad a finding is.
type Mark string

// The marks, the worst one last.
const (
	OK    Mark = "ok"
	Note  Mark = "note"  // good to know, or not to be found out
	Weak  Mark = "weak"  // it works, and should not stay so
	Wrong Mark = "wrong" // it does not work, or not safely
)

// A Finding is one line of the report: what it is about, and what there is to say of it.
type Finding struct {
	Mark  Mark
	About string
	Text  string
}

type findings []Finding

func (f *findings) add(m Mark, about, format string, args ...any) {
	*f = append(*f, Finding{m, about, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")})
}

// either adds one of two findings: that all is well, or else what is not.
func (f *findings) either(ok bool, about, good string, otherwise Mark, bad string) {
	if ok {
		f.add(OK, about, "%s", good)
	} else {
		f.add(otherwise, about, "%s", bad)
	}
}

// A Patient is a deployment. Whatever is nil is not asked.
type Patient struct {
	Config    *config.Config
	Misspelt  []string // names in .env that no setting has
	Keys      []Key    // of JWT_KEYS
	KeysFault error
	Texts     []string // those that cost more than one message, by language and purpose
	TextFault error
	Redis     func(ctx context.Context) (Redis, error)
	Postgres  func(ctx context.Context) (Postgres, error)
	SQLite    func(ctx context.Context) (SQLite, error)
	Providers []Provider
	Alive     func(ctx context.Context) error // asks the service itself
}

// A Report is the findings, in groups that belong together.
type Report [][]Finding

// Examine looks at everything at the same time, and at nothing for longer than Timeout.
func Examine(ctx context.Context, p Patient) Report {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	now := time.Now()
	var (
		wait            sync.WaitGroup
		redis, database []Finding
		redisClock      clock
		databaseClock   clock
		running         []Finding
		providers       = make([][]Finding, len(p.Providers))
	)
	wait.Go(func() {
		if p.Redis == nil {
			redis = embeddedRedis(p.Config)
			return
		}
		facts, err := p.Redis(ctx)
		redis, redisClock = facts.verdict(err, p.Config, now), clock{"Redis", facts.Skew, err == nil}
	})
	wait.Go(func() {
		switch {
		case p.Postgres != nil:
			facts, err := p.Postgres(ctx)
			database, databaseClock = facts.verdict(err, p.Config, now), clock{"the database", facts.Skew, err == nil}
		case p.SQLite != nil:
			facts, err := p.SQLite(ctx)
			database = facts.verdict(err, p.Config)
		}
	})
	for i, provider := range p.Providers {
		wait.Go(func() { providers[i] = provider.verdict(ctx, p.Config, now) })
	}
	wait.Go(func() {
		if p.Alive != nil {
			running = alive(p.Alive(ctx), p.Config)
		}
	})
	wait.Wait()
	return Report{
		settings(p.Config, p.Misspelt), secrets(p.Config), append(keys(p.Keys, p.KeysFault, p.Config, now), texts(p.Texts, p.TextFault)...),
		redis, database, clocks(redisClock, databaseClock), slices.Concat(providers...), running,
	}
}

// Count is the number of findings with the mark.
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

// Write writes one line a finding, with an empty line between groups, and what it comes to.
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

// alive tells of the service itself.
func alive(err error, c *config.Config) (f findings) {
	f.either(err == nil, "service", "runs on "+c.HTTPAddr, Note, "does not run on "+c.HTTPAddr+", seen from here")
	return f
}
