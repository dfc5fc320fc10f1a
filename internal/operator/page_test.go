package operator

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
)

const messageID = "01a20ae8-c1f0-7d2e-8b1d-6d2f0e9d4a11-2"

var errDown = errors.New("down")

// server returns a Server on a history. The error is that of Redis when it is asked about the outbox.
func server(h *History, err error) *Server {
	return New(Options{
		Version: "v1",
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1") }),
		History: h,
		Outbox:  func(context.Context) (int, time.Duration, error) { return 5, 2500 * time.Millisecond, err },
		LookUp:  lookUp,
		Resting: func(yield func(string, bool) bool) { _ = yield("twilio", true) && yield("vonage", false) },
		Log:     slog.New(slog.DiscardHandler),
	})
}

// lookUp knows three tickets.
func lookUp(_ context.Context, ticket string) (otp.Lookup, error) {
	found := otp.Lookup{Message: messageID, Send: 2, Purpose: "login", OpenedAt: time.Unix(1e9, 0).UTC()}
	switch ticket {
	case "live":
		found.Live = &otp.Status{State: otp.Sent, Provider: "twilio", Wrong: 1, ExpiresIn: 90 * time.Second}
		return found, nil
	case "dead":
		return found, nil
	case "down":
		return found, otp.ErrUnavailable
	}
	return otp.Lookup{}, otp.ErrUnknown
}

func ask(s *Server, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func TestPage(t *testing.T) {
	s := server(NewHistory(), nil)
	for path, mediaType := range map[string]string{
		"/":             "text/html",
		"/page.css":     "text/css",
		"/page.js":      "text/javascript",
		"/icon.svg":     "image/svg+xml",
		"/uplot.css":    "text/css",
		"/uplot.js":     "text/javascript",
		"/numbers.json": "application/json",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := ask(s, method, path)
			body, _ := io.ReadAll(r.Body)
			got := r.Header.Get("Content-Type")
			empty := method == "GET" && len(body) == 0
			if r.StatusCode != 200 || !strings.HasPrefix(got, mediaType) || empty {
				t.Errorf("%s %s = %d %q, %d bytes; want 200 %s", method, path, r.StatusCode, got, len(body), mediaType)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options":       "nosniff",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Access-Control-Allow-Origin":  "",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s %s: %s = %q; want %q", method, path, name, got, want)
				}
			}
		}
		if r := ask(s, "POST", path); r.StatusCode != 405 {
			t.Errorf("POST %s = %d; want 405", path, r.StatusCode)
		}
	}
	for _, path := range []string{"/index.html", "/page", "/page/", "/uplot/LICENSE", "/numbers"} {
		if r := ask(s, "GET", path); r.StatusCode != 404 {
			t.Errorf("GET %s = %d; want 404", path, r.StatusCode)
		}
	}
	r := ask(s, "GET", "/")
	p := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(p, want) || strings.Contains(p, "unsafe") {
			t.Errorf("Content-Security-Policy = %q; want %s and nothing unsafe", p, want)
		}
	}
	if again := ask(s, "GET", "/", "If-None-Match", r.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("GET / with its ETag = %d; want 304", again.StatusCode)
	}
	if c := ask(s, "GET", "/numbers.json").Header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("Cache-Control of the summary = %q; want no-store", c)
	}
}

// TestPageIsComplete checks that the page loads nothing from elsewhere, and that all that it loads is there.
func TestPageIsComplete(t *testing.T) {
	s := server(NewHistory(), nil)
	r := ask(s, "GET", "/")
	html, _ := io.ReadAll(r.Body)
	loads := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(html), -1)
	if len(loads) < 5 {
		t.Fatalf("the page loads %v", loads)
	}
	for _, l := range loads {
		file, _, _ := strings.Cut(l[1], "#")
		if strings.Contains(file, ":") || ask(s, "GET", "/"+file).StatusCode != 200 {
			t.Errorf("the page loads %s, which is not here", l[1])
		}
	}
}

func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		s := server(h, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.Share(ctx, newMemory())
		h.CountRequest("accepted", "IR")
		h.CountRequest("test_number", "IR")
		h.CountRequest("phone_limit", "IR")
		h.CountMessage("sent", "twilio", "IR")
		h.CountMessage("failed", "none", "")
		h.CountAttempt("wrong", "IR")
		h.CountAttempt("burnt", "IR")
		h.CountAttempt("closed", "IR")
		h.CountAttempt("not_live", "IR")
		h.CountAttempt("refused", "IR")
		h.CountAttempt("unavailable", "IR")
		h.CountAttempt("verified", "IR")
		h.CountMessage("verified", "twilio", "IR")
		h.ObserveDelay("twilio", 9*time.Second)
		time.Sleep(time.Hour + 5*time.Minute)
		h.CountMessage("delivered", "twilio", "IR")
		h.CountMessage("delivered", "twilio", "IR")
		synctest.Wait()
		body, _ := io.ReadAll(ask(s, "GET", "/numbers.json").Body)
		want := `{"now":"2000-01-01T01:05:00Z","version":"v1","copies":1,` +
			`"shared":true,"shared_at":"2000-01-01T01:05:00Z",` +
			`"outbox":{"messages":5,"oldest_seconds":2.5},"resting":["twilio"],` +
			`"delay_bounds":[2,5,10,15,20,30,45,60,90,120,300],"hours":[` +
			`{"from":"2000-01-01T00:00:00Z","counts":[` +
			`{"event":"burnt","region":"IR","n":1},` +
			`{"event":"closed","region":"IR","n":1},` +
			`{"event":"failed","provider":"none","n":1},` +
			`{"event":"not_live","region":"IR","n":1},` +
			`{"event":"not_redeemed","region":"IR","reason":"refused","n":1},` +
			`{"event":"not_redeemed","region":"IR","reason":"unavailable","n":1},` +
			`{"event":"refused","region":"IR","reason":"phone_limit","n":1},` +
			`{"event":"requested","region":"IR","n":1},` +
			`{"event":"sent","region":"IR","provider":"twilio","n":1},` +
			`{"event":"verified","region":"IR","provider":"twilio","n":1},` +
			`{"event":"wrong","region":"IR","n":1}],` +
			`"delays":[0,0,1,0,0,0,0,0,0,0,0,0]},` +
			`{"from":"2000-01-01T01:00:00Z","counts":[` +
			`{"event":"delivered","region":"IR","provider":"twilio","n":2}],` +
			`"delays":[0,0,0,0,0,0,0,0,0,0,0,0]}],` +
			`"five_minutes":[{"from":"2000-01-01T01:05:00Z","counts":[` +
			`{"event":"delivered","region":"IR","provider":"twilio","n":2}],` +
			`"delays":[0,0,0,0,0,0,0,0,0,0,0,0]}]}` + "\n"
		if string(body) != want {
			t.Errorf("summary:\n%s\nwant\n%s", body, want)
		}
		r := ask(s, "GET", "/numbers.json", "Accept-Encoding", "gzip")
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(unpacked); string(body) != want || r.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("compressed summary:\n%s", body)
		}
	})
}

