package phone

import (
	"cmp"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// A Region is a country or territory whose numbers can receive a text message.
type Region struct {
	Code    string `json:"code"`    // ISO 3166
	Calling string `json:"calling"` // the digits after the +
	Example string `json:"example"` // a mobile number, in digits, without the calling code and the national prefix
	// Own is a regular expression for the beginning of the numbers that tell this region from others with its calling
	// code. It is empty where none do.
	Own string `json:"own,omitempty"`
}

// A Plan says how the numbers of a calling code are written.
type Plan struct {
	Main    string   `json:"main"`             // the region of all numbers that no other region owns
	Prefix  string   `json:"prefix,omitempty"` // before a number that is dialled within the country
	Formats []Format `json:"formats,omitempty"`
}

// A Format writes the numbers that match Pattern and begin with Leading, which has a regular expression for their first
// three digits, one for the first four, and so on; the last one is good for all that follow.
type Format struct {
	Pattern string   `json:"pattern"`
	Groups  []int    `json:"groups"` // how many digits each group of Pattern takes at most
	Format  string   `json:"format"`
	Leading []string `json:"leading,omitempty"`
	Rule    string   `json:"rule,omitempty"` // in place of $1, to write a number with its Prefix
}

// Regions gives the allowed regions (ISO 3166 codes, or "*" for all), and the plans of their calling codes.
func Regions(allowed []string) (regions []Region, plans map[string]Plan) {
	plans = make(map[string]Plan)
	collection, err := phonenumbers.MetadataCollection() // in the binary, and read before main began
	if err != nil {
		panic(err)
	}
	for _, m := range collection.GetMetadata() {
		code := m.GetId()
		if !slices.Contains(allowed, "*") && !slices.Contains(allowed, code) {
			continue
		}
		example := phonenumbers.GetExampleNumberForType(code, phonenumbers.MOBILE)
		if example == nil {
			continue
		}
		calling := strconv.Itoa(int(m.GetCountryCode()))
		region := Region{Code: code, Calling: calling, Example: phonenumbers.GetNationalSignificantNumber(example)}
		if main := phonenumbers.GetRegionCodeForCountryCode(int(m.GetCountryCode())); main != code && phonenumbers.GetRegionCodeForNumber(example) == code {
			region.Own = cmp.Or(m.GetLeadingDigits(), m.GetMobile().GetNationalNumberPattern())
		}
		regions = append(regions, region)
		if _, ok := plans[calling]; !ok {
			plans[calling] = planOf(collection, m.GetCountryCode())
		}
	}
	slices.SortFunc(regions, func(a, b Region) int { return strings.Compare(a.Code, b.Code) })
	return regions, plans
}

// planOf is the plan of the calling code's main region, which is that of all.
func planOf(collection *phonenumbers.PhoneMetadataCollection, calling int32) Plan {
	main := phonenumbers.GetRegionCodeForCountryCode(int(calling))
	i := slices.IndexFunc(collection.GetMetadata(), func(m *phonenumbers.PhoneMetadata) bool { return m.GetId() == main })
	m := collection.GetMetadata()[i]
	plan := Plan{Main: main, Prefix: m.GetNationalPrefix()}
	formats := m.GetNumberFormat()
	if slices.ContainsFunc(formats, rearranges) {
		formats = m.GetIntlNumberFormat()
	}
	for _, f := range formats {
		groups := groupsOf(f.GetPattern())
		if !rearranges(f) && sum(groups) >= len(m.GetMobile().GetExampleNumber()) { // shorter numbers get no texts
			plan.Formats = append(plan.Formats, Format{f.GetPattern(), groups, f.GetFormat(), f.GetLeadingDigitsPattern(), f.GetNationalPrefixFormattingRule()})
		}
	}
	return plan
}

// rearranges tells whether a format does more than to put separators between the groups. No digit may jump while it is
// typed.
func rearranges(f *phonenumbers.NumberFormat) bool {
	found := digits.FindAllString(f.GetFormat(), -1)
	return len(found) == 0 || !strings.HasPrefix("123456789", strings.Join(found, "")) || strings.Count(f.GetFormat(), "$") != len(found)
}

var digits = regexp.MustCompile(`\d`)

// groupsOf gives the most digits that each group of a pattern takes.
func groupsOf(pattern string) (groups []int) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	var longest func(*syntax.Regexp) int
	longest = func(r *syntax.Regexp) (length int) {
		switch r.Op {
		case syntax.OpLiteral:
			return len(r.Rune)
		case syntax.OpCharClass:
			return 1
		case syntax.OpAlternate:
			for _, sub := range r.Sub {
				length = max(length, longest(sub))
			}
			return length
		case syntax.OpRepeat:
			if r.Max < 0 {
				return maxDigits
			}
			return r.Max * longest(r.Sub[0])
		case syntax.OpStar, syntax.OpPlus:
			return maxDigits
		}
		for _, sub := range r.Sub {
			length += longest(sub)
		}
		if r.Op == syntax.OpCapture {
			groups = append(groups, length)
		}
		return length
	}
	longest(parsed)
	return groups
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}
