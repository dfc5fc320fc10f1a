package httpapi

import (
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/phone"
)

// get returns the body of a 200 of the given media type.
func get(t *testing.T, s *Server, path, wantType string) []byte {
	t.Helper()
	response, err := s.app.Test(httptest.NewRequest("GET", path, nil), -1)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	if got := response.Header.Get("Content-Type"); response.StatusCode != 200 || !strings.HasPrefix(got, wantType) {
		t.Errorf("GET %s: %d %s; want 200 %s", path, response.StatusCode, got, wantType)
	}
	return text
}

// TestLoginPage checks that the login page, its files and its settings are served, and that only the page itself is in
// the access log.
func TestLoginPage(t *testing.T) {
	var log strings.Builder
	s := newServer(t, Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		LoginPage: &LoginPage{
			AppName:       "Dekamond",
			DefaultRegion: "IR",
			Regions:       []string{"IR", "CA"},
			CodeLength:    8,
			TermsURL:      "https://example.com/terms",
			PrivacyURL:    "https://example.com/privacy",
			SMSNotice:     true,
		},
	})
	for path, mediaType := range map[string]string{
		"/login/login.js":      "text/javascript",
		"/login/login.css":     "text/css",
		"/login/words.fa.json": "application/json",
		"/login/flags.woff2":   "font/woff2",
		"/login/flags.txt":     "text/plain",
		"/login/icon.svg":      "image/svg+xml",
		"/favicon.ico":         "image/svg+xml",
	} {
		get(t, s, path, mediaType)
	}
	var settings struct {
		AppName       string `json:"app_name"`
		DefaultRegion string `json:"default_region"`
		CodeLength    int    `json:"code_length"`
		TermsURL      string `json:"terms_url"`
		PrivacyURL    string `json:"privacy_url"`
		SMSNotice     bool   `json:"sms_notice"`
		Dev           bool
		Regions       []phone.Region
		Plans         map[string]phone.Plan
	}
	if err := json.Unmarshal(get(t, s, "/login/settings.json", "application/json"), &settings); err != nil {
		t.Fatal(err)
	}
	if settings.AppName != "Dekamond" || settings.DefaultRegion != "IR" || settings.CodeLength != 8 || settings.Dev {
		t.Errorf("settings = %+v; want those of the options, without /dev/messages", settings)
	}
	links := settings.TermsURL + " " + settings.PrivacyURL
	if links != "https://example.com/terms https://example.com/privacy" || !settings.SMSNotice {
		t.Errorf("settings = %+v; want the links and the notice of the options", settings)
	}
	codes := slices.Sorted(maps.Keys(settings.Plans))
	if len(settings.Regions) != 2 || !slices.Equal(codes, []string{"1", "98"}) {
		t.Errorf("regions = %+v, plans of %v; want CA and IR alone", settings.Regions, codes)
	}
	if log.Len() > 0 {
		t.Errorf("the files of the page are in the log: %s", log.String())
	}
	get(t, s, "/", "text/html")
	if !strings.Contains(log.String(), "route=/ ") {
		t.Errorf("the page is not in the log: %s", log.String())
	}
}

// TestScripts checks that every script is served without its comment lines, and with everything else, and that the page
// names it, so that the browser loads all of them at once.
func TestScripts(t *testing.T) {
	s := newServer(t, Options{LoginPage: &LoginPage{Regions: []string{"*"}}})
	scripts, err := fs.Glob(pageFiles, "pages/login/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("found no scripts: %v", err)
	}
	page := readLoginFile(t, "index.html")
	for _, name := range scripts {
		if !strings.Contains(page, `"`+strings.TrimPrefix(name, "pages/")+`"`) {
			t.Errorf("index.html does not name %s", name)
		}
		source, err := pageFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(source)) {
			text := strings.TrimSpace(line)
			if !strings.HasPrefix(text, "//") && !strings.HasPrefix(text, "/*") && !strings.HasPrefix(text, "*") {
				want = append(want, line)
			}
		}
		got := get(t, s, strings.TrimPrefix(name, "pages"), "text/javascript")
		if string(got) != strings.Join(want, "") {
			t.Errorf("%s is served as\n%s\nwant no comment lines, and all others", name, got)
		}
	}
}
