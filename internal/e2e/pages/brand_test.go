package pages

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

// ratio defines the function ratio, which returns the contrast of two computed colours (WCAG 2.2).
const ratio = `window.ratio = (...colours) => {
	const [x, y] = colours.map(colour => {
		const [r, g, b] = colour.match(/\d+/g).slice(0, 3).map(n => n / 255)
			.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		return 0.2126 * r + 0.7152 * g + 0.0722 * b
	}).sort((a, b) => b - a)
	return (x + 0.05) / (y + 0.05)
}, ""`

// style is an expression of the computed style of an element.
const style = `getComputedStyle(document.querySelector(%s)).%s`

// wantContrast checks the contrast of two computed styles of elements, each written as "selector property".
func (b *tab) wantContrast(state, of, with string, least float64) {
	b.t.Helper()
	computed := func(what string) string {
		selector, property, _ := strings.Cut(what, " ")
		return fmt.Sprintf(style, quote(selector), property)
	}
	b.text(ratio)
	got, err := browser.Eval[float64](b.Tab, fmt.Sprintf("ratio(%s, %s)", computed(of), computed(with)))
	if err != nil || got < least {
		b.t.Errorf("%s: the contrast of %s with %s is %.2f; want %v; %v", state, of, with, got, least, err)
	}
}

// TestPageColour looks at the computed colours of the page in both modes, for colours that no page can show as they
// are.
func TestPageColour(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ colour, rgb, text string }{
		"yellow": {"#FFDD00", "rgb(255, 221, 0)", "rgb(0, 0, 0)"},
		"black":  {"#000000", "rgb(0, 0, 0)", "rgb(255, 255, 255)"},
		"white":  {"#ffffff", "rgb(255, 255, 255)", "rgb(0, 0, 0)"},
		"grey":   {"#767676", "rgb(118, 118, 118)", "rgb(0, 0, 0)"},
		"blue":   {"#0000ff", "rgb(0, 0, 255)", "rgb(255, 255, 255)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := servicetest.Start(t, nil, append(servicetest.Unlimited, "APP_COLOR="+tc.colour)...)
			b := openLogin(t, s, view{})
			look := func(state string, check func(state string)) {
				for mode, dark := range map[string]bool{"light": false, "dark": true} {
					b.do(browser.Scheme(dark))
					check(state + " in " + mode)
				}
				b.accessible(state)
			}
			look("the phone step", func(state string) {
				b.is(fmt.Sprintf(style, `"#send"`, "backgroundColor") + ` === ` + quote(tc.rgb))
				b.is(fmt.Sprintf(style, `"#send"`, "color") + ` === ` + quote(tc.text))
				b.wantContrast(state, "#send color", "#send backgroundColor", 4.5)
				b.wantContrast(state, "#send borderTopColor", "main backgroundColor", 3)
				b.wantContrast(state, ".field borderTopColor", "main backgroundColor", 3) // it has the focus
			})
			b.ask(phone)
			look("the code step", func(state string) {
				b.wantContrast(state, "#change color", "main backgroundColor", 4.5)
				b.wantContrast(state, "#boxes>span.here borderTopColor", "main backgroundColor", 3)
				b.text(`document.querySelector("#change").focus({focusVisible: true}), ""`)
				b.is(fmt.Sprintf(style, `"#change"`, "outlineStyle") + ` === "solid"`)
				b.wantContrast(state, "#change outlineColor", "main backgroundColor", 3)
				b.wantContrast(state, "#language outlineColor", "body backgroundColor", 3)
				b.text(`document.querySelector("#code").focus(), ""`)
			})
		})
	}
}

// script is a logo with a script, which marks the document in which it runs.
const script = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30" onload="document.documentElement.id='ran'">
	<style>path { fill: #0a7d4f }</style>
	<path d="M0 0h90v30H0z"/>
	<script>document.documentElement.id = "ran"</script>
</svg>`

// writeLogo returns the path of a new file.
func writeLogo(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPageLogo checks that the logo stands over the heading, has the name for those who do not see it, and can be seen
// on dark; and that a script in it runs neither there nor where it is opened by itself.
func TestPageLogo(t *testing.T) {
	t.Parallel()
	var drawing bytes.Buffer
	if err := png.Encode(&drawing, image.NewNRGBA(image.Rect(0, 0, 600, 60))); err != nil { // it is transparent
		t.Fatal(err)
	}
	const adaptive = `<style>@media (prefers-color-scheme: dark) { path { fill: #fff } }</style>`
	for name, tc := range map[string]struct{ file, text, plate string }{
		"an SVG":          {"logo.svg", script, "rgb(255, 255, 255)"},
		"an adaptive SVG": {"logo", strings.Replace(script, "<style>", adaptive+"<style>", 1), "rgba(0, 0, 0, 0)"},
		"a PNG":           {"logo.png", drawing.String(), "rgb(255, 255, 255)"},
	} {
		t.Run(name, func(t *testing.T) {
			logo := writeLogo(t, tc.file, tc.text)
			s := servicetest.Start(t, nil, "APP_NAME=Orders", "APP_LOGO="+logo)
			b := openLogin(t, s, smallest)
			b.is(`(e => e.complete && e.naturalWidth > 0 && e.alt === "Orders")(document.querySelector("#logo"))`)
			b.is(`!document.querySelector("#app").checkVisibility()`) // the logo says the name
			b.is(`(([logo, title]) =>
				0 < logo.height && logo.height <= 40 && logo.width <= 224 && logo.bottom < title.top)(
				["#logo", "#title"].map(e => document.querySelector(e).getBoundingClientRect()))`)
			b.is(`document.querySelector("link[rel=icon]").href === document.querySelector("#logo").src`)
			b.fits(name)
			b.accessible(name)
			b.do(browser.Scheme(true))
			b.is(fmt.Sprintf(style, `"#logo"`, "backgroundColor") + ` === ` + quote(tc.plate))
			b.Forgive("Content Security Policy", "sandboxed")
			b.Visit(s.URL + "/login/icon")
			b.is(`document.documentElement.id !== "ran"`)
		})
	}
}

// TestLogoFaults checks that a logo that nobody could see keeps the service from starting, by the setting's name.
func TestLogoFaults(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"a file that is missing": "missing.svg",
		"a folder":               t.TempDir(),
		"a page":                 writeLogo(t, "logo.svg", "<html></html>"),
		"a damaged SVG":          writeLogo(t, "logo.svg", script[:90]),
		"a large file":           writeLogo(t, "logo.svg", script+strings.Repeat(" ", 256<<10)),
	} {
		status, _, log := servicetest.Run(t, t.TempDir(), []string{"APP_LOGO=" + path}, "serve")
		if status != 2 || !strings.Contains(log, "APP_LOGO") || !strings.Contains(log, filepath.Base(path)) {
			t.Errorf("%s: status %d, %s; want 2 and APP_LOGO with the path", name, status, log)
		}
	}
}
