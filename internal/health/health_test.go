package health

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/healthz" {
			t.Errorf("%s %s; want GET /healthz", r.Method, r.URL)
		}
		w.WriteHeader(status)
	}))
	address := server.Listener.Addr().String()
	if err := Check(t.Context(), address); err != nil {
		t.Errorf("Check of a healthy service: %v", err)
	}
	status = http.StatusServiceUnavailable
	if err := Check(t.Context(), address); err == nil {
		t.Error("Check of a service that answers 503: nil; want an error")
	}
	server.Close()
	if err := Check(t.Context(), address); err == nil {
		t.Error("Check of a service that has ended: nil; want an error")
	}
}
