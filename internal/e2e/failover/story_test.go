package failover

import (
	"cmp"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// A story is one fault under load. It draws what is left to chance from r.
type story struct {
	name string
	tell func(t *testing.T, r *rand.Rand) report
}

func TestFailover(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.tell(t, rand.New(rand.NewPCG(rand.Uint64(), 0))).check(t, s.name)
		})
	}
}

const (
	warmUp   = 2 * time.Second // of load before the fault
	lookOn   = 6 * time.Second // of load after the store serves again
	coolDown = 3 * time.Second // of load after a fault that has to go unnoticed
)

// A scene is where a story takes place.
type scene struct {
	database string        // the URL that the service has
	found    string        // the URL at which its users have to be in the end. Defaults to database.
	settings []string      // of the service, without those that all stories have
	copies   int           // of the service. Defaults to 2.
	workers  int           // how many people log in at a time. Defaults to 6.
	delay    time.Duration // of the provider
	probes   []probe       // writes to the store that the fault concerns
	// planned says that people must not notice the fault: the store serves on, or fails for a moment alone. The load
	// then ends soon after the fault. Otherwise it ends when the store has served again for lookOn, and answers 5xx are
	// allowed until inTime after an outage.
	planned bool
	killed  bool // the fault kills copies of the service, so that connections break
}

// A stage has the running copies of a service.
type stage struct {
	*watcher
	t      *testing.T
	copies []*servicetest.Service
	all    []*servicetest.Service // with those that have ended
}

// play runs a load while the fault is made, and returns the report.
func (sc scene) play(t *testing.T, fault func(s *stage)) report {
	t.Helper()
	mail := newMailbox(t, sc.delay)
	s := &stage{t: t}
	for range cmp.Or(sc.copies, 2) {
		env := append(common(mail), sc.settings...)
		env = append(env, "DATABASE_URL="+sc.database, "HTTP_ADDR="+servertest.FreeAddress(t))
		s.copies = append(s.copies, servicetest.Start(t, nil, env...))
	}
	s.all = append(s.all, s.copies...)
	w := watch(sc.probes...)
	s.watcher = w
	l := begin(t, mail, cmp.Or(sc.workers, 6), s.copies)
	t.Cleanup(func() { l.stop(); w.end() })
	time.Sleep(warmUp)
	fault(s)
	if sc.planned {
		time.Sleep(coolDown)
	} else {
		served := time.Now()
		servicetest.Eventually(t, "the store serves again for a while", func() bool {
			if w.fails() {
				served = time.Now()
			}
			return time.Since(served) > lookOn
		})
	}
	return l.finish(w, sc, s.all)
}

// common are the settings of every copy. Limits are on, because they are a part of what Redis does for a request, and
// so wide that no person meets them.
func common(mail *mailbox) []string {
	return []string{
		"SMS_PROVIDERS=webhook",
		"SMS_WEBHOOK_URL=" + mail.URL,
		"OTP_TTL=10m",
		"REDIS_TIMEOUT=300ms", // as is the default
		"REDIS_POOL_TIMEOUT=1s",
		"OTP_RESEND_AFTER=off",
		"OTP_LIMIT_PHONE=1000/10m",
		"OTP_LIMIT_IP=1000/1s",
		"OTP_SECRET=" + servicetest.OTPSecret,
		"JWT_SECRET=" + servicetest.JWTSecret,
	}
}

// restart ends a copy by a signal, starts it again at the same address and waits until it is ready.
func (s *stage) restart(i int, signal os.Signal) {
	s.t.Helper()
	old := s.copies[i]
	old.End(signal)
	if code := old.Cmd.ProcessState.ExitCode(); signal == syscall.SIGTERM && code != 0 {
		s.t.Errorf("a copy ended with status %d", code)
	}
	c := servicetest.Launch(s.t, old.Dir, old.Env...)
	s.copies[i] = c
	s.all = append(s.all, c)
	c.Await()
}
