package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"dekamond-otp/internal/phone"
)

// TestPanic holds that a panic in a handler, here for want of a service, is answered and logged, and
// that the next request is too.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := New(Options{Phones: phone.NewParser(""), Metrics: uncounted{}, Log: slog.New(LogHandler(slog.NewJSONHandler(&log, nil)))})
	for range 2 {
		log.Reset()
		r := httptest.NewRequest("POST", "/otp/request", strings.NewReader(`{"phone":"+989121234567"}`))
		r.Header.Set("Content-Type", "application/json")
		response, err := s.app.Test(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		var p struct {
			Code      string
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal(text, &p); err != nil || response.StatusCode != 500 || p.Code != "internal_error" {
			t.Fatalf("%d %s; want 500 internal_error", response.StatusCode, text)
		}
		if strings.Contains(string(text), "nil pointer") || strings.Contains(string(text), ".go") {
			t.Errorf("the answer shows the inside: %s", text)
		}
		if !strings.Contains(log.String(), "login.go") || !strings.Contains(log.String(), `"request_id":"`+p.RequestID) {
			t.Errorf("the log has no stack, or not the request_id of %s: %s", text, log.String())
		}
	}
}

// TestEveryProblem holds that the table has no two names for one thing and no entry without a text.
func TestEveryProblem(t *testing.T) {
	seen := make(map[string]int)
	for _, p := range problems {
		if p.status < 400 || p.code == "" || p.title == "" || p.detail == "" {
			t.Errorf("problem of %v: %+v; want every field set", p.err, p.problem)
		}
		if status, ok := seen[p.code]; ok && status != p.status {
			t.Errorf("code %s has the statuses %d and %d", p.code, status, p.status)
		}
		seen[p.code] = p.status
		if got := problemOf(p.err); got != p.problem {
			t.Errorf("problemOf(%v) = %+v; want its own, %+v: one before it hides it", p.err, got, p.problem)
		}
	}
	if got := problemOf(errors.New("unknown")); got != internal {
		t.Errorf("problemOf an unknown error = %+v; want a bare 500", got)
	}
	for code := range seen {
		if !bytes.Contains(openAPI, []byte("- "+code+"\n")) {
			t.Errorf("openapi.yaml does not name the code %s", code)
		}
	}
}

// TestExamplesOfProblems holds that the document shows problems as they are, and tells of every code what to do.
func TestExamplesOfProblems(t *testing.T) {
	document, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Collect(maps.Values(httpProblems))
	for _, p := range problems {
		all = append(all, p.problem)
	}
	for name, e := range document.Components.Examples {
		got := e.Value.Value.(map[string]any)
		if !slices.ContainsFunc(append(all, badRequest, internal), func(p problem) bool {
			return got["code"] == p.code && got["title"] == p.title && got["detail"] == p.detail && got["status"] == float64(p.status) &&
				got["type"] == "urn:dekamond-otp:problem:"+p.code
		}) {
			t.Errorf("example %s: no problem is %v", name, got)
		}
	}
	for _, code := range document.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		if !regexp.MustCompile("(?m)^\\| \\d+ \\| .*`" + code.(string) + "`").MatchString(document.Info.Description) {
			t.Errorf("the table does not have %s", code)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"phone":"+989121234567"}`, `{"phone":1,"code":null}`, `{"phone":"a","phone":"b"}`, `null`, `[]`, ` {"code":"۱۲۳"} `,
		`{"phone":{"phone":[]}}`, `{"phone":"\ud800"}`, "{\"phone\":\"\xff\"}", `{} {}`, ``, `{"a":` + strings.Repeat("[", 1000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var in struct {
			Phone field `json:"phone"`
			Code  field `json:"code"`
		}
		err := decode(text, &in)
		var whole map[string]json.RawMessage
		reference := json.Unmarshal(text, &whole)
		if err != nil {
			if !errors.Is(err, errJSON) {
				t.Fatalf("decode(%q): %v; want errJSON", text, err)
			}
			return
		}
		if reference != nil || whole == nil || !utf8.Valid(text) {
			t.Fatalf("decode(%q) took what encoding/json calls %v", text, reference)
		}
		for name, got := range map[string]field{"phone": in.Phone, "code": in.Code} {
			raw, present := whole[name]
			var want string
			isString := present && raw[0] == '"' && json.Unmarshal(raw, &want) == nil
			if got.present != (present && string(raw) != "null") || got.isString != isString || (isString && got.text != want) {
				t.Fatalf("decode(%q): %s is %+v; want %q, present %t, string %t", text, name, got, want, present, isString)
			}
		}
	})
}
