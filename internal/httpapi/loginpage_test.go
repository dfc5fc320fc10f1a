package httpapi

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/phone"
)

type noMetrics struct{}

func (noMetrics) ObserveRequest(string, string, int, time.Duration) {}
func (noMetrics) CountProblem(string, string)                       {}

func TestLoginPage(t *testing.T) {
	var log strings.Builder
	s := New(Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)), Metrics: noMetrics{},
		LoginPage: &LoginPage{AppName: "Dekamond", DefaultRegion: "IR", Regions: []string{"IR", "CA"}, CodeLength: 8},
	})
	get := func(path, wantType string) []byte {
		response, err := s.app.Test(httptest.NewRequest("GET", path, nil))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || !strings.HasPrefix(got, wantType) {
			t.Errorf("GET %s: %d %s; want 200 %s", path, response.StatusCode, got, wantType)
		}
		return text
	}
	for path, mediaType := range map[string]string{
		"/login/login.js": "text/javascript", "/login/login.css": "text/css", "/login/words.fa.json": "application/json", "/login/flags.woff2": "font/woff2",
		"/login/flags.txt": "text/plain", "/login/icon.svg": "image/svg+xml", "/favicon.ico": "image/svg+xml",
	} {
		get(path, mediaType)
	}
	var settings struct {
		AppName       string `json:"app_name"`
		DefaultRegion string `json:"default_region"`
		CodeLength    int    `json:"code_length"`
		Dev           bool
		Regions       []phone.Region
		Plans         map[string]phone.Plan
	}
	if err := json.Unmarshal(get("/login/settings.json", "application/json"), &settings); err != nil {
		t.Fatal(err)
	}
	if settings.AppName != "Dekamond" || settings.DefaultRegion != "IR" || settings.CodeLength != 8 || settings.Dev {
		t.Errorf("settings = %+v; want those of the options, and no development", settings)
	}
	if codes := slices.Sorted(maps.Keys(settings.Plans)); len(settings.Regions) != 2 || !slices.Equal(codes, []string{"1", "98"}) {
		t.Errorf("regions = %+v, plans of %v; want CA and IR alone", settings.Regions, codes)
	}
	if log.Len() > 0 {
		t.Errorf("what a page loads is in the log: %s", log.String())
	}
	get("/", "text/html")
	if !strings.Contains(log.String(), "route=/ ") {
		t.Errorf("the page is not in the log: %s", log.String())
	}
}

// TestWords holds that the login page speaks the languages of the messages, has words for all that may go wrong, and
// none that it does not use.
func TestWords(t *testing.T) {
	folder := "pages/login/"
	read := func(name string) string {
		text, err := pageFiles.ReadFile(folder + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	type words = map[string]string
	load := func(language string) (plain, problems words) {
		plain, problems = make(words), make(words)
		var all map[string]any
		if err := json.Unmarshal([]byte(read("words."+language+".json")), &all); err != nil {
			t.Fatalf("%s: %v", language, err)
		}
		for key, value := range all {
			switch value := value.(type) {
			case string:
				plain[key] = value
			case map[string]any:
				for code, text := range value {
					problems[code], _ = text.(string)
				}
			}
		}
		return plain, problems
	}
	placeholder := regexp.MustCompile(`\{\w+\}`)
	placeholders := func(text string) string {
		return strings.Join(slices.Sorted(slices.Values(placeholder.FindAllString(text, -1))), " ")
	}

	messages, err := filepath.Glob("../text/locales/*.tmpl")
	if err != nil || len(messages) == 0 {
		t.Fatalf("no languages: %v", err)
	}
	page, english, englishProblems := read("index.html"), words(nil), words(nil)
	english, englishProblems = load("en")
	for _, file := range messages {
		language := strings.TrimSuffix(filepath.Base(file), ".tmpl")
		if !strings.Contains(page, `<option value="`+language+`"`) {
			t.Errorf("the page does not offer %s", language)
		}
		plain, problems := load(language)
		for _, pair := range []struct{ got, want words }{{plain, english}, {problems, englishProblems}} {
			if got, want := slices.Sorted(maps.Keys(pair.got)), slices.Sorted(maps.Keys(pair.want)); !slices.Equal(got, want) {
				t.Errorf("%s has the words %v; want %v", language, got, want)
			}
			for key, text := range pair.got {
				if got, want := placeholders(text), placeholders(pair.want[key]); text == "" || got != want {
					t.Errorf("%s: %s = %q, with %q; want it with %q", language, key, text, got, want)
				}
			}
		}
	}

	for _, m := range regexp.MustCompile(`(?m)^            - (\w+)$`).FindAllSubmatch(openAPI, -1) {
		if code := string(m[1]); englishProblems[code] == "" {
			t.Errorf("there are no words for the problem %s", code)
		}
	}
	for _, p := range problems {
		if englishProblems[p.code] == "" {
			t.Errorf("there are no words for the problem %s", p.code)
		}
	}

	program := read("login.js") + read("drawer.js") + read("language.js") + page
	for key := range english {
		composed, _, _ := strings.Cut(key, "_")
		if !regexp.MustCompile(`\b`+key+`\b`).MatchString(program) && !(composed == "delivery" && strings.Contains(program, "'delivery_' +")) {
			t.Errorf("the word %s is not used", key)
		}
	}
	for _, m := range regexp.MustCompile(`data-word="(\w+)"|\bwords\.(\w+)|\bsay\('(\w+)'|\bnotice\('(\w+)'|\bProblem\('(\w+)'|\bover\('(\w+)'`).FindAllStringSubmatch(program+read("api.js"), -1) {
		key := strings.Join(m[1:], "")
		if key != "problems" && english[key]+englishProblems[key] == "" {
			t.Errorf("the page uses the word %s, which there is not", key)
		}
	}
}
