// Package docs holds the documents, so that a running service can show those of its own version without the internet:
// as Markdown for programs and as web pages for people. Which server shows them, and where, is left to the callers.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

//go:embed *.md clients/*.md deploy
var files embed.FS

// Style is the style sheet of the web pages, which expect it as documents.css beside the documents. Its colours are
// those of the login page.
//
//go:embed documents.css
var Style []byte

// A Page is one document. Its links to other documents are relative, so that it can be served at any path.
type Page struct {
	Name     string // of the file below docs, such as clients/swift.md
	Title    string
	Markdown []byte
}

// A Link leads from every document back to where the reader came from. Path is relative to the folder above the
// documents.
type Link struct{ Path, Text string }

// A File is a file that documents offer to copy, such as deploy/nginx.conf.
type File struct {
	Name string // of the file below docs
	Text []byte
}

// read returns the embedded files for whose name is returns true.
func read(is func(name string) bool) (found []File) {
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !is(name) {
			return err
		}
		text, err := files.ReadFile(name)
		found = append(found, File{name, text})
		return err
	})
	if err != nil {
		panic(err) // the files are part of the binary
	}
	return found
}

func isPage(name string) bool { return path.Ext(name) == ".md" }

// Files returns the files that the documents offer to copy.
func Files() []File { return read(func(name string) bool { return !isPage(name) }) }

// Pages returns all documents, by title; the documents in folders come last.
var Pages = sync.OnceValue(func() []Page {
	var pages []Page
	for _, f := range read(isPage) {
		title, _, _ := strings.Cut(strings.TrimPrefix(string(f.Text), "# "), "\n")
		pages = append(pages, Page{f.Name, title, f.Text})
	}
	slices.SortStableFunc(pages, func(a, b Page) int {
		if depth := strings.Count(a.Name, "/") - strings.Count(b.Name, "/"); depth != 0 {
			return depth
		}
		return strings.Compare(a.Title, b.Title)
	})
	return pages
})

// frame is what surrounds a document: its title, the way up to the folder of the documents, the link back (address and
// text), the list of the documents, and the document itself.
const frame = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s · Dekamond OTP</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="%sdocuments.css">
</head>
<body>
<header class="top">
  <p><b>Dekamond OTP</b></p>
  <nav aria-label="Pages"><a href="%s">%s</a></nav>
</header>
<div class="shelf">
<nav aria-label="Documents"><ul>
%s</ul></nav>
<main>
%s</main>
</div>
</body>
</html>
`

// HTML returns the document as a web page, which lists all documents.
func (p Page) HTML(back Link) []byte {
	converter := goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(
			parser.WithAutoHeadingID(),
			parser.WithASTTransformers(util.Prioritized(localLinks{path.Dir(p.Name)}, 1000)),
		),
	)
	var list, body bytes.Buffer
	if err := converter.Convert(p.Markdown, &body); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	up := strings.Repeat("../", strings.Count(p.Name, "/"))
	for _, page := range Pages() {
		current := ""
		if page.Name == p.Name {
			current = ` aria-current="page"`
		}
		text := html.EscapeString(page.Title)
		fmt.Fprintf(&list, "<li><a href=\"%s%s\"%s>%s</a></li>\n", up, page.Name, current, text)
	}
	address, title := up+"../"+back.Path, html.EscapeString(p.Title)
	return fmt.Appendf(nil, frame, title, up, address, back.Text, list.String(), body.String())
}

// localLinks takes the links out of a document that lead to files of the repository outside of the documents, and the
// pictures, because no server has them. The text of a link stays.
type localLinks struct{ folder string }

// Transform implements parser.ASTTransformer.
func (l localLinks) Transform(document *ast.Document, _ text.Reader, _ parser.Context) {
	var links, pictures []ast.Node
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			if !l.isServed(string(n.Destination)) {
				links = append(links, n)
			}
		case *ast.HTMLBlock, *ast.RawHTML:
			pictures = append(pictures, n)
		}
		return ast.WalkContinue, nil
	})
	for _, n := range links {
		for child := n.FirstChild(); child != nil; child = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, child)
		}
		n.Parent().RemoveChild(n.Parent(), n)
	}
	for _, n := range pictures {
		n.Parent().RemoveChild(n.Parent(), n)
	}
}

// isServed reports whether a link leads to another site or to a document.
func (l localLinks) isServed(destination string) bool {
	if strings.Contains(destination, "://") || strings.HasPrefix(destination, "#") {
		return true
	}
	file, _, _ := strings.Cut(destination, "#")
	_, err := fs.Stat(files, path.Join(l.folder, file))
	return err == nil
}
