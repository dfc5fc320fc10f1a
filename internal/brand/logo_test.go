package brand

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drawing returns a PNG in one colour.
func drawing(t *testing.T, width, height int, c color.Color) string {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		picture.Set(i%width, i/width, c)
	}
	var text bytes.Buffer
	if err := png.Encode(&text, picture); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">`

// written returns the path of a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logo")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadLogo(t *testing.T) {
	for name, tc := range map[string]struct {
		text, mediaType string
		fitsDark        bool
	}{
		"an opaque PNG":     {drawing(t, 64, 32, color.NRGBA{255, 0, 0, 255}), "image/png", true},
		"a transparent PNG": {drawing(t, 64, 32, color.NRGBA{255, 0, 0, 99}), "image/png", false},
		"an SVG":            {svg + `</svg>`, "image/svg+xml", false},
		"an SVG with a head": {
			"\ufeff<?xml version=\"1.0\"?>\n<!-- x -->\n" + svg + "<g/></svg>\n",
			"image/svg+xml",
			false,
		},
		"an SVG of dark": {
			svg + `<style>@media (prefers-color-scheme: dark) {}</style></svg>`,
			"image/svg+xml",
			true,
		},
		"an SVG with entities": {
			`<!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg"> <!ENTITY b 'c'>]><svg xmlns="&ns;">&b;</svg>`,
			"image/svg+xml",
			false,
		},
		"an SVG with a prefix": {`<s:svg xmlns:s="http://www.w3.org/2000/svg"/>`, "image/svg+xml", false},
	} {
		logo, err := ReadLogo(written(t, tc.text))
		isRead := logo.MediaType == tc.mediaType && string(logo.Text) == tc.text && logo.FitsDark == tc.fitsDark
		if err != nil || !isRead {
			t.Errorf("%s: %s, fits dark: %v, %v; want the whole %s, %v",
				name, logo.MediaType, logo.FitsDark, err, tc.mediaType, tc.fitsDark)
		}
	}
}

func TestReadLogoFaults(t *testing.T) {
	red := color.NRGBA{255, 0, 0, 255}
	whole := drawing(t, 64, 32, red)
	page := `<html xmlns="http://www.w3.org/1999/xhtml">` + svg + `</svg></html>`
	for name, tc := range map[string]struct{ text, fault string }{
		"an SVG without a namespace":   {`<svg></svg>`, "is an SVG or a PNG"},
		"a page with an SVG":           {page, "is an SVG or a PNG"},
		"a text":                       {"hello", "is an SVG or a PNG"},
		"nothing":                      {"", "is an SVG or a PNG"},
		"a JPEG":                       {"\xff\xd8\xff\xe0\x00\x10JFIF", "is an SVG or a PNG"},
		"an SVG that ends early":       {svg + `<g>`, "the SVG is damaged"},
		"a PNG that ends early":        {whole[:len(whole)-20], "the PNG is damaged"},
		"a PNG without its header":     {whole[:12], "the PNG is damaged"},
		"a tiny PNG":                   {drawing(t, 64, 15, red), "64 × 15 pixels"},
		"a huge PNG":                   {drawing(t, 2049, 16, red), "2049 × 16 pixels"},
		"an SVG of 256 KiB and a byte": {svg + strings.Repeat(" ", 256<<10-len(svg)-5) + `</svg>`, "at most 256 KiB"},
	} {
		path := written(t, tc.text)
		_, err := ReadLogo(path)
		if err == nil || !strings.Contains(err.Error(), tc.fault) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error that has %q and the path", name, err, tc.fault)
		}
	}
}

func TestReadLogoWithoutFile(t *testing.T) {
	if logo, err := ReadLogo(""); err != nil || logo.MediaType != "" {
		t.Errorf("without a path: %s, %v; want no logo", logo.MediaType, err)
	}
	folder := t.TempDir()
	for _, path := range []string{folder, filepath.Join(folder, "missing.svg")} {
		if _, err := ReadLogo(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error that names it", path, err)
		}
	}
}
