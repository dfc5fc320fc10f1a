package brand

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"regexp"
)

// The limits of a logo. Everyone who opens the page loads it.
const (
	maxLogo = 256 << 10 // bytes
	minSide = 16        // pixels of a PNG
	maxSide = 2048      // pixels of a PNG
)

// A Logo is an image that stands over the heading of the login page, and is its icon. The zero Logo is none.
type Logo struct {
	MediaType string // image/svg+xml or image/png.
	Text      []byte // Of the file.

	// FitsDark reports whether the logo can be seen on the dark page: it has a background, or it is an SVG that asks
	// for the colour scheme by itself. Any other one needs a light background.
	FitsDark bool
}

// ReadLogo reads a logo from a file, or returns the zero Logo for no path. Its errors are fit for the operator.
func ReadLogo(path string) (Logo, error) {
	if path == "" {
		return Logo{}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return Logo{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxLogo+1))
	switch {
	case err != nil:
		return Logo{}, err
	case len(text) > maxLogo:
		return Logo{}, fmt.Errorf("%s: a logo has at most %d KiB", path, maxLogo>>10)
	}
	logo, err := parseLogo(text)
	if err != nil {
		return Logo{}, fmt.Errorf("%s: %w", path, err)
	}
	return logo, nil
}

// parseLogo tells the format from the text, not from the name of the file.
func parseLogo(text []byte) (Logo, error) {
	if bytes.HasPrefix(text, []byte("\x89PNG\r\n\x1a\n")) {
		opaque, err := readPNG(text)
		return Logo{"image/png", text, opaque}, err
	}
	if err := checkSVG(text); err != nil {
		return Logo{}, err
	}
	return Logo{"image/svg+xml", text, bytes.Contains(text, []byte("prefers-color-scheme"))}, nil
}

// readPNG decodes the whole image, and reports whether it covers what is behind it.
func readPNG(text []byte) (opaque bool, err error) {
	c, err := png.DecodeConfig(bytes.NewReader(text))
	if err != nil {
		return false, fmt.Errorf("the PNG is damaged: %w", err)
	}
	if min(c.Width, c.Height) < minSide || max(c.Width, c.Height) > maxSide {
		const bad = "a PNG of %d × %d pixels; each side must have %d to %d"
		return false, fmt.Errorf(bad, c.Width, c.Height, minSide, maxSide)
	}
	picture, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		return false, fmt.Errorf("the PNG is damaged: %w", err)
	}
	o, ok := picture.(interface{ Opaque() bool })
	return ok && o.Opaque(), nil
}

var errNoLogo = errors.New("a logo is an SVG or a PNG")

// entity matches the declaration of an entity, with which Adobe Illustrator begins its files.
var entity = regexp.MustCompile(`<!ENTITY\s+(\S+)\s+(?:"([^"]*)"|'([^']*)')\s*>`)

// checkSVG returns an error unless the text is well-formed XML whose root is an svg element of SVG's namespace, without
// which browsers show nothing.
func checkSVG(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Entity = make(map[string]string)
	for depth, found := 0, false; ; {
		token, err := d.Token()
		switch t := token.(type) {
		case xml.Directive:
			for _, m := range entity.FindAllSubmatch(t, -1) {
				d.Entity[string(m[1])] = string(m[2]) + string(m[3])
			}
		case xml.StartElement:
			root := xml.Name{Space: "http://www.w3.org/2000/svg", Local: "svg"}
			if depth++; depth == 1 && t.Name != root {
				return errNoLogo
			}
			found = true
		case xml.EndElement:
			depth--
		}
		switch {
		case errors.Is(err, io.EOF) && found:
			return nil
		case err != nil && found:
			return fmt.Errorf("the SVG is damaged: %w", err)
		case err != nil:
			return errNoLogo
		}
	}
}
