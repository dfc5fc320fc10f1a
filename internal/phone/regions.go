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
	Mobile  string `json:"mobile"`  // a regular expression for whole numbers of this form that receive texts
	// Own is a regular expression for the beginnings of the numbers that belong to this region alone. It is empty for
	// the main region of a calling code, and for a region whose numbers do not differ from those of others.
	Own string `json:"own,omitempty"`
}

// A Plan describes how the numbers of a calling code are written.
type Plan struct {
	Main    string   `json:"main"`             // the region of all numbers that no other region owns
	Prefix  string   `json:"prefix,omitempty"` // before a number that is dialled within the country
	Formats []Format `json:"formats,omitempty"`
}

// A Format applies to the numbers that match Pattern and begin with Leading. Leading has a regular expression to apply
// while three digits are known, one for four digits, and so on; the last one applies to any more digits.
type Format struct {
	Pattern string   `json:"pattern"`
	Groups  []int    `json:"groups"` // how many digits each group of Pattern takes at most
	Format  string   `json:"format"`
	Leading []string `json:"leading,omitempty"`
	Rule    string   `json:"rule,omitempty"` // in place of $1, to write a number with its Prefix
}

// Regions returns the allowed regions (ISO 3166 codes, or "*" for all), sorted by code, and the plans of their calling
// codes.
func Regions(allowed []string) (regions []Region, plans map[string]Plan) {
	plans = make(map[string]Plan)
	for _, m := range metadata() {
		if !slices.Contains(allowed, "*") && !slices.Contains(allowed, m.GetId()) {
			continue
		}
		region, ok := regionOf(m)
		if !ok {
			continue
		}
		regions = append(regions, region)
		if _, ok := plans[region.Calling]; !ok {
			plans[region.Calling] = planOf(m.GetCountryCode())
		}
	}
	slices.SortFunc(regions, func(a, b Region) int { return strings.Compare(a.Code, b.Code) })
	return regions, plans
}

// metadata returns what libphonenumber knows of each region, and of the calling codes of no single country.
func metadata() []*phonenumbers.PhoneMetadata {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic(err) // it is part of the binary, and was read before main began
	}
	return collection.GetMetadata()
}

// metadataOf returns ok = false if there is no such region.
func metadataOf(region string) (m *phonenumbers.PhoneMetadata, ok bool) {
	all := metadata()
	i := slices.IndexFunc(all, func(m *phonenumbers.PhoneMetadata) bool { return m.GetId() == region })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// Example returns a mobile number of the first of the regions that has one, in E.164 form. It returns an empty string
// if none has.
func Example(regions ...string) string {
	for _, region := range regions {
		if n := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE); n != nil {
			return phonenumbers.Format(n, phonenumbers.E164)
		}
	}
	return ""
}

// regionOf returns ok = false for a region without mobile numbers.
func regionOf(m *phonenumbers.PhoneMetadata) (region Region, ok bool) {
	code, calling := m.GetId(), int(m.GetCountryCode())
	example := phonenumbers.GetExampleNumberForType(code, phonenumbers.MOBILE)
	if example == nil {
		return Region{}, false
	}
	region = Region{
		Code:    code,
		Calling: strconv.Itoa(calling),
		Example: phonenumbers.GetNationalSignificantNumber(example),
		Mobile:  mobileOf(m),
	}
	main := phonenumbers.GetRegionCodeForCountryCode(calling)
	if main != code && phonenumbers.GetRegionCodeForNumber(example) == code {
		region.Own = cmp.Or(m.GetLeadingDigits(), m.GetMobile().GetNationalNumberPattern())
	}
	return region, true
}

// mobileOf returns a regular expression for the kinds of numbers that Parse accepts.
func mobileOf(m *phonenumbers.PhoneMetadata) string {
	var patterns []string
	for _, kind := range []*phonenumbers.PhoneNumberDesc{m.GetMobile(), m.GetVoip(), m.GetPersonalNumber()} {
		if pattern := kind.GetNationalNumberPattern(); pattern != "" && !slices.Contains(patterns, pattern) {
			patterns = append(patterns, pattern)
		}
	}
	return strings.Join(patterns, "|")
}

// planOf returns the plan of a calling code, which is the plan of its main region.
func planOf(calling int32) Plan {
	main := phonenumbers.GetRegionCodeForCountryCode(int(calling))
	m, _ := metadataOf(main)
	plan := Plan{Main: main, Prefix: m.GetNationalPrefix()}
	formats := m.GetNumberFormat()
	if slices.ContainsFunc(formats, rearranges) {
		formats = m.GetIntlNumberFormat()
	}
	for _, f := range formats {
		groups := groupsOf(f.GetPattern())
		tooShort := sum(groups) < len(m.GetMobile().GetExampleNumber()) // cannot receive texts
		if rearranges(f) || tooShort {
			continue
		}
		plan.Formats = append(plan.Formats, Format{
			Pattern: f.GetPattern(),
			Groups:  groups,
			Format:  f.GetFormat(),
			Leading: f.GetLeadingDigitsPattern(),
			Rule:    f.GetNationalPrefixFormattingRule(),
		})
	}
	return plan
}

// rearranges reports whether a format does more than to put separators between the groups. Such a format is not used,
// because a digit would move while a person types.
func rearranges(f *phonenumbers.NumberFormat) bool {
	found := digits.FindAllString(f.GetFormat(), -1)
	inOrder := strings.HasPrefix("123456789", strings.Join(found, ""))
	return len(found) == 0 || !inOrder || strings.Count(f.GetFormat(), "$") != len(found)
}

var digits = regexp.MustCompile(`\d`)

// groupsOf returns how many digits each group of a pattern matches at most.
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
