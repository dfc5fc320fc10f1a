package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/brand"
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
		"/login/icon":          "image/svg+xml",
		"/login/brand.css":     "text/css",
		"/favicon.ico":         "image/svg+xml",
	} {
		get(t, s, path, mediaType)
	}
	var settings struct {
		AppName       string `json:"app_name"`
		DefaultRegion string `json:"default_region"`
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
	if settings.AppName != "Dekamond" || settings.DefaultRegion != "IR" || settings.Dev {
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

// TestBrand checks what is served for a colour and a logo, and that a logo that is opened by itself runs no script.
func TestBrand(t *testing.T) {
	serve := func(p LoginPage) (s *Server, logo string) {
		p.Regions = []string{"IR"}
		s = newServer(t, Options{LoginPage: &p})
		var settings struct{ Logo string }
		if err := json.Unmarshal(get(t, s, "/login/settings.json", "application/json"), &settings); err != nil {
			t.Fatal(err)
		}
		return s, settings.Logo
	}
	plain, logo := serve(LoginPage{})
	own := get(t, plain, "/login/icon", "image/svg+xml")
	if style := get(t, plain, "/login/brand.css", "text/css"); bytes.Contains(style, []byte("--")) || logo != "none" {
		t.Errorf("without a brand the logo is %s and the style %s; want none", logo, style)
	}
	yellow, _ := serve(LoginPage{Color: "#ffff00"})
	for _, path := range []string{"/login/brand.css", "/docs/brand.css"} {
		if style := get(t, yellow, path, "text/css"); !bytes.Contains(style, []byte("--fill: #ffff00")) {
			t.Errorf("%s is %s; want a yellow button", path, style)
		}
	}
	want := strings.NewReplacer(string(ownColor), "#ffff00", "#fff", "#000000").Replace(string(own))
	if got := get(t, yellow, "/login/icon", "image/svg+xml"); string(got) != want || want == string(own) {
		t.Errorf("the icon is %s; want it in yellow and black", got)
	}
	for _, tc := range []struct {
		brand.Logo
		want string
	}{
		{brand.Logo{MediaType: "image/png", Text: []byte("a PNG"), FitsDark: true}, "any"},
		{brand.Logo{MediaType: "image/svg+xml", Text: []byte("<svg/>")}, "needs_light"},
	} {
		s, logo := serve(LoginPage{Logo: tc.Logo})
		if logo != tc.want {
			t.Errorf("the logo is %s in the settings; want %s", logo, tc.want)
		}
		for _, path := range []string{"/login/icon", "/favicon.ico"} {
			if got := get(t, s, path, tc.MediaType); string(got) != string(tc.Text) {
				t.Errorf("%s is %s; want the logo", path, got)
			}
			response, err := s.app.Test(httptest.NewRequest("GET", path, nil), -1)
			if err != nil {
				t.Fatal(err)
			}
			policy := response.Header.Get("Content-Security-Policy")
			sniff := response.Header.Get("X-Content-Type-Options")
			if !strings.HasPrefix(policy, "default-src 'none';") || !strings.HasSuffix(policy, "; sandbox") ||
				sniff != "nosniff" || strings.Contains(policy, "script") || response.Header.Get("ETag") == "" {
				t.Errorf("%s has the headers %v; want a tag, and a policy without scripts", path, response.Header)
			}
		}
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
