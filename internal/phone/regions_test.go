package phone

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestRegions(t *testing.T) {
	regions, plans := Regions([]string{"IR", "US", "CA", "KZ", "RU", "GB"})
	var codes []string
	for _, r := range regions {
		codes = append(codes, r.Code)
	}
	if want := []string{"CA", "GB", "IR", "KZ", "RU", "US"}; !slices.Equal(codes, want) {
		t.Fatalf("regions = %v; want %v", codes, want)
	}
	for calling, want := range map[string]Plan{
		"1":  {Main: "US", Prefix: "1"},
		"7":  {Main: "RU", Prefix: "8"},
		"44": {Main: "GB", Prefix: "0"},
		"98": {Main: "IR", Prefix: "0"},
	} {
		if got := plans[calling]; got.Main != want.Main || got.Prefix != want.Prefix || len(got.Formats) == 0 {
			t.Errorf("+%s: %+v; want formats and %+v", calling, got, want)
		}
	}
	if len(plans) != 4 {
		t.Errorf("%d plans; want those of the regions alone", len(plans))
	}
	owners := func(national string, calling string) (codes []string) {
		for _, r := range regions {
			if r.Calling == calling && r.Own != "" && regexp.MustCompile("^(?:"+r.Own+")").MatchString(national) {
				codes = append(codes, r.Code)
			}
		}
		return codes
	}
	for _, tt := range []struct {
		calling, national string
		want              []string
	}{
		{"1", "2015550123", nil},
		{"1", "6045550123", []string{"CA"}},
		{"7", "9123456789", nil},
		{"7", "7710009998", []string{"KZ"}},
		{"44", "7400123456", nil},
		{"98", "9123456789", nil},
	} {
		if got := owners(tt.national, tt.calling); !slices.Equal(got, tt.want) {
			t.Errorf("+%s %s is owned by %v; want %v", tt.calling, tt.national, got, tt.want)
		}
	}
}

// TestEveryRegion checks that Parse accepts the example of every region after its calling code, with the national
// prefix and without, because a page sends what was typed. In the region itself, the plus may be missing.
func TestEveryRegion(t *testing.T) {
	regions, plans := Regions([]string{"*"})
	if len(regions) < 240 {
		t.Errorf("%d regions; want nearly all of %d", len(regions), len(phonenumbers.GetSupportedRegions()))
	}
	for _, r := range regions {
		want := "+" + r.Calling + r.Example
		if r.Code == "GA" {
			want = "+24166031234" // the metadata has an example in the old form
		}
		for _, prefix := range []string{"", plans[r.Calling].Prefix} {
			if r.Code == "CO" {
				prefix = "" // it is not dialled before a mobile number there
			}
			typed := r.Calling + prefix + r.Example
			if n, err := NewParser("").Parse("+" + typed); err != nil || n.E164() != want {
				t.Errorf("%s: Parse(+%s) = %s, %v; want %s", r.Code, typed, n.E164(), err, want)
			}
			if n, err := NewParser(r.Code).Parse(typed); err != nil || n.E164() != want {
				t.Errorf("%s: Parse(%s) = %s, %v; want %s", r.Code, typed, n.E164(), err, want)
			}
		}
		if r.Own != "" && !regexp.MustCompile("^(?:"+r.Own+")").MatchString(r.Example) {
			t.Errorf("%s does not own its example %s: %s", r.Code, r.Example, r.Own)
		}
	}
	for calling, plan := range plans {
		for _, f := range plan.Formats {
			for i := range strings.Count(f.Format, "$") {
				if !strings.Contains(f.Format, "$"+string(rune('1'+i))) {
					t.Errorf("+%s: the format %s has its groups out of order", calling, f.Format)
				}
			}
		}
	}
}
