package api

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestLargeHeads checks that the cookies of the site of which the service is a part arrive with a request, up to
// HTTP_MAX_HEADER.
func TestLargeHeads(t *testing.T) {
	for _, tc := range []struct {
		setting        string
		fits, tooLarge int // bytes of cookies
	}{
		{"", 15 << 10, 17 << 10},
		{"HTTP_MAX_HEADER=4KiB", 3 << 10, 5 << 10},
		{"HTTP_MAX_HEADER=131072", 120 << 10, 140 << 10},
	} {
		s := servicetest.Start(t, nil, tc.setting)
		cookies := func(size int) string { return "Cookie: a=" + strings.Repeat("x", size) }
		s.Want(s.Call("GET", "/me", "", cookies(tc.fits)), 401, "invalid_token")
		request := "GET /me HTTP/1.1\r\nHost: x\r\n" + cookies(tc.tooLarge) + "\r\n\r\n"
		s.Want(raw(t, s, request), 431, "headers_too_large")
	}
}

// TestIdleTimeout checks that a connection is kept for HTTP_IDLE_TIMEOUT between two requests, and not for longer.
func TestIdleTimeout(t *testing.T) {
	s := servicetest.Start(t, nil, "HTTP_IDLE_TIMEOUT=1s")
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(servicetest.Patience))
	asked := time.Now()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.Close {
		t.Fatalf("%v, and the connection is closed after the answer: %t", err, response.Close)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("after the answer: %q, %v; want the end of the connection", rest, err)
	}
	if kept := time.Since(asked); kept < 900*time.Millisecond {
		t.Errorf("the connection was kept for %v; want 1 s", kept)
	}
}

// unread are requests that cannot be read to their end. The head of the first is read, those of the others are not, or
// are forgotten by the server's library.
var unread = []struct {
	name, request string
	status        int
}{
	{"large body", "Content-Length: 200000\r\n\r\n" + strings.Repeat("x", 200000), 413},
	{"large chunks", "Transfer-Encoding: chunked\r\n\r\n1000\r\n" + strings.Repeat("x", 4096) + "\r\n0\r\n\r\n", 413},
	{"large head", "Cookie: a=" + strings.Repeat("x", 200000) + "\r\n\r\n", 431},
	{"head that stalls", "X-", 408},
	{"body that stalls", "Content-Length: 10\r\n\r\nabc", 408},
	{"space before colon", "A : 1\r\n\r\n", 400},
}

// TestCORSOfUnreadRequests checks that a page of CORS_ORIGINS can read why its request was refused, even if the request
// was not read.
func TestCORSOfUnreadRequests(t *testing.T) {
	const one, two = "https://app.example.com", "https://b.example.com"
	for _, origins := range []string{one, one + "," + two, "*", ""} {
		s := servicetest.Start(t, nil, "CORS_ORIGINS="+origins)
		for _, tc := range unread {
			for _, origin := range []string{one, "https://evil.example.com"} {
				t.Run(tc.name+" from "+origin+" with "+origins, func(t *testing.T) {
					t.Parallel()
					a := raw(t, s, "POST /otp/request HTTP/1.1\r\nHost: x\r\nOrigin: "+origin+
						"\r\nContent-Type: application/json\r\n"+tc.request)
					if a.Status != tc.status {
						t.Errorf("%d %s; want %d", a.Status, a.Body, tc.status)
					}
					allowed := a.Header.Get("Access-Control-Allow-Origin")
					if readable := allowed == origin || allowed == "*"; origin == one && readable != (origins != "") {
						t.Errorf("the answer allows %q; want %s", allowed, origin)
					}
					if origin != one && origins == one && allowed != one && allowed != "" {
						t.Errorf("the answer to %s allows %q; want %s at most", origin, allowed, one)
					}
					exposed := a.Header.Get("Access-Control-Expose-Headers")
					if allowed != "" && exposed != "Retry-After,X-Request-ID" {
						t.Errorf("the page can read the headers %q", exposed)
					}
				})
			}
		}
	}
}

