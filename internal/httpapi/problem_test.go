package httpapi

import (
	"bytes"
	"errors"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// TestEveryProblem checks that every entry of the table is complete and found, that each code has one status, and that
// openapi.yaml lists each code.
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
			t.Errorf("problemOf(%v) = %+v; want its own, %+v: an earlier entry hides it", p.err, got, p.problem)
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

// TestExamplesOfProblems checks that openapi.yaml is valid, that its examples are real problems, and that its table
// explains every code.
func TestExamplesOfProblems(t *testing.T) {
	document, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Errorf("openapi.yaml: %v", err)
	}
	all := append(slices.Collect(maps.Values(httpProblems)), badRequest, internal)
	for _, p := range problems {
		all = append(all, p.problem)
	}
	for name, e := range document.Components.Examples {
		got := e.Value.Value.(map[string]any)
		isExample := func(p problem) bool {
			want := map[string]any{
				"type":   "urn:dekamond-otp:problem:" + p.code,
				"code":   p.code,
				"title":  p.title,
				"detail": p.detail,
				"status": float64(p.status),
			}
			for member, value := range want {
				if got[member] != value {
					return false
				}
			}
			return true
		}
		if !slices.ContainsFunc(all, isExample) {
			t.Errorf("example %s: no problem is %v", name, got)
		}
	}
	for _, code := range document.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		row := regexp.MustCompile("(?m)^\\| \\d+ \\| .*`" + code.(string) + "`")
		if !row.MatchString(document.Info.Description) {
			t.Errorf("the table does not have %s", code)
		}
	}
}
