package servicetest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Phone is the phone that most tests log in with.
const Phone = "+989121234567"

// Admin is the header that authorizes the calls of an administrator.
const Admin = "Authorization: Bearer " + AdminKey

// Client makes the HTTP calls of the tests.
var Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: Patience}

// An Answer is a response with its body read.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Field returns a member of the JSON body, nil if there is none. The names lead to it from the outside to the inside.
func (a Answer) Field(names ...string) any {
	var v any
	if json.Unmarshal([]byte(a.Body), &v) != nil {
		return nil
	}
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// Text returns a member of the JSON body that is a string, and "" if there is none.
func (a Answer) Text(names ...string) string {
	s, _ := a.Field(names...).(string)
	return s
}

// Bearer returns the header that authorizes calls with the access token of a login.
func Bearer(login Answer) string { return "Authorization: Bearer " + login.Text("access_token") }

// JSON returns an object whose names and values alternate in pairs.
func JSON(pairs ...string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// WrongCode returns a code of as many digits that differs from the given one.
func WrongCode(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

// Call makes a request and checks the answer against openapi.yaml. Each header has the form "Name: value". A request
// that is not answered fails the test and returns an empty Answer. Unless s.Unrepeated is set, Call repeats a request
// for which the service had no connection to Postgres in time, which SQLite took back, or which was refused because the
// database had taken no write for 10 s. All this happens on a slow machine. Such a request has changed nothing, unless
// it was POST /users/unlock, which has freed the phone and not recorded that.
func (s *Service) Call(method, path, body string, headers ...string) Answer {
	s.t.Helper()
	if s.Unrepeated {
		return s.callOnce(method, path, body, headers...)
	}
	return s.repeat(crowdedDatabase, func() Answer {
		s.t.Helper()
		return s.callOnce(method, path, body, headers...)
	})
}

func (s *Service) callOnce(method, path, body string, headers ...string) Answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ": ")
		if ok {
			r.Header.Set(name, value)
		}
		if name == "Host" {
			r.Host = value
		}
	}
	response, err := do(r)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return Answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	if !s.Unvalidated && method != http.MethodOptions {
		validate(s.t, r, response, text)
	}
	return Answer{response.StatusCode, response.Header, string(text)}
}

