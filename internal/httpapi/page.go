package httpapi

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"mime"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// pageFiles has a folder for each page. Its index.html is the page, and the files beside it are below the page's name.
// A large file is kept compressed, as name.gz. What is not ours is named in pages/_vendored.
//
//go:embed pages
var pageFiles embed.FS

func init() { _ = mime.AddExtensionType(".woff2", "font/woff2") } // not every system tells

// pagePolicy lets a page load nothing and ask nobody but this service (CSP level 3).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A file of a page.
type file struct {
	mediaType, tag string
	gzip           []byte
	plain          func() []byte
}

// mountPage serves a page at route, and its files below /name/.
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

// mountFile serves what a page loads, which says less in the access log than the page itself.
func (s *Server) mountFile(route string, f *file) {
	s.app.Get(route, f.serve)
	s.quiet[route] = true
}

func readFile(name string) *file {
	text, err := fs.ReadFile(pageFiles, name)
	if err != nil {
		panic(err)
	}
	plain, compressed := strings.CutSuffix(name, ".gz")
	mediaType := mime.TypeByExtension(path.Ext(plain))
	if !compressed {
		return newFile(mediaType, text)
	}
	return &file{mediaType: mediaType, tag: tagOf(text), gzip: text, plain: sync.OnceValue(func() []byte { // for those few who do not take gzip
		plain, err := fasthttp.AppendGunzipBytes(nil, text)
		if err != nil {
			panic(err)
		}
		return plain
	})}
}

func newFile(mediaType string, text []byte) *file {
	return &file{
		mediaType: mediaType, tag: tagOf(text), gzip: fasthttp.AppendGzipBytesLevel(nil, text, fasthttp.CompressBestCompression),
		plain: func() []byte { return text },
	}
}

// tagOf is weak, because it is the same for the file compressed and not (RFC 9110 §8.8.1).
func tagOf(text []byte) string {
	sum := sha256.Sum256(text)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// serve answers with the file, which a browser keeps and asks after each time.
func (f *file) serve(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderETag, f.tag)
	c.Vary(fiber.HeaderAcceptEncoding)
	if strings.Contains(c.Get(fiber.HeaderIfNoneMatch), f.tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.mediaType)
	c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	if c.AcceptsEncodings("identity", "gzip") == "gzip" { // the first where the client does not say
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(f.gzip)
	}
	return c.Send(f.plain())
}
