package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
)

var errDown = errors.New("down")

func sources(err error) Sources {
	return Sources{
		RedisPool: func() (idle, used int, timeouts uint32) { return 3, 2, 7 },
		DatabasePool: func() (idle, used, most int, waits int64, waited time.Duration) {
			return 4, 1, 16, 9, 1500 * time.Millisecond
		},
		Outbox: func(context.Context) (int, time.Duration, error) { return 5, 2500 * time.Millisecond, err },
		Resting: func(yield func(string, bool) bool) {
			_ = yield("twilio", true) && yield("vonage", false)
		},
		Failing: func(yield func(string, bool) bool) {
			_ = yield("database", true) && yield("redis", false)
		},
	}
}

// read returns the status and the metrics that Prometheus would read.
func read(t *testing.T, m *Metrics) (status int, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestMetrics(t *testing.T) {
	m := New("v1")
	m.Watch(sources(nil))
	var counting sync.WaitGroup
	for range 100 {
		counting.Go(func() {
			m.CountMessage("sent", "twilio", "IR")
			m.CountRequest("accepted", "IR")
			m.CountAttempt("wrong", "IR")
			m.ObserveDelay("twilio", 9*time.Second)
			m.ObserveCall("twilio", "taken", 300*time.Millisecond)
			m.ObserveRequest("POST", "/otp/verify", 401, 3*time.Millisecond)
			m.CountProblem("/otp/verify", "invalid_code")
		})
	}
	counting.Wait()
	m.CountMessage("failed", "none", "")
	status, text := read(t, m)
	for _, want := range []string{
		`otp_build_info{version="v1"} 1`,
		`otp_messages_total{event="sent",provider="twilio",region="IR"} 100`,
		`otp_messages_total{event="failed",provider="none",region=""} 1`,
		`otp_requests_total{outcome="accepted",region="IR"} 100`,
		`otp_verifications_total{outcome="wrong",region="IR"} 100`,
		`otp_verify_delay_seconds_bucket{provider="twilio",le="5"} 0`,
		`otp_verify_delay_seconds_bucket{provider="twilio",le="10"} 100`,
		`otp_provider_call_duration_seconds_bucket{provider="twilio",result="taken",le="0.25"} 0`,
		`otp_provider_call_duration_seconds_bucket{provider="twilio",result="taken",le="0.5"} 100`,
		`otp_http_request_duration_seconds_count{class="4xx",method="POST",route="/otp/verify"} 100`,
		`otp_problems_total{code="invalid_code",route="/otp/verify"} 100`,
		`otp_redis_pool_connections{state="idle"} 3`,
		`otp_redis_pool_connections{state="used"} 2`,
		`otp_redis_pool_timeouts_total 7`,
		`otp_database_pool_connections{state="idle"} 4`,
		`otp_database_pool_connections{state="used"} 1`,
		`otp_database_pool_connections_max 16`,
		`otp_database_pool_waits_total 9`,
		`otp_database_pool_wait_seconds_total 1.5`,
		`otp_outbox_messages 5`,
		`otp_outbox_oldest_seconds 2.5`,
		`otp_provider_resting{provider="twilio"} 1`,
		`otp_provider_resting{provider="vonage"} 0`,
		`otp_store_failing{store="database"} 1`,
		`otp_store_failing{store="redis"} 0`,
		"go_goroutines", "process_cpu_seconds_total",
	} {
		if status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("GET /metrics = %d without %s", status, want)
		}
	}
}

// TestExpected checks that the counters of likely events start at zero.
func TestExpected(t *testing.T) {
	m := New("v1")
	m.Expect([]string{"twilio"}, []string{"IR", "*"})
	_, text := read(t, m)
	for _, want := range []string{
		`otp_messages_total{event="failed",provider="none",region="IR"} 0`,
		`otp_messages_total{event="failed",provider="twilio",region="IR"} 0`,
		`otp_requests_total{outcome="accepted",region="IR"} 0`,
		`otp_verifications_total{outcome="verified",region="IR"} 0`,
		`otp_provider_call_duration_seconds_count{provider="twilio",result="failed"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics do not begin with %s", want)
		}
	}
	if strings.Contains(text, `"*"`) {
		t.Error("a region is *")
	}
}

// TestOutboxUnknown checks that a Redis that does not answer costs no metrics but those of the outbox.
func TestOutboxUnknown(t *testing.T) {
	m := New("v1")
	m.Watch(sources(errDown))
	status, text := read(t, m)
	others := strings.Contains(text, "otp_redis_pool_timeouts_total 7")
	if status != http.StatusOK || strings.Contains(text, "otp_outbox_messages ") || !others {
		t.Errorf("GET /metrics = %d %s; want all but the outbox", status, text)
	}
}

func TestStoreObserver(t *testing.T) {
	m := New("v1")
	codes, accounts := m.Redis(), m.Database("sqlite")
	began := time.Now().Add(-20 * time.Millisecond)
	for _, err := range []error{nil, otp.ErrWrong, otp.ErrUnavailable} {
		codes.ObserveCall(t.Context(), "check", began, err)
	}
	for _, err := range []error{account.ErrSpent, fmt.Errorf("%w: sqlite: busy", account.ErrUnavailable)} {
		accounts.ObserveCall(t.Context(), "login", began, err)
	}
	_, text := read(t, m)
	for _, want := range []string{
		`otp_redis_call_duration_seconds_count{call="check",result="ok"} 2`,
		`otp_redis_call_duration_seconds_bucket{call="check",result="ok",le="0.01"} 0`,
		`otp_redis_call_duration_seconds_count{call="check",result="error"} 1`,
		`otp_database_call_duration_seconds_count{call="login",result="ok"} 1`,
		`otp_database_call_duration_seconds_count{call="login",result="error"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("GET /metrics without %s", want)
		}
	}
}
