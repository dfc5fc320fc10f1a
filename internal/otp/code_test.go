package otp

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// TestCodesAreUniform counts the digits at each place of many codes. If all digits are equally likely, the chi-squared
// statistic of 9 degrees of freedom is below 38 in all but 2 of 100,000 samples. The identifiers are fixed, and with
// them the outcome of the test.
func TestCodesAreUniform(t *testing.T) {
	k := deriveKeys([]byte(strings.Repeat("s", 32)))
	p := phone.Stored("+989121234567")
	const samples = 100_000
	for _, length := range []int{6, 7, 10} {
		counts := make([][10]int, length)
		pairs := make([]int, 100) // of the first two digits, which may depend on each other
		for i := range samples {
			var id uuid.UUID
			id[0], id[1], id[2] = byte(i), byte(i>>8), byte(i>>16)
			code := k.code(id, p, length)
			if len(code) != length {
				t.Fatalf("code %s; want %d digits", code, length)
			}
			for place, digit := range []byte(code) {
				counts[place][digit-'0']++
			}
			pairs[(code[0]-'0')*10+code[1]-'0']++
		}
		for place := range counts {
			if x := chiSquared(counts[place][:], samples); x > 38 {
				t.Errorf("length %d, place %d: chi-squared %.1f of %v; want below 38", length, place, x, counts[place])
			}
		}
		if x := chiSquared(pairs, samples); x > 166 { // 99 degrees of freedom, 2 of 100,000
			t.Errorf("length %d, first two digits: chi-squared %.1f; want below 166", length, x)
		}
	}
}

func chiSquared(counts []int, samples int) (x float64) {
	expected := float64(samples) / float64(len(counts))
	for _, n := range counts {
		x += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return x
}

func TestCodeDependsOnEveryInput(t *testing.T) {
	k, other := deriveKeys([]byte(strings.Repeat("s", 32))), deriveKeys([]byte(strings.Repeat("t", 32)))
	p, q := phone.Stored("+989121234567"), phone.Stored("+989121234568")
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	code := k.code(id, p, 10)
	if again := k.code(id, p, 10); again != code {
		t.Errorf("the same challenge has the codes %s and %s", code, again)
	}
	for what, got := range map[string]string{
		"challenge": k.code(uuid.Nil, p, 10),
		"phone":     k.code(id, q, 10),
		"secret":    other.code(id, p, 10),
	} {
		if got == code {
			t.Errorf("another %s has the same code", what)
		}
	}
	if k.phone(p) == k.phone(q) || k.phone(p) == other.phone(p) {
		t.Error("two phones or two secrets have the same pseudonym")
	}
	if k.digest(p, "1") == k.digest(q, "1") || k.digest(p, "1") == k.digest(p, "2") {
		t.Error("two phones or two codes have the same digest")
	}
}

func BenchmarkCode(b *testing.B) {
	k := deriveKeys([]byte(strings.Repeat("s", 32)))
	p := phone.Stored("+989121234567")
	for b.Loop() {
		k.code(uuid.Nil, p, 6)
	}
}
