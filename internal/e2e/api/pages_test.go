package api

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestPages checks the pages and their parts as files: their types, policies, encodings and tags.
func TestPages(t *testing.T) {
	s := servicetest.Start(t, nil)
	s.Unvalidated = true // openapi.yaml has the pages, not their parts
	part := regexp.MustCompile(`(?:src|href)="([^":]+)\.(js|css)"`)
	types := map[string]string{"js": "text/javascript", "css": "text/css"}
	for _, path := range []string{"/", "/docs"} {
		page := served(t, s, path, "text/html")
		if !strings.HasPrefix(page, "<!doctype html>") {
			t.Errorf("GET %s = %q", path, page)
		}
		for _, m := range part.FindAllStringSubmatch(page, -1) {
			served(t, s, "/"+m[1]+"."+m[2], types[m[2]])
		}
	}

	s = servicetest.Start(t, nil, "LOGIN_PAGE=false")
	s.Want(s.Call("GET", "/", ""), 404, "not_found")
}

// served checks how a file is served and returns it.
func served(t *testing.T, s *servicetest.Service, path, mediaType string) string {
	t.Helper()
	a := s.Want(s.Call("GET", path, ""), 200, "")
	if got := a.Header.Get("Content-Type"); got != mediaType+"; charset=utf-8" || a.Body == "" {
		t.Errorf("GET %s: %s, %d bytes; want some of %s", path, got, len(a.Body), mediaType)
	}
	policy := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src", "base-uri", "form-action", "frame-ancestors"} {
		if !strings.Contains(policy, want+" 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy = %q; want %s 'none', and nothing unsafe", path, policy, want)
		}
	}
	if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("GET %s: Referrer-Policy = %q", path, got)
	}
	for accepted, want := range map[string]string{
		"identity":       "",
		"br":             "",
		"gzip;q=0":       "",
		"br, gzip;q=0.5": "gzip",
	} {
		got := s.Call("GET", path, "", "Accept-Encoding: "+accepted)
		if got.Header.Get("Content-Encoding") != want || want == "" && got.Body != a.Body {
			t.Errorf("GET %s with Accept-Encoding: %s: %v", path, accepted, got.Header)
		}
	}
	tag := "If-None-Match: " + a.Header.Get("ETag")
	if again := s.Call("GET", path, "", tag); again.Status != 304 || again.Body != "" {
		t.Errorf("GET %s with the ETag: %d; want 304", path, again.Status)
	}
	if another := s.Call("GET", path, "", `If-None-Match: "another"`); another.Status != 200 {
		t.Errorf("GET %s with another ETag: %d; want 200", path, another.Status)
	}
	return a.Body
}

// TestVendored checks that the vendored files of the pages are those of their npm packages.
func TestVendored(t *testing.T) {
	if out, err := exec.Command(servicetest.Root+".ci/vendored", "check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
