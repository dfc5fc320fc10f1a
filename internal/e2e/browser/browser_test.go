package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) {
	defer Close()
	m.Run()
}

// TestTabFindsFaults checks that a tab finds every kind of fault, in every browser.
func TestTabFindsFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]string{
		"console.error:":              `<script>console.error("x")</script>`,
		"console.warn":                `<script>console.warn("x")</script>`,
		"console.assert":              `<script>console.assert(false)</script>`,
		"not caught: Error: thrown":   `<script>setTimeout(() => { throw new Error("thrown") })</script>`,
		"not caught: Error: rejected": `<script>Promise.reject(new Error("rejected"))</script>`,
		"http://example.com/x":        `<img alt="" src="http://example.com/x">`,
		"ws://127.0.0.1:1":            `<script>new WebSocket("ws://127.0.0.1:1")</script>`,
		"answers 404":                 `<script src="/nothing.js"></script>`,
		"style-src":                   `<p style="color: red">x</p>`,
		"a dialog: hello":             `<script>setTimeout(() => alert("hello"))</script>`,
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := faults[r.URL.Query().Get("fault")]
		if !ok {
			w.WriteHeader(404)
		}
		w.Header().Set("Content-Security-Policy", "default-src * data: 'unsafe-inline'; style-src 'self'")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>x</title><link rel="icon" href="data:,">%s`, page)
	}))
	defer pages.Close()
	for _, name := range All {
		t.Run(string(name), func(t *testing.T) {
			b := Open(t, "about:blank", View{Browser: name})
			for fault := range faults {
				b.Visit(pages.URL + "/?fault=" + url.QueryEscape(fault))
				servicetest.Eventually(t, "the tab finds "+fault, func() bool {
					return strings.Contains(strings.Join(b.Faults(), "\n"), fault)
				})
				b.journal.clear()
			}
			b.Forgive("") // what the last page does late
			b.Visit("about:blank")
			b.journal.clear()
		})
	}
}
