package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/login"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

type noMetrics struct{}

func (noMetrics) ObserveRequest(string, string, int, time.Duration) {}
func (noMetrics) CountProblem(string, string)                       {}

// newServer returns a server with the options and, where they have none, with services that panic when they are called,
// because they have no store.
func newServer(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	codes, err := otp.New(otp.Options{Secret: make([]byte, 32), Regions: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	o.Codes = cmp.Or(o.Codes, codes)
	o.Accounts = cmp.Or(o.Accounts, account.New(account.Options{}))
	o.Login = cmp.Or(o.Login, login.New(o.Codes, o.Accounts, nil))
	o.Tokens = struct{ Tokens }{}
	o.Phones = cmp.Or(o.Phones, phone.NewParser(""))
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMissingOptions checks that New names every required option that is missing.
func TestMissingOptions(t *testing.T) {
	_, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	for _, name := range []string{"Login", "Codes", "Accounts", "Tokens", "Phones", "Metrics"} {
		if err == nil || !strings.Contains(err.Error(), "Options."+name+" is missing") {
			t.Errorf("New: %v; want an error that names %s", err, name)
		}
	}
	if err != nil && strings.Contains(err.Error(), "Log ") {
		t.Errorf("New: %v; want no word of Log, which is set", err)
	}
}

// TestPanic checks that a panic in a handler is answered and logged, and that the next request is answered, too.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, Options{Log: slog.New(LogHandler(slog.NewJSONHandler(&log, nil)))})
	for range 2 {
		log.Reset()
		r := httptest.NewRequest("POST", "/otp/request", strings.NewReader(`{"phone":"+989121234567"}`))
		r.Header.Set("Content-Type", "application/json")
		response, err := s.app.Test(r, -1)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		var p struct {
			Code      string
			RequestID string `json:"request_id"`
		}
		err = json.Unmarshal(text, &p)
		if err != nil || response.StatusCode != 500 || p.Code != "internal_error" {
			t.Fatalf("%d %s; want 500 internal_error", response.StatusCode, text)
		}
		if strings.Contains(string(text), "nil pointer") || strings.Contains(string(text), ".go") {
			t.Errorf("the answer shows the panic or its stack: %s", text)
		}
		stack, requestID := "httpapi/login.go", `"request_id":"`+p.RequestID
		for _, want := range []string{stack, requestID} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log of %s lacks %s: %s", text, want, log.String())
			}
		}
	}
}

// TestDefaultLimits checks the limits of a server whose options have none, which are those of the settings.
func TestDefaultLimits(t *testing.T) {
	fast := newServer(t, Options{}).app.Server()
	if fast.ReadBufferSize != 16<<10 || fast.IdleTimeout != 75*time.Second {
		t.Errorf("a head of %d bytes, connections kept for %v; want 16 KiB and 75 s",
			fast.ReadBufferSize, fast.IdleTimeout)
	}
}
