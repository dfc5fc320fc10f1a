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

func TestBadInput(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off")
	code := s.Code(servicetest.Phone)
	good := servicetest.JSON("phone", servicetest.Phone)
	for _, tc := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"empty", "/otp/request", " ", 400, "invalid_json"},
		{"no JSON", "/otp/request", "phone=1", 400, "invalid_json"},
		{"null", "/otp/request", "null", 400, "invalid_json"},
		{"array", "/otp/request", "[" + good + "]", 400, "invalid_json"},
		{"string", "/otp/request", `"` + servicetest.Phone + `"`, 400, "invalid_json"},
		{"cut off", "/otp/request", good[:len(good)-1], 400, "invalid_json"},
		{"two objects", "/otp/request", good + good, 400, "invalid_json"},
		{"bytes after", "/otp/request", good + "x", 400, "invalid_json"},
		{"duplicate name", "/otp/request", `{"phone":"+989121234567","phone":"+989121234567"}`, 400, "invalid_json"},
		{"duplicate unknown name", "/otp/request", `{"phone":"+989121234567","x":1,"x":1}`, 400, "invalid_json"},
		{"bad UTF-8", "/otp/request", "{\"phone\":\"+989121234567\xff\"}", 400, "invalid_json"},
		{"lone surrogate", "/otp/request", `{"phone":"\ud800"}`, 400, "invalid_json"},
		{"byte order mark", "/otp/request", "\ufeff" + good, 400, "invalid_json"},
		{"comment", "/otp/request", "/**/" + good, 400, "invalid_json"},
		{"nested", "/otp/request", strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300), 422, "invalid_phone"},
		{"no phone", "/otp/request", `{}`, 422, "invalid_phone"},
		{"other case", "/otp/request", `{"Phone":"+989121234567"}`, 422, "invalid_phone"},
		{"null phone", "/otp/request", `{"phone":null}`, 422, "invalid_phone"},
		{"number", "/otp/request", `{"phone":989121234567}`, 422, "invalid_phone"},
		{"list", "/otp/request", `{"phone":["+989121234567"]}`, 422, "invalid_phone"},
		{"object", "/otp/request", `{"phone":{"$ne":""}}`, 422, "invalid_phone"},
		{"empty phone", "/otp/request", `{"phone":""}`, 422, "invalid_phone"},
		{"national", "/otp/request", `{"phone":"09121234567"}`, 422, "invalid_phone"},
		{"fixed line", "/otp/request", `{"phone":"+982188776655"}`, 422, "invalid_phone"},
		{"script", "/otp/request", `{"phone":"+98912\u0000*\r\nFLUSHALL\r\n"}`, 422, "invalid_phone"},
		{"channel", "/otp/request", `{"phone":"+989121234567","channel":"voice"}`, 422, "invalid_field"},
		{"channel of another type", "/otp/request", `{"phone":"+989121234567","channel":7}`, 422, "invalid_field"},
		{"locale", "/otp/request", `{"phone":"+989121234567","locale":"<b>"}`, 422, "invalid_field"},
		{"locale of another type", "/otp/request", `{"phone":"+989121234567","locale":{}}`, 422, "invalid_field"},
		{"known channel and locale", "/otp/request", `{"phone":"+989121234567","channel":"sms","locale":"fa-IR","unknown":[{}]}`, 202, ""},

		{"no code", "/otp/verify", good, 422, "invalid_code_format"},
		{"empty code", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", ""), 422, "invalid_code_format"},
		{"null code", "/otp/verify", `{"phone":"+989121234567","code":null}`, 422, "invalid_code_format"},
		{"code of another type", "/otp/verify", `{"phone":"+989121234567","code":` + strings.TrimLeft(code, "0") + `}`, 422, "invalid_code_format"},
		{"code in a list", "/otp/verify", `{"phone":"+989121234567","code":["` + code + `"]}`, 422, "invalid_code_format"},
		{"short code", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", code[:5]), 422, "invalid_code_format"},
		{"long code", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", code+"0"), 422, "invalid_code_format"},
		{"code with a space", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", code+" "), 422, "invalid_code_format"},
		{"code with a sign", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", "+"+code[1:]), 422, "invalid_code_format"},
		{"letters", "/otp/verify", servicetest.JSON("phone", servicetest.Phone, "code", "abcdef"), 422, "invalid_code_format"},
		{"bad phone", "/otp/verify", servicetest.JSON("phone", "x", "code", code), 422, "invalid_phone"},
		{"no JSON at verify", "/otp/verify", "x", 400, "invalid_json"},
		{"too large", "/otp/verify", servicetest.JSON("phone", strings.Repeat("9", 2048)), 413, "body_too_large"},
	} {
		a := s.Call("POST", tc.path, tc.body)
		if a.Status != tc.status || a.Text("code") != tc.code {
			t.Errorf("%s: %d %s; want %d %s", tc.name, a.Status, a.Body, tc.status, tc.code)
		}
		if a.Status >= 400 && (a.Header.Get("Content-Type") != "application/problem+json" || a.Text("request_id") != a.Header.Get("X-Request-ID")) {
			t.Errorf("%s: %v %s; want a problem with its request_id", tc.name, a.Header, a.Body)
		}
	}
	s.Want(s.Verify(servicetest.Phone, s.ShownCode(servicetest.Phone)), 201, "") // none of it cost a try
}

func TestMediaTypes(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off")
	for header, status := range map[string]int{
		"Content-Type: application/json; charset=utf-8": 202, "Content-Type: Application/JSON": 202,
		"Content-Type: application/json; charset=utf-16":   415,
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
		a := s.Request(servicetest.Phone, header)
		if a.Status != status || (status == 415 && a.Text("code") != "unsupported_media_type") {
			t.Errorf("%s: %d %s; want %d", header, a.Status, a.Body, status)
		}
	}
}

func TestNoNoNo(t *testing.T) {
	s := servicetest.Start(t, nil)
	for accept, isJSON := range map[string]bool{
		"": false, "*/*": false, "text/html,*/*;q=0.8": false, "application/json;q=0": false, "application/*": false,
		"application/json": true, "application/problem+json": true, "text/plain, application/json;q=0.5": true, "application/vnd.api+json": true,
	} {
		a := s.Verify(servicetest.Phone, "000000", "Accept: "+accept)
		if isJSON {
			s.Want(a, 401, "invalid_code")
		} else if a.Status != 401 || a.Body != "no no no" || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("Accept %q: %d %s; want 401 no no no", accept, a.Status, a.Body)
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
		if a.Status != tc.status || a.Text("code") != tc.code || a.Header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d %s, Allow %q; want %d %s, %q", tc.method, tc.path, a.Status, a.Body, a.Header.Get("Allow"), tc.status, tc.code, tc.allow)
		}
	}
	if strings.Contains(s.Log.String(), "FORGED") || strings.Contains(s.Log.String(), "PROPFIND") {
		t.Errorf("a stranger wrote into the log:\n%s", s.Log.String())
	}
}

func TestRawHTTP(t *testing.T) {
	s := servicetest.Start(t, nil)
	address := strings.TrimPrefix(s.URL, "http://")
	const post = "POST /otp/request HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, tc := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"garbage":            {"FORGED\r\n\r\n", 400, "bad_request"},
		"space before colon": {"GET /me HTTP/1.1\r\nHost: x\r\nForged : 1\r\n\r\n", 400, "bad_request"},
		"large header":       {"GET /me HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("y", 5000) + "\r\n\r\n", 431, "headers_too_large"},
		"large body":         {post + "Content-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000), 413, "body_too_large"},
		"large chunks":       {post + "Transfer-Encoding: chunked\r\n\r\n1000\r\n" + strings.Repeat("x", 4096) + "\r\n0\r\n\r\n", 413, "body_too_large"},
		"length and chunks":  {post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "invalid_json"}, // the chunks count, and the connection ends (RFC 9112 §6.1)
		"two lengths":        {post + "Content-Length: 4\r\nContent-Length: 6\r\n\r\nabcdef", 400, "bad_request"},
		"body that stalls":   {post + "Content-Length: 10\r\n\r\nabc", 408, "request_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(15 * time.Second))
			go func() { _, _ = io.WriteString(c, tc.request) }()
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			a := servicetest.Answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
			if a.Status != tc.status || a.Text("code") != tc.code || a.Text("request_id") == "" {
				t.Errorf("%d %s; want %d %s", a.Status, a.Body, tc.status, tc.code)
			}
			if !response.Close {
				t.Error("the connection stays open")
			}
			if log := s.Log.String() + s.Stdout.String(); strings.Contains(strings.ToUpper(log), "FORGED") {
				t.Errorf("a stranger wrote into the log:\n%s", log)
			}
		})
	}
}

func TestForwardedFor(t *testing.T) {
	for _, tc := range []struct {
		proxies, header string
		same            bool // as another request with 198.51.100.7 alone
	}{
		{"", "198.51.100.1", true}, // nobody is believed: both are 127.0.0.1
		{"127.0.0.1", "198.51.100.1", false},
		{"127.0.0.1", "198.51.100.7", true},
		{"127.0.0.1", "203.0.113.5, 198.51.100.7", true}, // what the client itself claims does not count
		{"127.0.0.1,10.0.0.0/8", "198.51.100.7, 10.1.2.3", true},
		{"127.0.0.1,10.0.0.0/8", "198.51.100.7:4711, [::ffff:10.1.2.3]:80", true},
		{"127.0.0.1", "198.51.100.7, 10.1.2.3", false},
	} {
		s := servicetest.Start(t, nil, "OTP_LIMIT_IP=1/10m", "TRUSTED_PROXIES="+tc.proxies)
		s.Want(s.Request("+989121234501", "X-Forwarded-For: 198.51.100.7"), 202, "")
		if a := s.Request("+989121234502", "X-Forwarded-For: "+tc.header); (a.Status == 429) != tc.same {
			t.Errorf("%s behind %q: %d; want the same address: %t", tc.header, tc.proxies, a.Status, tc.same)
		}
	}
}

func TestCORS(t *testing.T) {
	s := servicetest.Start(t, nil, "CORS_ORIGINS=https://app.example.com")
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
		preflight := s.Call("OPTIONS", "/otp/verify", "", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if allowed := preflight.Header.Get("Access-Control-Allow-Methods"); !strings.Contains(allowed, method) {
				t.Errorf("preflight allows %s; want %s too", allowed, method)
			}
		}
		answer := s.Verify(servicetest.Phone, "000000", "Origin: "+origin)
		if got := preflight.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("preflight from %s allows %q; want %q", origin, got, want)
		}
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("an answer to %s allows %q; want %q", origin, got, want)
		}
	}
}
