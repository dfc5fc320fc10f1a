package operation

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"dekamond-otp/internal/e2e/servicetest"
)

const (
	collection    = servicetest.Root + "postman/dekamond-otp.postman_collection.json"
	environment   = servicetest.Root + "postman/dekamond-otp.postman_environment.json"
	newmanVersion = "6.2.2"
)

// A postmanItem is a request, or a folder of items.
type postmanItem struct {
	Name    string
	Item    []postmanItem
	Request struct {
		Method string
		URL    struct{ Path []string }
	}
}

// TestPostmanCollection runs the collection as README.md describes, twice on the same service, and holds that it sees
// what breaks and waits for what is late.
func TestPostmanCollection(t *testing.T) {
	t.Parallel()
	newman := installNewman(t)
	s := servicetest.Start(t, nil, "ADMIN_API_KEY="+servicetest.AdminKey)
	for range 2 {
		if run := newman(s.URL, ""); run.assertions < 40 || len(run.failed) > 0 {
			t.Errorf("%d assertions, of which failed: %q", run.assertions, run.failed)
		}
	}
	var asked atomic.Int64
	late := proxy(t, s, func(r *http.Response) {
		if r.Request.URL.Path == "/dev/messages" && asked.Add(1) < 4 {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"messages":[]}`)), -1
			r.Header.Del("Content-Length")
		}
	})
	if run := newman(late, "Log in"); run.assertions < 15 || len(run.failed) > 0 || asked.Load() != 4 {
		t.Errorf("with late messages: %d assertions, asked for them %d times, failed: %q", run.assertions, asked.Load(), run.failed)
	}
	broken := proxy(t, s, func(r *http.Response) {
		if r.Request.URL.Path == "/otp/verify" && r.StatusCode == 201 {
			r.StatusCode = 200
		}
	})
	if run := newman(broken, "Log in"); !slices.Equal(run.failed, []string{"returns tokens and the user"}) {
		t.Errorf("with 200 for a new user failed: %q; want that the login is", run.failed)
	}
}

// TestPostmanCollectionIsComplete holds that it has every call of the document, none besides, and no name without a value.
func TestPostmanCollectionIsComplete(t *testing.T) {
	text, err := os.ReadFile(collection)
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Item     []postmanItem
		Variable []struct{ Key string }
	}
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`/(:\w+|\{\w+\})`)
	calls := make(map[string]bool) // whether the document has it
	var walk func(items []postmanItem)
	walk = func(items []postmanItem) {
		for _, i := range items {
			if walk(i.Item); i.Item == nil {
				calls[i.Request.Method+" "+parameter.ReplaceAllString("/"+strings.Join(i.Request.URL.Path, "/"), "/*")] = false
			}
		}
	}
	walk(root.Item)
	document, err := openapi3.NewLoader().LoadFromFile(servicetest.Root + "internal/httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			call := method + " " + parameter.ReplaceAllString(path, "/*")
			if _, ok := calls[call]; !ok {
				t.Errorf("the collection lacks %s %s", method, path)
			}
			calls[call] = true
		}
	}
	for call, known := range calls {
		if !known {
			t.Errorf("the collection has %s, which openapi.yaml does not", call)
		}
	}

	values, err := os.ReadFile(environment)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllSubmatch(text, -1) {
		name := string(m[1])
		if !slices.ContainsFunc(root.Variable, func(v struct{ Key string }) bool { return v.Key == name }) && !strings.Contains(string(values), `"key": "`+name+`"`) {
			t.Errorf("nothing gives {{%s}} a value", name)
		}
	}
}

// A newmanRun is how many assertions were made, and the names of those that failed.
type newmanRun struct {
	assertions int
	failed     []string
}

// installNewman gives a function that runs the collection, or one folder of it, against the service at a URL.
func installNewman(t *testing.T) func(url, folder string) newmanRun {
	t.Helper()
	dir := t.TempDir()
	if err := servicetest.InstallNPM(dir, "newman@"+newmanVersion); err != nil {
		t.Fatal(err)
	}
	return func(url, folder string) newmanRun {
		t.Helper()
		report := filepath.Join(dir, "report.json")
		args := []string{
			"run", collection, "--environment", environment, "--env-var", "base_url=" + url, "--env-var", "admin_key=" + servicetest.AdminKey,
			"--reporters", "json", "--reporter-json-export", report,
		}
		if folder != "" {
			args = append(args, "--folder", folder)
		}
		out, runErr := exec.Command(filepath.Join(dir, "node_modules/.bin/newman"), args...).CombinedOutput()
		text, err := os.ReadFile(report)
		if err != nil {
			t.Fatalf("newman: %v\n%s", runErr, out)
		}
		var r struct {
			Run struct {
				Stats    struct{ Assertions struct{ Total int } }
				Failures []struct {
					Error struct{ Name, Test, Message string }
				}
			}
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		run := newmanRun{assertions: r.Run.Stats.Assertions.Total}
		for _, f := range r.Run.Failures {
			if f.Error.Name == "AssertionError" {
				run.failed = append(run.failed, f.Error.Test)
			} else {
				run.failed = append(run.failed, f.Error.Message)
			}
		}
		if (runErr != nil) != (run.failed != nil) {
			t.Errorf("newman: %v, failed: %q\n%s", runErr, run.failed, out)
		}
		return run
	}
}

// proxy stands before the service and changes its answers.
func proxy(t *testing.T, s *servicetest.Service, change func(*http.Response)) string {
	t.Helper()
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error { change(r); return nil },
	})
	t.Cleanup(p.Close)
	return p.URL
}
