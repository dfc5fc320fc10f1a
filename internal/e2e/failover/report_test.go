package failover

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/e2e/servicetest"
)

// inTime is how long after a store serves again the service may still answer 5xx.
const inTime = 2 * time.Second

// sample is the most logins whose code and session are tried again at the end of a story.
const sample = 150

// A report is the outcome of a story.
type report struct {
	rounds   int // how often the story was told
	calls    int
	logins   int
	lost     int // requests answered with 202 without a message
	doubles  int // codes that two answers at once logged in with
	replays  int // codes that logged in again
	gone     int // users or sessions of logins that the database does not have
	refused  int // right codes that were refused although no call failed
	broken   int // calls whose connection broke
	failures int // answers 5xx
	late     int // answers 5xx more than inTime after the store served again, and broken calls unless a copy was killed
	excused  int // what would be late, but came while the machine was too slow to tell, or a listener closed

	outage time.Duration  // how long the store did not serve
	after  time.Duration  // from when the store served again to the last answer 5xx; 0 for none
	causes map[string]int // of the answers 5xx and of the broken calls, with how often they came
}

// header is the first line of a table of reports.
var header = fmt.Sprintf("%-26s%6s%8s%8s%6s%8s%8s%6s%8s%7s%6s%6s%8s%8s%8s",
	"fault", "rounds", "calls", "logins", "lost", "doubles", "replays", "gone", "refused", "broken", "5xx", "late",
	"excused", "outage", "after")

// line returns the report as a line of a table.
func (r report) line(name string) string {
	return fmt.Sprintf("%-26s%6d%8d%8d%6d%8d%8d%6d%8d%7d%6d%6d%8d%7.1fs%7.1fs",
		name, r.rounds, r.calls, r.logins, r.lost, r.doubles, r.replays, r.gone, r.refused, r.broken, r.failures,
		r.late, r.excused, r.outage.Seconds(), r.after.Seconds())
}

// plus returns the sum of two reports, with the longer of their times.
func (r report) plus(o report) report {
	return report{
		rounds:   r.rounds + o.rounds,
		calls:    r.calls + o.calls,
		logins:   r.logins + o.logins,
		lost:     r.lost + o.lost,
		doubles:  r.doubles + o.doubles,
		replays:  r.replays + o.replays,
		gone:     r.gone + o.gone,
		refused:  r.refused + o.refused,
		broken:   r.broken + o.broken,
		failures: r.failures + o.failures,
		late:     r.late + o.late,
		excused:  r.excused + o.excused,
		outage:   max(r.outage, o.outage),
		after:    max(r.after, o.after),
	}
}

// finish ends the load, waits for the messages, tries codes and sessions again, and returns the report. copies
// are all that have answered.
func (l *load) finish(w *watcher, sc scene, copies []*servicetest.Service) report {
	l.t.Helper()
	l.stop()
	r := report{
		rounds:  1,
		calls:   len(l.answers),
		logins:  len(l.logins),
		doubles: l.doubles,
		replays: l.replays,
		refused: l.refused,
		causes:  make(map[string]int),
	}
	w.end()
	l.times(&r, w, sc, copies)
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if r.lost = l.missing(); r.lost == 0 || time.Since(began) > servicetest.Patience {
			break
		}
	}
	r.gone = l.gone(cmp.Or(sc.found, sc.database))
	l.again(&r)
	return r
}

// times counts the failures by when they came.
func (l *load) times(r *report, w *watcher, sc scene, copies []*servicetest.Service) {
	logged := loggedErrors(copies)
	r.outage = w.outage()
	for _, a := range l.answers {
		inVain := a.status == 0 && !sc.killed
		since, ok := w.since(a.to)
		switch {
		case a.status == 0:
			r.broken++
		case a.status >= http.StatusInternalServerError:
			r.failures++
			if ok {
				r.after = max(r.after, since)
			}
			inVain = sc.planned || !ok || since > inTime
		}
		verdict := "in time"
		switch {
		case !inVain:
		case a.waited(), w.stalled(span{a.from.Add(-time.Second), a.to}):
			r.excused++
			verdict = "excused"
		default:
			r.late++
			verdict = "late"
		}
		if a.status == 0 || a.status >= http.StatusInternalServerError {
			r.causes[fmt.Sprintf("%s: %d %s: %s", verdict, a.status, a.path, a.cause(logged))]++
		}
	}
}

