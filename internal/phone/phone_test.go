package phone

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	p := NewParser("IR", "+15550001111")
	for _, tc := range []struct{ in, want, region string }{
		{"+989121234567", "+989121234567", "IR"},
		{"00989121234567", "+989121234567", "IR"},
		{"09121234567", "+989121234567", "IR"},
		{"9121234567", "+989121234567", "IR"},
		{"  +98 (912) 123-4567 ", "+989121234567", "IR"},
		{"(+98) 912.123.4567", "+989121234567", "IR"},
		{"+98 (0)912 123 4567", "+989121234567", "IR"},
		{"۰۹۱۲۱۲۳۴۵۶۷", "+989121234567", "IR"},
		{"+۹۸۹۱۲۱۲۳۴۵۶۷", "+989121234567", "IR"},
		{"٠٠٩٨٩١٢١٢٣٤٥٦٧", "+989121234567", "IR"},
		{"+98 912–123—4567", "+989121234567", "IR"},
		{"+1 415 555 2671", "+14155552671", "US"},
		{"+44 7400 123456", "+447400123456", "GB"},
		{"+49 151 23456789", "+4915123456789", "DE"},
		{"+15550001111", "+15550001111", ""},
		{"001 555 000 1111", "+15550001111", ""},
	} {
		got, err := p.Parse(tc.in)
		if err != nil || got.E164() != tc.want || got.Region() != tc.region {
			t.Errorf("Parse(%q) = %q, %q, %v; want %q, %q", tc.in, got.E164(), got.Region(), err, tc.want, tc.region)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	p := NewParser("")
	for _, in := range []string{
		"", " ", "+", "00", "1", "abc", "+98912123456", "+9891212345678", "+98912123456a", "09121234567",
		"tel:+989121234567", "+989121234567;ext=1", "+989121234567 x12", "+989121234567,1", "++989121234567",
		"98+9121234567", "+98912\x001234567", "+98912\n1234567", "+98912\t1234567", "\u200e+989121234567",
		"+98912\u200b1234567", "+९८९१२१२३४५६७", "+９８９１２１２３４５６７", "+1 800 FLOWERS", "+15550001111",
		"+999123456789", "+\xff989121234567", strings.Repeat("1", 65), "+98" + strings.Repeat("9", 20),
	} {
		if got, err := p.Parse(in); !errors.Is(err, ErrInvalid) || got != (Number{}) {
			t.Errorf("Parse(%q) = %q, %v; want ErrInvalid", in, got.E164(), err)
		}
	}
	for in, what := range map[string]string{
		"+982188776655": "fixed line",
		"+18002345678":  "toll-free",
		"+19002345678":  "premium",
		"+442079460958": "fixed line",
		"+80012345678":  "universal toll-free",
	} {
		if _, err := p.Parse(in); !errors.Is(err, ErrNoText) {
			t.Errorf("Parse(%q), a %s number: %v; want ErrNoText", in, what, err)
		}
	}
}

func TestPrefix(t *testing.T) {
	p := NewParser("IR")
	for in, want := range map[string]string{
		"+98912":        "+98912",
		"98912":         "+98912",
		" 98912":        "+98912",
		"0098912":       "+98912",
		"0912":          "+98912",
		"۰۹۱۲":          "+98912",
		"+9":            "+9",
		"+989121234567": "+989121234567",
	} {
		if got, err := p.Prefix(in); got != want || err != nil {
			t.Errorf("Prefix(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "+", "%", "98_", "a", "+1234567890123456", "\x00"} {
		if got, err := p.Prefix(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("Prefix(%q) = %q, %v; want ErrInvalid", in, got, err)
		}
	}
}

func TestNumberMasksItself(t *testing.T) {
	n, err := NewParser("").Parse("+989121234567")
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{n.String(), fmt.Sprintf("%v %s %+v", n, n, n), n.LogValue().String()} {
		if strings.Contains(got, "12345") || !strings.Contains(got, "+98912•••67") {
			t.Errorf("printed as %q; want its middle masked", got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"+989121234567", "0912 123 4567", "۰۹۱۲۱۲۳۴۵۶۷", "٠٠٩٨٩١٢", "+1 (415) 555-2671",
		"", "+", "\x00", "tel:1", "\xff",
	} {
		f.Add(s)
	}
	p := NewParser("IR")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := p.Parse(s)
		if err != nil {
			if n != (Number{}) || !errors.Is(err, ErrInvalid) {
				t.Fatalf("Parse(%q) = %q with %v", s, n.E164(), err)
			}
			return
		}
		e := n.E164()
		if digits, ok := Digits(strings.TrimPrefix(e, "+")); !ok || e != "+"+digits || len(e) > 16 || len(e) < 8 {
			t.Fatalf("Parse(%q) = %q, no E.164 number", s, e)
		}
		if again, err := p.Parse(e); err != nil || again != n {
			t.Fatalf("Parse(%q) = %q, but Parse(%q) = %q, %v", s, e, e, again.E164(), err)
		}
	})
}
