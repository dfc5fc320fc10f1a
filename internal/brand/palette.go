package brand

import (
	"fmt"
	"strings"
)

// readable is the least contrast of text with its background (WCAG 2.2, 1.4.3). Lines such as the frame of a field, and
// the ring around what has the focus, need 3 (1.4.11) and have as much as text.
const readable = 4.5

// A mode is what the login page looks like apart from its brand. Its colours are those of login.css.
type mode struct {
	page, card Color
	text       Color   // the darkest or the brightest, towards which a colour is moved until it can be read
	tint, glow float64 // how much of the accent they have
}

var (
	light = mode{page: "#f4f5fb", card: "#ffffff", text: black, tint: 0.08, glow: 0.12}
	dark  = mode{page: "#0f1220", card: "#191d30", text: white, tint: 0.12, glow: 0.12}
)

// A palette is the colours that follow from the colour of a brand in one mode.
type palette struct {
	accent     Color // of text and lines: readable on the page, the card, the tint and the glow
	fill       Color // of the button: the colour of the brand itself
	fillStrong Color // of the button under the pointer
	onFill     Color // of text on the button: black or white
	tint       Color // behind what the pointer is on, and what is marked
	glow       Color // at the top of the page
}

// palette returns the colours that follow from c. The accent is c itself, or as close to it as can be read.
func (m mode) palette(c Color) (p palette) {
	for percent := 0; percent <= 100; percent++ {
		p.accent = c.mix(m.text, float64(percent)/100)
		p.tint = m.card.mix(p.accent, m.tint)
		p.glow = m.page.mix(p.accent, m.glow)
		if p.isReadable(m) {
			break
		}
	}
	p.fill, p.onFill = c, white
	if contrast(c, black) > contrast(c, white) {
		p.onFill = black
	}
	p.fillStrong = c.mix(p.onFill, 0.12)
	if contrast(p.fillStrong, p.onFill) < readable {
		p.fillStrong = c.mix(opposite(p.onFill), 0.12)
	}
	return p
}

// isReadable reports whether text of the accent can be read wherever the page has it.
func (p palette) isReadable(m mode) bool {
	least := contrast(p.accent, m.page)
	for _, background := range []Color{m.card, p.tint, p.glow} {
		least = min(least, contrast(p.accent, background))
	}
	return least >= readable
}

func opposite(c Color) Color {
	if c == black {
		return white
	}
	return black
}

// declarations returns the palette as custom properties of CSS, under the names of login.css.
func (p palette) declarations() string {
	return fmt.Sprintf("--accent: %s; --fill: %s; --fill-strong: %s; --on-fill: %s; --tint: %s; --glow: %s;",
		p.accent, p.fill, p.fillStrong, p.onFill, p.tint, p.glow)
}

// Stylesheet returns the rules that give the pages the colour, in light and in dark. It has none for no colour, with
// which the pages keep their own.
func Stylesheet(c Color) []byte {
	if c == "" {
		return []byte("/* APP_COLOR is not set. */\n")
	}
	return fmt.Appendf(nil, ":root { %s }\n@media (prefers-color-scheme: dark) { :root { %s } }\n",
		light.palette(c).declarations(), dark.palette(c).declarations())
}

// TintIcon returns the built-in icon of the login page in the colour. The icon consists of two colours, own and white.
func TintIcon(icon []byte, own, c Color) []byte {
	if c == "" {
		return icon
	}
	p := light.palette(c)
	return []byte(strings.NewReplacer(string(own), string(p.fill), "#fff", string(p.onFill)).Replace(string(icon)))
}
