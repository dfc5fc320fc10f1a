// Package brand owns the look that an operator gives to the login page: a colour, with the colours that follow from it,
// and a logo. It checks both, so that any colour can be read and any logo can be shown, and leaves their way to the
// browser to package httpapi.
package brand

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A Color is a colour of sRGB in the form #rrggbb, in lower case. The zero Color is none.
type Color string

// The two colours between which all others lie.
const (
	black Color = "#000000"
	white Color = "#ffffff"
)

var colorShape = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// ParseColor reads #rrggbb, in upper or lower case, and reports whether s is that.
func ParseColor(s string) (c Color, ok bool) {
	s = strings.ToLower(s)
	return Color(s), colorShape.MatchString(s)
}

// channels returns red, green and blue, each from 0 to 255.
func (c Color) channels() (rgb [3]float64) {
	for i := range rgb {
		n, _ := strconv.ParseUint(string(c[1+2*i:3+2*i]), 16, 8) // no Color fails
		rgb[i] = float64(n)
	}
	return rgb
}

// luminance returns how bright the colour is, from 0 for black to 1 for white (WCAG 2.2, relative luminance).
func (c Color) luminance() float64 {
	rgb := c.channels()
	for i, channel := range rgb {
		if v := channel / 255; v <= 0.04045 {
			rgb[i] = v / 12.92
		} else {
			rgb[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*rgb[0] + 0.7152*rgb[1] + 0.0722*rgb[2]
}

// contrast returns how well one colour can be told from another, from 1 to 21 (WCAG 2.2, contrast ratio).
func contrast(a, b Color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// mix returns a colour between c and other. The share of other is from 0 to 1.
func (c Color) mix(other Color, share float64) Color {
	own, others := c.channels(), other.channels()
	var mixed [3]int
	for i := range mixed {
		mixed[i] = int(math.Round(own[i]*(1-share) + others[i]*share))
	}
	return Color(fmt.Sprintf("#%02x%02x%02x", mixed[0], mixed[1], mixed[2]))
}
