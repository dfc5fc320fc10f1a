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

// A badBody is a faulty body, with the status and the code that answer it.
type badBody struct {
	name, body string
	status     int
	code       string
}

// goodBody is what most bad bodies are made of.
var goodBody = servicetest.JSON("phone", phone)

// badRequests are bodies of POST /otp/request.
var badRequests = []badBody{
	{"empty", " ", 400, "invalid_json"},
	{"no JSON", "phone=1", 400, "invalid_json"},
	{"null", "null", 400, "invalid_json"},
	{"array", "[" + goodBody + "]", 400, "invalid_json"},
	{"string", `"` + phone + `"`, 400, "invalid_json"},
	{"cut off", goodBody[:len(goodBody)-1], 400, "invalid_json"},
	{"two objects", goodBody + goodBody, 400, "invalid_json"},
	{"bytes after", goodBody + "x", 400, "invalid_json"},
	{"duplicate name", `{"phone":"+989121234567","phone":"+989121234567"}`, 400, "invalid_json"},
	{"duplicate unknown name", `{"phone":"+989121234567","x":1,"x":1}`, 400, "invalid_json"},
	{"bad UTF-8", "{\"phone\":\"+989121234567\xff\"}", 400, "invalid_json"},
	{"lone surrogate", `{"phone":"\ud800"}`, 400, "invalid_json"},
	{"UTF-16", "{\x00\"\x00p\x00\"\x00:\x001\x00}\x00", 400, "invalid_json"},
	{"byte order mark", "\ufeff" + goodBody, 400, "invalid_json"},
	{"comment", "/**/" + goodBody, 400, "invalid_json"},
	{"nested", strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300), 422, "invalid_phone"},
	{"no phone", `{}`, 422, "invalid_phone"},
	{"other case", `{"Phone":"+989121234567"}`, 422, "invalid_phone"},
	{"null phone", `{"phone":null}`, 422, "invalid_phone"},
	{"number", `{"phone":989121234567}`, 422, "invalid_phone"},
	{"list", `{"phone":["+989121234567"]}`, 422, "invalid_phone"},
	{"object", `{"phone":{"$ne":""}}`, 422, "invalid_phone"},
	{"empty phone", `{"phone":""}`, 422, "invalid_phone"},
	{"national", `{"phone":"09121234567"}`, 422, "invalid_phone"},
	{"fixed line", `{"phone":"+982188776655"}`, 422, "invalid_phone"},
	{"script", `{"phone":"+98912\u0000*\r\nFLUSHALL\r\n"}`, 422, "invalid_phone"},
	{"channel", `{"phone":"+989121234567","channel":"voice"}`, 422, "invalid_field"},
	{"channel of another type", `{"phone":"+989121234567","channel":7}`, 422, "invalid_field"},
	{"unknown region", `{"phone":"+989121234567","region":"XX"}`, 422, "invalid_field"},
	{"region of another type", `{"phone":"+989121234567","region":98}`, 422, "invalid_field"},
	{"national number of another region", `{"phone":"09121234567","region":"DE"}`, 422, "invalid_phone"},
	{"empty region", `{"phone":"+989121234567","region":""}`, 202, ""},
	{"known channel and locale", `{"phone":"+989121234567","channel":"sms","locale":"fa-IR","unknown":[{}]}`, 202, ""},
}

// badAnswers returns bodies of POST /otp/verify that are made of a right code.
func badAnswers(code string) []badBody {
	number := strings.TrimLeft(code, "0")
	return []badBody{
		{"no code", goodBody, 422, "invalid_code_format"},
		{"empty code", servicetest.JSON("phone", phone, "code", ""), 422, "invalid_code_format"},
		{"null code", `{"phone":"+989121234567","code":null}`, 422, "invalid_code_format"},
		{"code of another type", `{"phone":"+989121234567","code":` + number + `}`, 422, "invalid_code_format"},
		{"code in a list", `{"phone":"+989121234567","code":["` + code + `"]}`, 422, "invalid_code_format"},
		{"short code", servicetest.JSON("phone", phone, "code", code[:5]), 422, "invalid_code_format"},
		{"long code", servicetest.JSON("phone", phone, "code", code+"0"), 422, "invalid_code_format"},
		{"code with a sign", servicetest.JSON("phone", phone, "code", "+"+code[1:]), 422, "invalid_code_format"},
		{"comma", servicetest.JSON("phone", phone, "code", code[:3]+","+code[3:]), 422, "invalid_code_format"},
		{"sentence", servicetest.JSON("phone", phone, "code", "Your code is "+code), 422, "invalid_code_format"},
		{"keycaps", servicetest.JSON("phone", phone, "code", code[:5]+"1\ufe0f\u20e3"), 422, "invalid_code_format"},
		{"letters", servicetest.JSON("phone", phone, "code", "abcdef"), 422, "invalid_code_format"},
		{"bad phone", servicetest.JSON("phone", "x", "code", code), 422, "invalid_phone"},
		{"no JSON at verify", "x", 400, "invalid_json"},
		{"too large", servicetest.JSON("phone", strings.Repeat("9", 2048)), 413, "body_too_large"},
	}
}

