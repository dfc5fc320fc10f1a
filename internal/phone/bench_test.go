package phone

import "testing"

func BenchmarkParse(b *testing.B) {
	p := NewParser("")
	for b.Loop() {
		if _, err := p.Parse("+989121234567"); err != nil {
			b.Fatal(err)
		}
	}
}
