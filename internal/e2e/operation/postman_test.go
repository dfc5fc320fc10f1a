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

// TestPostmanCollection runs the collection twice on the same service, then with messages that are late, for which it
// has to wait, and with a faulty answer, which it has to find.
func TestPostmanCollection(t *testing.T) {
	t.Parallel()
	newman := installNewman(t)
	// The collection repeats no call that SQLite took too long for, as it does on a slow machine.
	s := servicetest.Start(t, servicetest.RealStores(t), "ADMIN_API_KEY="+servicetest.AdminKey)
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
	if run := newman(late, "Log in"); run.assertions < 15 || len(run.failed) > 0 {
		t.Errorf("with late messages: %d assertions, of which failed: %q", run.assertions, run.failed)
	}
	if n := asked.Load(); n < 4 {
		t.Errorf("the collection asked for late messages %d times; want at least 4", n)
	}
	broken := proxy(t, s, func(r *http.Response) {
		if r.Request.URL.Path == "/otp/verify" && r.StatusCode == 201 {
			r.StatusCode = 200
		}
	})
	if run := newman(broken, "Log in"); !slices.Equal(run.failed, []string{"returns tokens and the user"}) {
		t.Errorf("with 200 for a new user failed: %q; want the login alone", run.failed)
	}
}

// TestPostmanCollectionIsComplete checks that the collection has exactly the calls of openapi.yaml, and a value for
// each of its variables.
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
	calls := make(map[string]bool) // of the collection, and whether openapi.yaml has them
	var walk func(items []postmanItem)
	walk = func(items []postmanItem) {
		for _, i := range items {
			if walk(i.Item); i.Item == nil {
				path := "/" + strings.Join(i.Request.URL.Path, "/")
				calls[i.Request.Method+" "+parameter.ReplaceAllString(path, "/*")] = false
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
		own := slices.ContainsFunc(root.Variable, func(v struct{ Key string }) bool { return v.Key == name })
		if !own && !strings.Contains(string(values), `"key": "`+name+`"`) {
			t.Errorf("the variable {{%s}} has no value", name)
		}
	}
}

// A newmanRun is the result of a run: the number of assertions, and the names of the failed ones.
type newmanRun struct {
	assertions int
	failed     []string
}

// installNewman installs newman and returns a function that runs the collection, or one folder of it, against the
// service at a URL.
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
			"run", collection,
			"--environment", environment,
			"--env-var", "base_url=" + url,
			"--env-var", "admin_key=" + servicetest.AdminKey,
			"--reporters", "json",
			"--reporter-json-export", report,
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

// proxy starts a proxy of the service that changes its answers, and returns its URL.
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