func TestBadInput(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off")
	code := s.Code(phone)
	for path, bodies := range map[string][]badBody{"/otp/request": badRequests, "/otp/verify": badAnswers(code)} {
		for _, tc := range bodies {
			a := s.Call("POST", path, tc.body)
			if a.Status != tc.status || a.Text("code") != tc.code {
				t.Errorf("%s, %s: %d %s; want %d %s", path, tc.name, a.Status, a.Body, tc.status, tc.code)
			}
			if a.Status < 400 {
				continue
			}
			if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("%s, %s: %s; want a problem", path, tc.name, got)
			}
			if got, want := a.Text("request_id"), a.Header.Get("X-Request-ID"); got != want {
				t.Errorf("%s, %s: request_id %q; want %q", path, tc.name, got, want)
			}
		}
	}
	s.Want(s.Verify(phone, s.ShownCode(phone)), 201, "") // none of the bodies has cost an attempt
}

func TestMediaTypes(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off")
	for header, status := range map[string]int{
		"Content-Type: application/json; charset=utf-8":    202,
		"Content-Type: Application/JSON":                   202,
		"Content-Type: application/json; charset=utf8":     202,
		"Content-Type: application/json;charset=\"UTF8\"":  202,
		"Content-Type: application/json; charset=us-ascii": 202,
		"Content-Type: application/json; charset=latin1":   202,
		"Content-Type: application/json; charset=utf-16":   202, // the bytes are UTF-8, and the parameter means nothing
		"Content-Type: application/json; charset=":         202,
		"Content-Type: application/json; charset":          202,
		"Content-Type: application/json;":                  202,
		"Content-Type: application/json ; odata=verbose":   202,
		"Content-Type: application/jsonp":                  415,
		"Content-Type: text/plain":                         415,
		"Content-Type: application/x-www-form-urlencoded":  415,
		"Content-Type: multipart/form-data; boundary=x":    415,
		"Content-Type: application/problem+json":           415,
		"Content-Type: ":                                   415,
		"Content-Type: application/json, application/json": 415,
		"Content-Encoding: gzip":                           415,
		"Content-Encoding: identity":                       202,
		"X-HTTP-Method-Override: DELETE":                   202,
		"X-Request-ID: " + strings.Repeat("a", 1000):       202,
	} {
		a := s.Request(phone, header)
		if a.Status != status || (status == 415 && a.Text("code") != "unsupported_media_type") {
			t.Errorf("%s: %d %s; want %d", header, a.Status, a.Body, status)
		}
	}
}

func TestNoNoNo(t *testing.T) {
	s := servicetest.Start(t, nil)
	for accept, isJSON := range map[string]bool{
		"":                                   false,
		"*/*":                                false,
		"text/html,*/*;q=0.8":                false,
		"application/json;q=0":               false,
		"application/*":                      false,
		"application/json":                   true,
		"application/problem+json":           true,
		"text/plain, application/json;q=0.5": true,
		"application/vnd.api+json":           true,
	} {
		a := s.Verify(phone, "000000", "Accept: "+accept)
		if isJSON {
			s.Want(a, 401, "invalid_code")
			continue
		}
		if a.Status != 401 || a.Body != "no no no" {
			t.Errorf("Accept %q: %d %s; want 401 no no no", accept, a.Status, a.Body)
		}
		if got := a.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("Accept %q: Content-Type %q; want plain text", accept, got)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := servicetest.Start(t, nil)
	for _, tc := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/otp/request", 405, "method_not_allowed", "POST"},
		{"PROPFIND", "/otp/verify", 405, "method_not_allowed", "POST"},
		{"OPTIONS", "/otp/verify", 405, "method_not_allowed", "POST"},
		{"PUT", "/me", 405, "method_not_allowed", "GET, HEAD, DELETE"},
		{"GET", "/token/refresh", 405, "method_not_allowed", "POST"},
		{"GET", "/logout", 405, "method_not_allowed", "POST"},
		{"DELETE", "/healthz", 405, "method_not_allowed", "GET, HEAD"},
		{"POST", "/otp/Request", 404, "not_found", ""},
		{"POST", "/otp/request/", 404, "not_found", ""},
		{"POST", "//otp/request", 404, "not_found", ""},
		{"GET", "/otp", 404, "not_found", ""},
		{"PROPFIND", "/x", 404, "not_found", ""},
		{"GET", "/%00%0aFORGED", 404, "not_found", ""},
	} {
		a := s.Call(tc.method, tc.path, "")
		if a.Status != tc.status || a.Text("code") != tc.code {
			t.Errorf("%s %s: %d %s; want %d %s", tc.method, tc.path, a.Status, a.Body, tc.status, tc.code)
		}
		if got := a.Header.Get("Allow"); got != tc.allow {
			t.Errorf("%s %s: Allow %q; want %q", tc.method, tc.path, got, tc.allow)
		}
	}
	for _, foreign := range []string{"FORGED", "PROPFIND"} {
		if strings.Contains(s.Log.String(), foreign) {
			t.Errorf("a client wrote %s into the log:\n%s", foreign, s.Log.String())
		}
	}
}

