package httpapi

import (
	"sync"

	"github.com/gofiber/fiber/v2"

	"dekamond-otp/docs"
)

// mountDocuments serves the documents below /docs/: as a web page to a client that prefers HTML, which browsers do, and
// as Markdown to all others. The media type of the latter is text/plain, because browsers download text/markdown. So is
// that of the files that the documents offer to copy.
func (s *Server) mountDocuments() {
	s.mountFile("/docs/documents.css", newFile("text/css; charset=utf-8", docs.Style))
	for _, f := range docs.Files() {
		s.mountFile("/docs/"+f.Name, newFile(fiber.MIMETextPlainCharsetUTF8, f.Text))
	}
	back := docs.Link{Path: "docs", Text: "The calls"}
	for _, page := range docs.Pages() {
		markdown := newFile(fiber.MIMETextPlainCharsetUTF8, page.Markdown)
		html := sync.OnceValue(func() *file { return newFile(fiber.MIMETextHTMLCharsetUTF8, page.HTML(back)) })
		route := "/docs/" + page.Name
		s.app.Get(route, func(c *fiber.Ctx) error {
			c.Vary(fiber.HeaderAccept)
			if c.Accepts(fiber.MIMETextPlain, fiber.MIMETextHTML) == fiber.MIMETextHTML {
				return html().serve(c)
			}
			return markdown.serve(c)
		})
		s.quiet[route] = true
	}
}