func TestSummaryWithoutRedis(t *testing.T) {
	body, _ := io.ReadAll(ask(server(NewHistory(), errDown), "GET", "/numbers.json").Body)
	for _, want := range []string{
		`"copies":1,"shared":false,"shared_at":null,"outbox":null,`,
		`"hours":[],"five_minutes":[]`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the summary lacks %s: %s", want, body)
		}
	}
}

// TestForeignNames checks that the page of a stranger, under a name that resolves to this machine, can read nothing.
func TestForeignNames(t *testing.T) {
	h := server(NewHistory(), nil).handler
	for _, tc := range []struct {
		local, host string
		want        int
	}{
		{"127.0.0.1", "127.0.0.1:1629", 200},
		{"127.0.0.1", "localhost:1629", 200},
		{"127.0.0.1", "otp.localhost", 200},
		{"127.0.0.1", "my-laptop:1629", 200},
		{"::1", "[::1]:1629", 200},
		{"::1", "[::1]", 200},
		{"127.0.0.1", "evil.example:1629", 421},
		{"127.0.0.1", "127.0.0.1.evil.example", 421},
		{"127.0.0.1", "evil.example.", 421},
		{"::1", "evil.example", 421},
		{"10.0.0.7", "otp.internal.example:1629", 200},
	} {
		for _, path := range []string{"/", "/numbers.json", "/message.json", "/metrics"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = tc.host
			own := &net.TCPAddr{IP: net.ParseIP(tc.local), Port: 1629}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, own))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("GET %s of %s at %s = %d; want %d", path, tc.host, tc.local, w.Code, tc.want)
			}
		}
	}
}

func TestProfiles(t *testing.T) {
	s := server(NewHistory(), nil)
	r := ask(s, "GET", "/debug/pprof/goroutine?debug=1")
	text, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusOK || !strings.Contains(string(text), "goroutine profile") {
		t.Errorf("GET = %d %.100s; want a profile", r.StatusCode, text)
	}
	r = ask(s, "GET", "/debug/pprof/profile", "Sec-Fetch-Site", "cross-site")
	if r.StatusCode != http.StatusForbidden {
		t.Errorf("GET on behalf of another site = %d; want 403", r.StatusCode)
	}
}

// TestMessage checks what the page is told of each kind of identifier, and that nothing else is repeated.
func TestMessage(t *testing.T) {
	s := server(NewHistory(), nil)
	const (
		request = "0e2b4c0a-6c3f-4f0e-9b57-3f3a3c1b7f55"
		trace   = "4bf92f3577b34da6a3ce929d0e0e4736"
		message = `{"kind":"ticket","search":"` + messageID + `","message":{"id":"` + messageID + `","send":2,` +
			`"purpose":"login","opened_at":"2001-09-09T01:46:40Z",`
	)
	for text, want := range map[string]string{
		"live": message + `"redis_answers":true,"live":{"state":"sent","provider":"twilio","wrong_attempts":1,` +
			`"expires_in":90}}}`,
		"dead":                     message + `"redis_answers":true,"live":null}}`,
		"down":                     message + `"redis_answers":false,"live":null}}`,
		request:                    `{"kind":"request","search":"` + request + `","message":null}`,
		strings.ToUpper(request):   `{"kind":"request","search":"` + request + `","message":null}`,
		messageID:                  `{"kind":"message","search":"` + messageID + `","message":null}`,
		trace:                      `{"kind":"trace","search":"` + trace + `","message":null}`,
		"":                         `{"kind":"unknown","search":"","message":null}`,
		"+989121234567":            `{"kind":"unknown","search":"","message":null}`,
		request + "'; rm -rf ~; '": `{"kind":"unknown","search":"","message":null}`,
	} {
		r := ask(s, "GET", "/message.json?request_id="+url.QueryEscape(" "+text+"\n"))
		body, _ := io.ReadAll(r.Body)
		if string(body) != want+"\n" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("request_id %q: %s, Cache-Control %q; want %s, no-store", text, body,
				r.Header.Get("Cache-Control"), want)
		}
	}
}