// cause returns the error of a call: that in the logs, by its identifier, or that of the client.
func (a answer) cause(logged map[string]string) string {
	if a.status == 0 {
		return regexp.MustCompile(`[\d.]+:\d+`).ReplaceAllString(a.err.Error(), "…")
	}
	return cmp.Or(logged[a.id], "the log has no cause")
}

// failed matches the line of a request that failed: its error, and its identifier.
var failed = regexp.MustCompile(`msg="request failed" error=("(?:[^"\\]|\\.)*"|\S+).* request_id=(\S+)`)

// loggedErrors returns the errors in the logs of copies, by the identifiers of the requests.
func loggedErrors(copies []*servicetest.Service) map[string]string {
	logged := make(map[string]string)
	for _, s := range copies {
		for line := range strings.Lines(s.Log.String()) {
			if m := failed.FindStringSubmatch(line); m != nil {
				logged[m[2]] = m[1]
			}
		}
	}
	return logged
}

// missing returns how many accepted requests have no message yet.
func (l *load) missing() (n int) {
	for _, phone := range l.accepted {
		if _, ok := l.mail.await(phone, 0); !ok && len(l.mail.of(phone)) == 0 {
			n++
		}
	}
	return n
}

// gone returns how many users of logins are not in the database.
func (l *load) gone(database string) int {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close(ctx)
	ids := make([]string, len(l.logins))
	for i, in := range l.logins {
		ids[i] = in.user
	}
	var found int
	const count = `
		select count(*) from users u where id = any($1::text[]::uuid[])
			and exists (select from sessions s where s.user_id = u.id)`
	if err := c.QueryRow(ctx, count, ids).Scan(&found); err != nil {
		l.t.Fatal(err)
	}
	return len(ids) - found
}

// again answers with used codes again, which must be refused, and refreshes their sessions, which must live.
func (l *load) again(r *report) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	queue := make(chan login)
	for range 6 {
		wg.Go(func() {
			for in := range queue {
				replay := l.verify(in.phone, in.code)
				refresh := l.insist("/token/refresh", servicetest.JSON("refresh_token", in.refresh))
				mu.Lock()
				if replay.loggedIn() {
					r.replays++
				}
				if refresh.status != http.StatusOK {
					r.gone++
				}
				mu.Unlock()
			}
		})
	}
	step := max(1, len(l.logins)/sample)
	for i := 0; i < len(l.logins); i += step {
		queue <- l.logins[i]
	}
	close(queue)
	wg.Wait()
}

// insist makes a call until it is answered with something else than 5xx.
func (l *load) insist(path, body string) answer {
	for began := time.Now(); ; time.Sleep(pause) {
		a := l.call(path, body)
		if a.status != 0 && a.status < http.StatusInternalServerError || time.Since(began) > servicetest.Patience {
			return a
		}
	}
}

// check fails the test for what must never happen: anything lost or admitted twice, and a late answer 5xx.
func (r report) check(t *testing.T, name string) {
	t.Helper()
	t.Log("\n" + header + "\n" + r.line(name))
	for what, n := range map[string]int{
		"requests were answered with 202 and have no message": r.lost,
		"codes logged in twice at once":                       r.doubles,
		"codes logged in again":                               r.replays,
		"users or sessions are lost":                          r.gone,
		"answers 5xx or broken calls were too late":           r.late,
	} {
		if n > 0 {
			t.Errorf("%s: %d %s", name, n, what)
		}
	}
	for cause, n := range r.causes {
		t.Logf("%d × %s", n, cause)
	}
	if r.logins == 0 {
		t.Errorf("%s: nobody has logged in", name)
	}
}
