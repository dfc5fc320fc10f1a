package operator

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"dekamond-otp/docs"
)

// page holds the page, whose files are served under their names. page/uplot is uPlot 1.6.32 as its npm package has it,
// under the MIT licence.
//
//go:embed page
var page embed.FS

// vendored are the files of page/uplot that are served, by the path of each.
var vendored = map[string]string{
	"/uplot.css": "uplot/uPlot.min.css",
	"/uplot.js":  "uplot/uPlot.iife.min.js",
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// servePage adds the page's files: index.html as /, the vendored ones, and all others under their own names.
func servePage(mux *http.ServeMux) {
	files := pageFiles()
	for pattern, name := range files {
		content, err := page.ReadFile("page/" + name)
		if err != nil {
			panic(err) // the files are part of the binary
		}
		serveFile(mux, pattern, path.Base(name), string(content))
	}
}

// serveDocuments adds the documents as web pages, because what the page says is explained there. A page is made when it
// is first asked for, so that a start does not wait for all of them.
func serveDocuments(mux *http.ServeMux) {
	serveFile(mux, "/docs/documents.css", "documents.css", string(docs.Style))
	for _, document := range docs.Pages() {
		handler := sync.OnceValue(func() http.HandlerFunc {
			page := document.HTML(docs.Link{Text: "The operator’s page"})
			return handlerOf("document.html", string(page))
		})
		mux.HandleFunc("GET /docs/"+document.Name, func(w http.ResponseWriter, r *http.Request) { handler()(w, r) })
	}
}

// pageFiles returns the names of the files below page, by the pattern of their URL.
func pageFiles() map[string]string {
	files := make(map[string]string)
	err := fs.WalkDir(page, "page", func(name string, entry fs.DirEntry, err error) error {
		switch name = strings.TrimPrefix(name, "page/"); {
		case err != nil:
			return err
		case name == "uplot":
			return fs.SkipDir
		case name == "index.html":
			files["/{$}"] = name
		case !entry.IsDir():
			files["/"+name] = name
		}
		return nil
	})
	if err != nil {
		panic(err) // the files are part of the binary
	}
	maps.Copy(files, vendored)
	return files
}

// serveFile answers with a file, which a browser asks for again each time and receives if it has changed.
func serveFile(mux *http.ServeMux, pattern, name, content string) {
	mux.HandleFunc("GET "+pattern, handlerOf(name, content))
}

// handlerOf returns a handler that answers with the content, whose media type follows from the name.
func handlerOf(name, content string) http.HandlerFunc {
	sum := sha256.Sum256([]byte(content))
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Security-Policy", policy)
		http.ServeContent(w, r, name, time.Time{}, strings.NewReader(content))
	}
}