// do makes a request. If the service has closed the new connection before the request was written, do repeats it. That
// happens to some of many simultaneous requests on a slow machine, which come later than the service waits for them.
func do(r *http.Request) (*http.Response, error) {
	for began := time.Now(); ; {
		response, err := Client.Do(r)
		unwritten := err != nil && strings.Contains(err.Error(), "server closed idle connection")
		if !unwritten || time.Since(began) > Patience {
			return response, err
		}
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
}

// Want ends the test unless the answer has the status and the code of a problem, "" for none. It returns the answer.
func (s *Service) Want(a Answer, status int, code string) Answer {
	s.t.Helper()
	if a.Status != status || a.Text("code") != code {
		s.t.Fatalf("answer %d %s; want %d %q", a.Status, a.Body, status, code)
	}
	return a
}

// Request asks for a code.
func (s *Service) Request(phone string, headers ...string) Answer {
	s.t.Helper()
	return s.Call("POST", "/otp/request", JSON("phone", phone), headers...)
}

// Verify answers with a code.
func (s *Service) Verify(phone, code string, headers ...string) Answer {
	s.t.Helper()
	return s.Call("POST", "/otp/verify", JSON("phone", phone, "code", code), headers...)
}

// Code asks for a code and returns the one that the console provider has printed.
func (s *Service) Code(phone string) string {
	s.t.Helper()
	s.Want(s.Request(phone), 202, "")
	return s.ShownCode(phone)
}

// Login asks for a code, answers with it and returns the answer, which has tokens.
func (s *Service) Login(phone string, headers ...string) Answer {
	s.t.Helper()
	a := s.Verify(phone, s.Code(phone), headers...)
	if a.Status != 200 && a.Status != 201 {
		s.t.Fatalf("login: %d %s", a.Status, a.Body)
	}
	return a
}

// Refresh exchanges a refresh token.
func (s *Service) Refresh(token string, headers ...string) Answer {
	s.t.Helper()
	return s.Call("POST", "/token/refresh", JSON("refresh_token", token), headers...)
}

// ShownCode waits until all messages are settled and returns the last code that the console provider printed for a
// phone.
func (s *Service) ShownCode(phone string) string {
	s.t.Helper()
	s.AwaitMessages()
	found := regexp.MustCompile(`SMS to \`+phone+`: (\d+)`).FindAllStringSubmatch(s.Stdout.String(), -1)
	if found == nil {
		s.t.Fatalf("no message to %s on standard output:\n%s", phone, s.Stdout.String())
	}
	return found[len(found)-1][1]
}

var (
	acceptedLine = regexp.MustCompile(`msg=request method=POST route=(/otp/request|/me/phone/request) status=202`)
	settledLine  = regexp.MustCompile(`msg="(message (sent|failed|dropped)|test number asked for its code)"`)
)

// AwaitMessages waits until the log has an outcome for the message of every accepted request.
func (s *Service) AwaitMessages() {
	s.t.Helper()
	Eventually(s.t, "every message is delivered or reported", func() bool {
		log := s.Log.String()
		return len(acceptedLine.FindAllString(log, -1)) <= len(settledLine.FindAllString(log, -1))
	})
}

// AwaitStatus waits until GET /otp/status reports a status for the message of an accepted request.
func (s *Service) AwaitStatus(accepted Answer, status string) Answer {
	s.t.Helper()
	var got Answer
	Eventually(s.t, "the message is "+status, func() bool {
		got = s.Want(s.Call("GET", "/otp/status?request_id="+accepted.Text("request_id"), ""), 200, "")
		return got.Text("status") == status
	})
	return got
}

// AtOnce makes n calls at the same time and returns how many answers had each status.
func (s *Service) AtOnce(n int, call func(i int) Answer) map[int]int {
	s.t.Helper()
	got := make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			a := call(i)
			mu.Lock()
			defer mu.Unlock()
			got[a.Status]++
		})
	}
	close(begin)
	wg.Wait()
	return got
}

// These match the log of a request that had to wait too long for its turn at a store, or that was refused because
// others had to.
var (
	crowdedDatabase = regexp.MustCompile(
		`(postgres: connect|sqlite): context deadline exceeded|sqlite: sql: transaction has already been|` +
			`it has taken no write for 10s`)
	crowdedRedis = regexp.MustCompile(`redis: (context deadline exceeded|(read|write) (tcp .*|pipe): i/o timeout)`)
)

// Insist makes a call again for as long as it is answered 503 because its turn at Redis did not come in the time that
// the service allows. This happens to many calls at once on a slow machine. Redis may have done its part all the same,
// so the call must be one that can be repeated.
func (s *Service) Insist(call func() Answer) Answer {
	s.t.Helper()
	return s.repeat(crowdedRedis, call)
}

// IsCrowded reports whether a request had to wait too long for its turn at Redis, so that a reply may be lost.
func (s *Service) IsCrowded() bool { return crowdedRedis.MatchString(s.Log.String()) }

// repeat makes a call again for as long as it is answered 503 and the log has the cause.
func (s *Service) repeat(cause *regexp.Regexp, call func() Answer) Answer {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		a := call()
		isCause := a.Status == http.StatusServiceUnavailable &&
			cause.MatchString(strings.Join(s.LogLines(a.Header.Get("X-Request-ID")), ""))
		if !isCause || time.Since(began) > Patience {
			return a
		}
	}
}

// AllPages reads a list page by page, as an administrator, and returns the identifiers in it. The path has a query.
func (s *Service) AllPages(path, list string) (ids []string) {
	s.t.Helper()
	for next := path; ; {
		page := s.Want(s.Call("GET", next, "", Admin), 200, "")
		for _, entry := range page.Field(list).([]any) {
			ids = append(ids, entry.(map[string]any)["id"].(string))
		}
		cursor, more := page.Field("next_cursor").(string)
		if !more {
			return ids
		}
		next = path + "&cursor=" + cursor
	}
}

// WantEvents checks that the audit log has exactly these actions for a query, the newest first.
func (s *Service) WantEvents(query string, want ...string) {
	s.t.Helper()
	page := s.Want(s.Call("GET", "/audit?"+query, "", Admin), 200, "")
	var got []string
	for _, e := range page.Field("events").([]any) {
		got = append(got, e.(map[string]any)["action"].(string))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		s.t.Errorf("audit of %s: %v; want %v", query, got, want)
	}
}

// Metrics returns what GET /metrics answers.
func (s *Service) Metrics() string {
	s.t.Helper()
	response, err := Client.Get("http://" + s.InternalAddress() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
