package httpapi

import (
	"io"
	"io/fs"
	"net/http/httptest"
	"strings"
	"testing"

	"dekamond-otp/docs"
)

// TestDocuments checks that the service serves every page of the documents, and that the page /docs links it.
func TestDocuments(t *testing.T) {
	s := newServer(t, Options{})
	err := fs.WalkDir(docs.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		response, err := s.app.Test(httptest.NewRequest("GET", "/docs/"+name, nil), -1)
		if err != nil {
			return err
		}
		got, _ := io.ReadAll(response.Body)
		want, err := docs.Files.ReadFile(name)
		mediaType := response.Header.Get("Content-Type")
		if response.StatusCode != 200 || string(got) != string(want) || mediaType != "text/plain; charset=utf-8" {
			t.Errorf("GET /docs/%s: %d %s, %d bytes; want 200, text and the page",
				name, response.StatusCode, mediaType, len(got))
		}
		if !strings.Contains(string(openAPI), "](docs/"+name+")") {
			t.Errorf("openapi.yaml, which /docs shows, does not link docs/%s", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
