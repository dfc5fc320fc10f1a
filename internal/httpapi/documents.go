package httpapi

import (
	"io/fs"

	"dekamond-otp/docs"
)

// mountDocuments serves the pages of package docs below /docs/. The media type is text/plain, because some browsers
// download text/markdown instead of showing it.
func (s *Server) mountDocuments() {
	err := fs.WalkDir(docs.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := docs.Files.ReadFile(name)
		if err == nil {
			s.mountFile("/docs/"+name, newFile("text/plain; charset=utf-8", text))
		}
		return err
	})
	if err != nil {
		panic(err)
	}
}
