package text

import (
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	tests := []struct {
		text                 string
		segments, characters int
	}{
		{"", 1, 0},
		{strings.Repeat("a", 160), 1, 160},
		{strings.Repeat("a", 161), 2, 161},
		{strings.Repeat("a", 306), 2, 306},
		{strings.Repeat("a", 307), 3, 307},
		{strings.Repeat("€", 80), 1, 160},
		{strings.Repeat("€", 81), 2, 162},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("a", 151), 2, 305},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, 306}, // € is not split
		{"@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà", 1, 44},
		{"^{}\\[~]|€\f", 1, 20},
		{strings.Repeat("ش", 70), 1, 70},
		{strings.Repeat("ش", 71), 2, 71},
		{strings.Repeat("ش", 134), 2, 134},
		{strings.Repeat("ش", 135), 3, 135},
		{strings.Repeat("a", 69) + "ş", 1, 70},
		{strings.Repeat("a", 70) + "ş", 2, 71},
		{strings.Repeat("a", 70) + "ç", 2, 71}, // the alphabet has only the capital Ç
		{strings.Repeat("a", 70) + "`", 2, 71}, // ASCII, but not in the alphabet
		{strings.Repeat("😀", 35), 1, 70},
		{strings.Repeat("😀", 36), 2, 72},
		{strings.Repeat("😀", 66), 2, 132},
		{strings.Repeat("😀", 67), 3, 134}, // 33 a segment: no pair is split
		{strings.Repeat("ش", 69) + "€", 1, 70},
	}
	for _, tt := range tests {
		segments, characters := measure(tt.text)
		if segments != tt.segments || characters != tt.characters || Segments(tt.text) != segments {
			t.Errorf("%.40q, %d bytes: got %d segments, %d characters, want %d, %d",
				tt.text, len(tt.text), segments, characters, tt.segments, tt.characters)
		}
	}
}
