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
		{"+0912 123 4567", "+989121234567", "IR"},
		{"+0098 912 123 4567", "+989121234567", "IR"},
		{"+98 (0)912 123 4567", "+989121234567", "IR"},
		{"+9809121234567", "+989121234567", "IR"},
		{"\u202a+989121239999\u202c", "+989121239999", "IR"},
		{"+989121234567\n", "+989121234567", "IR"},
		{"\ufeff+98\u200b912\u2060123\u00ad45\u034f67\r\n", "+989121234567", "IR"},
		{"+98\u3164912\u115f123\uffa04567\u2800", "+989121234567", "IR"},
		{"+98\t912\v123\f45\u008567\u2028\u2029", "+989121234567", "IR"},
		{"9\ufe0e1\ufe0f2\U000e0100 123\U000e0031 4567\U000e007f", "+989121234567", "IR"},
		{"＋９８（９１２）１２３－４５６７", "+989121234567", "IR"},
		{"﹢98〔912〕123﹣4567", "+989121234567", "IR"},
		{"+98「912」123ー4567", "+989121234567", "IR"},
		{"+98·912·123·4567", "+989121234567", "IR"},
		{"+98〜912⸺123⁃4567", "+989121234567", "IR"},
		{"++98+912+1234567+", "+989121234567", "IR"},
		{"˖98912・123･45ｰ67", "+989121234567", "IR"},
		{"➕98 912➖123➖4567", "+989121234567", "IR"},
		{"⸢+98⸣⸂912⸃1234567", "+989121234567", "IR"},
		{"+९८९१२१२३४५६७", "+989121234567", "IR"},
		{"+𝟵𝟴𝟵𝟭𝟮𝟭𝟮𝟯𝟰𝟱𝟲𝟳", "+989121234567", "IR"},
		{strings.Repeat("\u200b", 500) + "+989121234567", "+989121234567", "IR"},
		{"+15550001111", "+15550001111", ""},
		{"001 555 000 1111", "+15550001111", ""},
	} {
		got, err := p.Parse(tc.in)
		if err != nil || got.E164() != tc.want || got.Region() != tc.region {
			t.Errorf("Parse(%q) = %q, %q, %v; want %q, %q", tc.in, got.E164(), got.Region(), err, tc.want, tc.region)
		}
	}
}

// TestTestNumbers checks that a test number is read as people write it, although it is not valid. A page sends it
// without its calling code, beside its region.
func TestTestNumbers(t *testing.T) {
	const test = "+15550001111"
	for in, region := range map[string]string{
		test:                 "DE",
		"001 555 000 1111":   "IR",
		"(555) 000-1111":     "US",
		"1 555 000 1111":     "US",
		"+1 (1)555 000 1111": "DE",
	} {
		p, ok := NewParser("IR", test).In(region)
		if got, err := p.Parse(in); !ok || err != nil || got.E164() != test {
			t.Errorf("Parse(%q) in %q = %q, %v; want %s", in, region, got.E164(), err, test)
		}
	}
	for _, in := range []string{"5550001111", "+15550001112", "0015550001"} {
		if got, err := NewParser("IR", test).Parse(in); err == nil {
			t.Errorf("Parse(%q) = %q; want it refused", in, got.E164())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	p := NewParser("")
	for _, in := range []string{
		"", " ", "+", "00", "1", "abc", "+98912123456", "+9891212345678", "+98912123456a", "09121234567",
		"tel:+989121234567", "+989121234567;ext=1", "+989121234567 x12", "+989121234567,1",
		"+98912\x001234567", "+98912\x071234567", "+98912\x1b1234567", "+98912\x7f1234567", "+98912\u00911234567",
		"+98 9️⃣121234567", "📞+989121234567", "+98٪9121234567", "+98²9121234567", "+98Ⅸ121234567",
		"+98\u06009121234567", "+98912\ue0001234567", "+98912\u0301 1234567", "+98-912-123-456七", "+1 800 FLOWERS",
		"+15550001111", "+98,9121234567", "+98#9121234567", "+98*9121234567", "\"+989121234567\"",
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
		"", "+", "\x00", "tel:1", "\xff", "\u202a+98\u202c", "９１２", "+5411", "+2416",
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
