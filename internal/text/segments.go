package text

import (
	"strings"
	"unicode/utf16"
)

// The GSM 7-bit alphabet and its extension, whose characters count two (3GPP TS 23.038 §6.2.1). For any other
// character, such as a small ç, messaging services change to UTF-16, not to a national table (Annex A).
const (
	alphabet = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extended = "\f^{}\\[~]|€"
)

// Segments returns the number of short messages that carry the text: one of at most 160 septets or 70 UTF-16 units, or
// several of 153 or 67 each (3GPP TS 23.040 §9.2.3.24.1).
func Segments(text string) int {
	segments, _ := measure(text)
	return segments
}

// measure returns the segments, and the length in septets or UTF-16 units. No segment ends within a character.
func measure(text string) (segments, characters int) {
	single, part, width := 160, 153, septets
	if !IsGSM(text) {
		single, part, width = 70, 67, utf16.RuneLen
	}
	segments = 1
	used := 0
	for _, r := range text {
		n := width(r)
		characters += n
		if used += n; used > part {
			segments, used = segments+1, n
		}
	}
	if characters <= single {
		segments = 1
	}
	return segments, characters
}

// IsGSM reports whether the text consists of characters of the GSM alphabet and its extension.
func IsGSM(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return septets(r) == 0 })
}

// septets returns 0 for a character that is in neither.
func septets(r rune) int {
	switch {
	case strings.ContainsRune(alphabet, r):
		return 1
	case strings.ContainsRune(extended, r):
		return 2
	}
	return 0
}
