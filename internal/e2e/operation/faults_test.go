package operation

import (
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/pgstore/pgtest"
)

func TestStoresDown(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	s := servicetest.Start(t, []string{databaseURL, redisURL},
		"OTP_RESEND_AFTER=off", "ADMIN_API_KEY="+servicetest.AdminKey)
	awaitReady(t, s, "up", "up")

	code := s.Code(phone)
	database.Shut(true)
	for range 10 { // a code that cannot be redeemed costs no attempt
		s.Want(s.Verify(phone, code), 503, "unavailable")
	}
	s.Want(s.Call("GET", "/users", "", servicetest.Admin), 503, "unavailable")
	awaitReady(t, s, "down", "up")
	s.Want(s.Call("GET", "/healthz", ""), 200, "")
	named(t, s, "DATABASE_URL")
	database.Shut(false)
	login := s.Want(awaitVerify(t, s, code), 201, "")

	code = s.Code(phone)
	redis.Shut(true)
	s.AwaitMessages()
	sent := strings.Count(s.Stdout.String(), "SMS to")
	s.Want(s.Request(phone), 503, "unavailable")
	s.Want(s.Verify(phone, code), 503, "unavailable")
	if got := strings.Count(s.Stdout.String(), "SMS to"); got != sent {
		t.Errorf("%d messages were sent without Redis", got-sent)
	}
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
	awaitReady(t, s, "up", "down")
	named(t, s, "REDIS_URL")
	redis.Shut(false)
	s.Want(awaitVerify(t, s, code), 200, "")
}

// awaitReady waits until GET /readyz reports each store as "up" or "down". On a slow machine a store may be down for a
// moment, because it did not answer within a second.
func awaitReady(t *testing.T, s *servicetest.Service, database, redis string) {
	t.Helper()
	status, code := 200, ""
	if database == "down" || redis == "down" {
		status, code = 503, "unavailable"
	}
	servicetest.Eventually(t, "the database is "+database+" and redis is "+redis, func() bool {
		a := s.Call("GET", "/readyz", "")
		return a.Status == status && a.Text("code") == code &&
			a.Text("checks", "database") == database && a.Text("checks", "redis") == redis
	})
}

// awaitVerify answers with a code until the service has a connection to a store that was away.
func awaitVerify(t *testing.T, s *servicetest.Service, code string) (a servicetest.Answer) {
	t.Helper()
	servicetest.Eventually(t, "the store is used again", func() bool {
		a = s.Verify(phone, code)
		return a.Status != 503
	})
	return a
}

// named checks that the log line of a request that failed for a store names its setting, of readiness too.
func named(t *testing.T, s *servicetest.Service, setting string) {
	t.Helper()
	for _, pattern := range []string{
		`msg="request failed" error="(account|otp): store unavailable: .*" setting=` + setting + ` `,
		`msg="request failed" error="not ready: ` + setting + `: `,
	} {
		if !regexp.MustCompile(pattern).MatchString(s.Log.String()) {
			t.Errorf("the log lacks %s:\n%s", pattern, s.Log.String())
		}
	}
}

func TestWaitsForStores(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	database.Shut(true)
	redis.Shut(true)
	s := servicetest.Launch(t, t.TempDir(), databaseURL, redisURL)
	waits := func(store string) {
		t.Helper()
		servicetest.Eventually(t, "the log reports that the service waits for the "+store, func() bool {
			return strings.Contains(s.Log.String(), `msg="waiting for store" store=`+store+" setting=")
		})
	}
	waits("database")
	database.Shut(false)
	waits("redis")
	redis.Shut(false)
	s.Await()
	s.Want(s.Verify(phone, s.Code(phone)), 201, "")
}

// TestWaitsForWrites checks that a start waits for a standby with the whole schema until it takes writes.
func TestWaitsForWrites(t *testing.T) {
	database, name, _ := databaseOf(t)
	env := []string{"DATABASE_URL=" + database}
	if status, _, log := servicetest.Run(t, t.TempDir(), env, "migrate"); status != 0 {
		t.Fatalf("migrate: %d, %s", status, log)
	}
	pgtest.Exec(t, database, "alter database "+name+" set default_transaction_read_only = on")
	s := servicetest.Launch(t, t.TempDir(), env...)
	servicetest.Eventually(t, "the log reports that the database takes no writes", func() bool {
		const waits = `msg="waiting for store" store=database setting=DATABASE_URL error=.*25006`
		return regexp.MustCompile(waits).MatchString(s.Log.String())
	})
	pgtest.Exec(t, database, "begin read write; alter database "+name+" reset default_transaction_read_only; commit")
	s.Await()
	s.Want(s.Verify(phone, s.Code(phone)), 201, "")
}

// TestStops checks that a message in hand is delivered before the service ends.
func TestStops(t *testing.T) {
	w := servicetest.NewWebhook(t)
	w.Hold = make(chan struct{})
	s := servicetest.Start(t, nil, w.Settings()...)
	awaitReady(t, s, "up", "up") // leaves an idle connection open
	s.Want(s.Request(phone), 202, "")
	servicetest.Eventually(t, "the webhook is called", func() bool { return len(w.Messages()) == 1 })
	s.Signal(syscall.SIGTERM)
	servicetest.Eventually(t, "the service takes no new connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(w.Hold)
	select {
	case <-s.Exited:
	case <-time.After(servicetest.Patience):
		t.Fatal("the service did not end after its last message")
	}
	if state := s.Cmd.ProcessState; state.ExitCode() != 0 {
		t.Errorf("the service ended with %v; want 0", state)
	}
	if !strings.Contains(s.Log.String(), `msg="message sent"`) {
		t.Error("the message was not sent")
	}
}

// TestFarRedis checks that people log in although Redis is 140 ms away, if REDIS_TIMEOUT says so, and that the doctor
// finds out what it must be.
func TestFarRedis(t *testing.T) {
	t.Parallel()
	stores := servicetest.RealStores(t)
	redis, redisURL := servicetest.Through(t, stores[1])
	redis.Slow(140 * time.Millisecond)
	far := []string{stores[0], redisURL}
	// The doctor has 5 s in all, which are too short now and then on a slow machine.
	const advice = "so that calls fail with REDIS_TIMEOUT=300ms; put it near the service, or set REDIS_TIMEOUT="
	servicetest.Eventually(t, "the doctor reports "+advice, func() bool {
		_, out, _ := servicetest.Run(t, t.TempDir(), append(far, "REDIS_TIMEOUT=300ms"), "doctor")
		return strings.Contains(out, advice)
	})
	s := servicetest.Start(t, far, servicetest.Unlimited...)
	s.Login("+989121230010")
}
