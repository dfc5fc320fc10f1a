package docs

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPages checks that every link of a document's web page leads to another site, to a document that is served, or to
// a heading that is there, and that the page has no picture and no tag that the Markdown brought along.
func TestPages(t *testing.T) {
	href := regexp.MustCompile(`href="([^"]*)"`)
	id := regexp.MustCompile(`<h\d id="([^"]*)"`)
	pages := make(map[string]string)
	ids := make(map[string][]string)
	for _, page := range Pages() {
		html := string(page.HTML(Link{"back", "Back"}))
		pages[page.Name] = html
		for _, m := range id.FindAllStringSubmatch(html, -1) {
			ids[page.Name] = append(ids[page.Name], m[1])
		}
		if strings.Contains(html, "<img") || strings.Contains(html, "raw HTML") {
			t.Errorf("%s has a picture or says that one is missing", page.Name)
		}
	}
	if len(pages) < 10 || len(ids["monitoring.md"]) < 5 {
		t.Fatalf("%d pages, %q; want more", len(pages), ids["monitoring.md"])
	}
	files := make(map[string]bool)
	for _, f := range Files() {
		files[f.Name] = true
	}
	for name, html := range pages {
		for _, m := range href.FindAllStringSubmatch(html, -1) {
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path.Join(path.Dir(name), file)
			if file == "" {
				target = name
			}
			switch {
			case strings.Contains(m[1], "://"), m[1] == "data:,":
			case target == "documents.css", target == "../back", files[target]:
			case pages[target] == "" || anchor != "" && !slices.Contains(ids[target], anchor):
				t.Errorf("%s links %s, which is not there", name, m[1])
			}
		}
	}
}
