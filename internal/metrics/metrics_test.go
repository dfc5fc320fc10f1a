package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestMetrics(t *testing.T) {
	m := New()
	var counting sync.WaitGroup
	for range 100 {
		counting.Go(func() { m.Count("sent", "twilio", "IR") })
	}
	counting.Wait()
	m.Count("failed", "none", "")
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	status, text := get("/metrics")
	for _, want := range []string{
		`otp_messages_total{event="sent",provider="twilio",region="IR"} 100`,
		`otp_messages_total{event="failed",provider="none",region=""} 1`,
		"go_goroutines", "process_cpu_seconds_total",
	} {
		if status != 200 || !strings.Contains(text, want) {
			t.Errorf("GET /metrics = %d without %s", status, want)
		}
	}
	if status, _ := get("/"); status != 404 {
		t.Errorf("GET / = %d; want 404", status)
	}
}
