package phone

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSearch(t *testing.T) { //nolint:funlen // a table
	for _, tt := range []struct {
		region, in, finds, not string
	}{
		{"IR", "+98912", "+989121234567", "+989131234567"},
		{"IR", "98912", "+989121234567", ""},
		{"IR", "0098912", "+989121234567", ""},
		{"IR", "0912", "+989121234567", "+989131234567"},
		{"IR", "912", "+989121234567", "+989131234567"},
		{"IR", "۰۹۱۲", "+989121234567", ""},
		{"IR", "9121234567", "+989121234567", "+919121234567"},
		{"IR", "+98 (0)912", "+989121234567", "+989131234567"},
		{"IR", "+9809121234567", "+989121234567", ""},
		{"IR", "98 0912 123", "+989121234567", ""},
		{"IR", "\u202a+98 912\u202c", "+989121234567", ""},
		{"IR", "+9", "+989121234567", "+15551234567"},
		{"RU", "8916", "+79161234567", "+79261234567"},
		{"RU", "8 (916) 123-45-67", "+79161234567", "+89161234567"},
		{"RU", "916", "+79161234567", ""},
		{"KZ", "8701", "+77011234567", ""},
		{"US", "1 201", "+12015550123", ""},
		{"US", "201", "+12015550123", "+13015550123"},
		{"IT", "06", "+390612345678", ""},
		{"", "+39 06", "+390612345678", "+39612345678"},
		{"", "+39 347", "+393471234567", ""},
		{"", "98912", "+989121234567", ""},
		{"", "+98 0912", "+989121234567", ""},
		{"", "+972 59", "+970599123456", ""},
		{"", "+972599123456", "+970599123456", ""},
		{"", "+972599123456", "+972599123456", ""},
		{"", "+54 11", "+5491123456789", ""},
		{"", "+52 1 55", "+525512345678", ""},
		{"", "+55 11 87", "+5511987654321", ""},
		{"", "+225 07 12", "+2250707123456", ""},
		{"", "+241 06", "+24166031234", ""},
		{"BR", "11 87", "+5511987654321", ""},
		{"BR", "0 15 11 98", "+5511987654321", "+5512987654321"}, // 15 is a carrier
		{"BR", "0 15 98", "+5515987654321", ""},
		{"LT", "8 612", "+37061234567", "+37068123456"},
		{"LT", "0 612", "+37061234567", ""},
		{"BY", "80 29 491", "+375294911911", "+375445911911"},
		{"BY", "8 029 491", "+375294911911", ""},
		{"HU", "06 20 12", "+36201234567", "+36301234567"},
		{"TM", "8 66", "+99366123456", ""},
		{"AR", "0343 15 45", "+5493434567890", "+5491123456789"},
		{"AR", "11 15 23", "+5491123456789", ""},
		{"", "+54 343 15 45", "+5493434567890", ""},
		{"CO", "03 321", "+573211234567", ""},
		{"GA", "066 03", "+24166031234", ""},
		{"AG", "464 1", "+12684641234", ""},
		{"US", "464 1", "+14641234567", "+12684641234"},
		{"ID", "62812345678", "+62812345678", ""},
	} {
		got, err := NewParser(tt.region).Search(tt.in)
		finds := func(number string) bool {
			begins := func(prefix string) bool { return strings.HasPrefix(number, prefix) }
			return slices.ContainsFunc(got.Prefixes, begins)
		}
		if err != nil || !finds(tt.finds) || tt.not != "" && finds(tt.not) {
			t.Errorf("Search(%q) in %q = %q, %v; want %s, not %q", tt.in, tt.region, got, err, tt.finds, tt.not)
		}
	}
	p := NewParser("IR")
	for in, want := range map[string]string{"*4567": "4567", " *٤٥٦٧": "4567", "＊ 34-567": "34567"} {
		if got, err := p.Search(in); err != nil || got.Suffix != want || got.Prefixes != nil {
			t.Errorf("Search(%q) = %q, %v; want the last digits %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "+", "%", "98_", "a", "+1234567890123456", "\x00", "00", "*", "*456", "*a4567",
		"4567*", "*1234567890123456",
	} {
		if got, err := p.Search(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("Search(%q) = %q, %v; want ErrInvalid", in, got, err)
		}
	}
}

// TestSearchFindsEveryBeginning checks that each beginning of a number finds it, in every form that Parse reads.
func TestSearchFindsEveryBeginning(t *testing.T) {
	regions, plans := Regions([]string{"*"})
	for _, r := range regions {
		p, ok := NewParser("").In(r.Code)
		if !ok {
			t.Fatalf("no region %s", r.Code)
		}
		if r.Code == "GA" {
			continue // its example has the old form, in which +2410 alone begins no number of today
		}
		prefix := plans[r.Calling].Prefix
		for _, written := range []string{
			"+" + r.Calling + r.Example, "00" + r.Calling + r.Example, r.Calling + r.Example, r.Example,
			prefix + r.Example, "+" + r.Calling + prefix + r.Example,
		} {
			n, err := p.Parse(written)
			if err != nil {
				continue
			}
			for i := len(prefix) + len(r.Calling) + 3; i <= len(written); i++ {
				got, err := p.Search(written[:i])
				begins := func(prefix string) bool { return strings.HasPrefix(n.E164(), prefix) }
				if err != nil || !slices.ContainsFunc(got.Prefixes, begins) {
					t.Errorf("%s: Search(%s) = %q, %v; want a beginning of %s", r.Code, written[:i], got, err, n.E164())
				}
			}
		}
	}
}
