package httpapi

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// pageFiles has a folder for each page. Its index.html is the page; the files beside it are served below the page's
// name. A large file is kept compressed, as name.gz. The files of other projects are listed in pages/_vendored.
//
//go:embed pages
var pageFiles embed.FS

func init() { _ = mime.AddExtensionType(".woff2", "font/woff2") } // some systems do not know it

// pagePolicy allows a page to load from this service and to call it, and nothing else (CSP level 3).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A file is one file of a page, ready to be sent.
type file struct {
	mediaType string
	policy    string // a Content-Security-Policy
	tag       string // an ETag
	gzip      func() []byte
	plain     func() []byte
}

// mountPage registers a page at route, and its files below /name/.
func (s *Server) mountPage(route, name string) {
	folder := "pages/" + name
	entries, err := pageFiles.ReadDir(folder)
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		f := readFile(folder + "/" + entry.Name())
		if entry.Name() == "index.html" {
			s.app.Get(route, f.serve)
		} else {
			s.mountFile("/"+name+"/"+strings.TrimSuffix(entry.Name(), ".gz"), f)
		}
	}
}

// mountFile registers a file that pages load. The access log has it at the debug level, because the page itself is
// logged already.
func (s *Server) mountFile(route string, f *file) {
	s.app.Get(route, f.serve)
	s.quiet[route] = true
}

// commentLines matches the comments of a script that have lines of their own. Clients get the scripts without these
// lines, which makes the login page a fifth smaller. No text may look like such a line; ESLint reports texts of several
// lines.
var commentLines = regexp.MustCompile(`(?m)^ *(?://.*|/\*(?:[^*]|\*+[^*/])*\*+/)\n`)

// readFile returns a file of pageFiles.
func readFile(name string) *file {
	text, err := fs.ReadFile(pageFiles, name)
	if err != nil {
		panic(err)
	}
	plain, compressed := strings.CutSuffix(name, ".gz")
	mediaType := mime.TypeByExtension(path.Ext(plain))
	if path.Ext(name) == ".js" {
		text = commentLines.ReplaceAll(text, nil)
	}
	if !compressed {
		return newFile(mediaType, text)
	}
	decompress := func() []byte { // only for clients that do not accept gzip, which are few
		plain, err := fasthttp.AppendGunzipBytes(nil, text)
		if err != nil {
			panic(err)
		}
		return plain
	}
	return &file{
		mediaType: mediaType,
		policy:    pagePolicy,
		tag:       tagOf(text),
		gzip:      func() []byte { return text },
		plain:     sync.OnceValue(decompress),
	}
}

// newFile returns a file with the given text. It is compressed when it is first sent so.
func newFile(mediaType string, text []byte) *file {
	compress := func() []byte {
		return fasthttp.AppendGzipBytesLevel(nil, text, fasthttp.CompressBestCompression)
	}
	return &file{
		mediaType: mediaType,
		policy:    pagePolicy,
		tag:       tagOf(text),
		gzip:      sync.OnceValue(compress),
		plain:     func() []byte { return text },
	}
}

// tagOf returns an ETag of the text. It is weak, because the compressed and the plain form share it (RFC 9110 §8.8.1).
func tagOf(text []byte) string {
	sum := sha256.Sum256(text)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// serve answers with the file, or with 304 if the browser has it already. Browsers keep the file and ask each time
// whether it is still the same.
func (f *file) serve(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderETag, f.tag)
	c.Vary(fiber.HeaderAcceptEncoding)
	if strings.Contains(c.Get(fiber.HeaderIfNoneMatch), f.tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.mediaType)
	c.Set(fiber.HeaderContentSecurityPolicy, f.policy)
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	if c.AcceptsEncodings("identity", "gzip") == "gzip" { // the first one if the client names none
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(f.gzip())
	}
	return c.Send(f.plain())
}
