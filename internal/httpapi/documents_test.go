package httpapi

import (
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"dekamond-otp/docs"
)

// TestDocuments checks that the service serves every document as Markdown and, to a browser, as a web page whose links
// lead somewhere, and that the page /docs links it.
func TestDocuments(t *testing.T) {
	s := newServer(t, Options{})
	ask := func(path, accept string) (mediaType, body string) {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", accept)
		response, err := s.app.Test(r, -1)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		if response.StatusCode != 200 || !strings.Contains(response.Header.Get("Vary"), "Accept") {
			t.Errorf("GET %s: %d, Vary %q; want 200, which varies by Accept", path, response.StatusCode,
				response.Header.Get("Vary"))
		}
		return response.Header.Get("Content-Type"), string(text)
	}
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, page := range docs.Pages() {
		path := "/docs/" + page.Name
		for _, accept := range []string{"*/*", "", "text/plain", "text/markdown, */*;q=0.1"} {
			if mediaType, body := ask(path, accept); mediaType != "text/plain; charset=utf-8" ||
				body != string(page.Markdown) {
				t.Errorf("GET %s with Accept %q: %s, %d bytes; want the Markdown", path, accept, mediaType, len(body))
			}
		}
		if mediaType, body := ask(path, browser); mediaType != "text/html; charset=utf-8" ||
			!strings.Contains(body, "<title>"+page.Title+" · Dekamond OTP</title>") {
			t.Errorf("GET %s with the Accept of a browser: %s %.200s; want a web page", path, mediaType, body)
		}
		if !strings.Contains(string(openAPI), "](docs/"+page.Name+")") {
			t.Errorf("openapi.yaml, which /docs shows, does not link docs/%s", page.Name)
		}
	}
	ask("/docs/documents.css", "text/css")
	for _, f := range docs.Files() {
		mediaType, body := ask("/docs/"+f.Name, browser)
		if mediaType != "text/plain; charset=utf-8" || body != string(f.Text) {
			t.Errorf("GET /docs/%s: %s, %d bytes; want the file", f.Name, mediaType, len(body))
		}
	}
}

// TestDocumentsHaveColoursOfLoginPage compares the colours that both style sheets name.
func TestDocumentsHaveColoursOfLoginPage(t *testing.T) {
	colour := regexp.MustCompile(`(?m)^ +(--[a-z-]+): (#[0-9a-f]+);`)
	colours := func(sheet string) map[string][]string {
		found := make(map[string][]string) // light and dark
		for _, m := range colour.FindAllStringSubmatch(sheet, -1) {
			found[m[1]] = append(found[m[1]], m[2])
		}
		return found
	}
	login, own := colours(readLoginFile(t, "login.css")), colours(string(docs.Style))
	if len(own) < 10 {
		t.Fatalf("found %d colours; want more", len(own))
	}
	for name, values := range own {
		if got, want := strings.Join(values, ", "), strings.Join(login[name], ", "); got != want {
			t.Errorf("documents.css has %s: %s; want %s", name, got, want)
		}
	}
}