// TestRefusedOrigins checks that the log names each origin that is refused once, with the setting that would allow it,
// and none that is allowed, that is the service's own, or that is none.
func TestRefusedOrigins(t *testing.T) {
	preflight := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}
	for _, origins := range []string{"", "https://app.example.com"} {
		s := servicetest.Start(t, nil, "CORS_ORIGINS="+origins, "PUBLIC_URL=https://otp.example.com/base")
		call := func(origin string, more ...string) {
			for range 3 {
				s.Call("OPTIONS", "/otp/request", "", append(append(more, preflight...), "Origin: "+origin)...)
				s.Call("POST", "/otp/verify", "{}", append(more, "Origin: "+origin)...)
			}
		}
		refused := []string{"https://evil.example.com", "http://localhost:3000", "null", "capacitor://localhost"}
		for _, origin := range refused {
			call(origin)
		}
		call(s.URL)
		call("https://otp.example.com")
		call("https://login.example.com", "Sec-Fetch-Site: same-origin")
		call("FORGED level=ERROR")
		call("https://x/FORGED")
		if origins != "" {
			call(origins)
			call("HTTPS://APP.example.com")
		}
		s.Call("OPTIONS", "/dev/messages", "", append(preflight, "Origin: https://dev.example.com")...)
		log := s.Log.String()
		for _, origin := range refused {
			if n := strings.Count(log, " origin="+origin+" setting=CORS_ORIGINS"); n != 1 {
				t.Errorf("with %q, %s is logged %d times; want once:\n%s", origins, origin, n, log)
			}
		}
		warnings := strings.Count(log, `level=WARN msg="page of another origin refused"`)
		if warnings != len(refused) || strings.Contains(log, "FORGED") {
			t.Errorf("with %q, the log warns %d times; want %d:\n%s", origins, warnings, len(refused), log)
		}
	}
}

// TestPreflightAllowsHeaders checks that a page of CORS_ORIGINS may send an admin key, and the headers that monitoring
// adds to its calls by itself.
func TestPreflightAllowsHeaders(t *testing.T) {
	const origin = "https://app.example.com"
	s := servicetest.Start(t, nil, "CORS_ORIGINS="+origin)
	a := s.Want(s.Call("OPTIONS", "/users", "", "Origin: "+origin, "Access-Control-Request-Method: GET",
		"Access-Control-Request-Headers: authorization,baggage,sentry-trace,x-api-key"), 204, "")
	allowed := strings.Split(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), ",")
	for _, name := range []string{"authorization", "content-type", "x-api-key", "traceparent", "tracestate", "*"} {
		if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+name+" ") {
			t.Errorf("the preflight allows the headers %q; want %s too", allowed, name)
		}
	}
}

// TestAdminKeyBesideCredential checks that a right key in X-API-Key counts beside a credential for someone else, and
// that a wrong one does not spoil a right one.
func TestAdminKeyBesideCredential(t *testing.T) {
	s := servicetest.Start(t, nil, "ADMIN_API_KEY="+servicetest.AdminKey)
	login := s.Login(phone)
	key := "X-API-Key: " + servicetest.AdminKey
	for _, tc := range []struct {
		headers []string
		status  int
	}{
		{[]string{key}, 200},
		{[]string{key, servicetest.Bearer(login)}, 200},
		{[]string{key, "Authorization: Basic dXNlcjpwYXNzd29yZA=="}, 200},
		{[]string{key, "Authorization: Bearer "}, 200},
		{[]string{servicetest.Admin, "X-API-Key: wrong"}, 200},
		{[]string{servicetest.Bearer(login), "X-API-Key: wrong"}, 401},
		{[]string{servicetest.Bearer(login)}, 401},
		{[]string{"X-API-Key: "}, 401},
		{nil, 401},
	} {
		if a := s.Call("GET", "/users", "", tc.headers...); a.Status != tc.status {
			t.Errorf("%q: %d %s; want %d", tc.headers, a.Status, a.Body, tc.status)
		}
	}
}