func TestRawHTTP(t *testing.T) {
	s := servicetest.Start(t, nil)
	const get = "GET /me HTTP/1.1\r\nHost: x\r\n"
	const post = "POST /otp/request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const chunked = post + "Transfer-Encoding: chunked\r\n\r\n"
	for name, tc := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"garbage":            {"FORGED\r\n\r\n", 400, "bad_request"},
		"space before colon": {get + "Forged : 1\r\n\r\n", 400, "bad_request"},
		"large header":       {get + "X-A: " + strings.Repeat("y", 17000) + "\r\n\r\n", 431, "headers_too_large"},
		"large body": {
			post + "Content-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000), 413, "body_too_large",
		},
		"large chunks": {
			chunked + "1000\r\n" + strings.Repeat("x", 4096) + "\r\n0\r\n\r\n", 413, "body_too_large",
		},
		"two lengths":      {post + "Content-Length: 4\r\nContent-Length: 6\r\n\r\nabcdef", 400, "bad_request"},
		"body that stalls": {post + "Content-Length: 10\r\n\r\nabc", 408, "request_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := raw(t, s, tc.request)
			if a.Status != tc.status || a.Text("code") != tc.code || a.Text("request_id") == "" {
				t.Errorf("%d %s; want %d %s", a.Status, a.Body, tc.status, tc.code)
			}
			if log := s.Log.String() + s.Stdout.String(); strings.Contains(strings.ToUpper(log), "FORGED") {
				t.Errorf("a client wrote into the log:\n%s", log)
			}
		})
	}
}

// raw writes a request as it is and returns the answer, after which the service has to close the connection.
func raw(t *testing.T, s *servicetest.Service, request string) servicetest.Answer {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(servicetest.Patience))
	go func() { _, _ = io.WriteString(c, request) }()
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if !response.Close {
		t.Error("the connection stays open")
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("the body of the answer: %v", err)
	}
	if _, err := io.ReadAll(c); err != nil { // after a reset, some systems drop the answer unread
		t.Errorf("after the answer: %v; want the end of the connection", err)
	}
	return servicetest.Answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
}

func TestForwardedFor(t *testing.T) {
	for _, tc := range []struct {
		proxies, header string
		same            bool // whether the client is the one of a request with 198.51.100.7 alone
	}{
		{"", "198.51.100.1", true}, // without trusted proxies the header is ignored
		{"127.0.0.1", "198.51.100.1", false},
		{"127.0.0.1", "198.51.100.7", true},
		{"127.0.0.1", "203.0.113.5, 198.51.100.7", true}, // the first address is the client's own claim
		{"127.0.0.1,10.0.0.0/8", "198.51.100.7, 10.1.2.3", true},
		{"127.0.0.1,10.0.0.0/8", "198.51.100.7:4711, [::ffff:10.1.2.3]:80", true},
		{"127.0.0.1", "198.51.100.7, 10.1.2.3", false},
	} {
		s := servicetest.Start(t, nil, "OTP_LIMIT_IP=1/10m", "TRUSTED_PROXIES="+tc.proxies)
		s.Want(s.Request("+989121234501", "X-Forwarded-For: 198.51.100.7"), 202, "")
		a := s.Request("+989121234502", "X-Forwarded-For: "+tc.header)
		if same := a.Status == 429; same != tc.same {
			t.Errorf("%s behind %q: %d; want the same client: %t", tc.header, tc.proxies, a.Status, tc.same)
		}
	}
}

func TestCORS(t *testing.T) {
	const trusted = "https://app.example.com"
	s := servicetest.Start(t, nil, "CORS_ORIGINS="+trusted)
	for origin, want := range map[string]string{trusted: trusted, "https://evil.example.com": ""} {
		preflight := s.Call("OPTIONS", "/otp/verify", "", "Origin: "+origin,
			"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
		allowed := preflight.Header.Get("Access-Control-Allow-Methods")
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if !strings.Contains(allowed, method) {
				t.Errorf("the preflight allows %s; want %s too", allowed, method)
			}
		}
		answer := s.Verify(phone, "000000", "Origin: "+origin)
		for what, a := range map[string]servicetest.Answer{"the preflight": preflight, "an answer": answer} {
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s to %s allows %q; want %q", what, origin, got, want)
			}
		}
	}
}
