package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// A routeMetrics records the routes of the requests that are counted.
type routeMetrics struct {
	noMetrics
	routes []string
}

func (m *routeMetrics) ObserveRequest(method, route string, _ int, _ time.Duration) {
	m.routes = append(m.routes, method+" "+route)
}

// TestRoutes checks that a request is counted under the pattern of its route, and that a request without a route is not
// counted as one for the login page.
func TestRoutes(t *testing.T) {
	var counted routeMetrics
	s := newServer(t, Options{
		Metrics:     &counted,
		CORSOrigins: []string{"https://app.example.com"},
		LoginPage:   new(LoginPage),
	})
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/", nil),
		httptest.NewRequest("GET", "/hooks/a-name/a-secret", nil),
		httptest.NewRequest("GET", "/a-secret", nil),
		httptest.NewRequest("OPTIONS", "/otp/request", nil),
		httptest.NewRequest("MAKE", "/otp/request", nil),
	} {
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "traceparent")
		response, err := s.app.Test(r, -1)
		if err != nil {
			t.Fatal(err)
		}
		allowed := response.Header.Get("Access-Control-Allow-Headers")
		if r.Method == "OPTIONS" && !strings.Contains(allowed, "Traceparent,Tracestate") {
			t.Errorf("pages of other origins may send the headers %q; want the trace's among them", allowed)
		}
	}
	want := []string{"GET /", "GET /hooks/:provider/:secret", "GET none", "OPTIONS none", "TRACE none"}
	if !slices.Equal(counted.routes, want) {
		t.Errorf("counted %q; want %q", counted.routes, want)
	}
}
