package text

import (
	"strings"

	"golang.org/x/text/language"
)

const (
	maxTag    = 35  // bytes; every implementation accepts that many (RFC 5646 §4.4.1)
	maxHeader = 200 // bytes; a browser with six languages sends some 60
)

// Locale returns the locale of a message: the one that was asked for (a BCP 47 tag), or else the one that the client's
// browser likes best (an Accept-Language header), or else the one most likely in the number's region (an ISO 3166
// code), or else English. An argument that is empty, not understood or without a matching locale is passed over.
func (t *Texts) Locale(asked, acceptLanguage, region string) string {
	if asked != "" && len(asked) <= maxTag {
		if tag, err := language.Parse(asked); err == nil {
			if locale, ok := t.match(tag); ok {
				return locale
			}
		}
	}
	if acceptLanguage != "" && len(acceptLanguage) <= maxHeader {
		if locale, ok := t.accepted(acceptLanguage); ok {
			return locale
		}
	}
	if locale, ok := t.regions.Load(region); ok {
		return locale.(string)
	}
	locale := fallback
	if r, err := language.ParseRegion(region); err == nil {
		tag, _ := language.Compose(r) // und-IR, whose likely subtags are fa-Arab-IR (Unicode UTS #35 §4.3)
		if likely, ok := t.match(tag); ok {
			locale = likely
		}
		t.regions.Store(region, locale)
	}
	return locale
}

// accepted returns the locale with the greatest weight in the header. An entry that is not understood is passed over.
func (t *Texts) accepted(header string) (locale string, ok bool) {
	most := float32(0)
	for entry := range strings.SplitSeq(header, ",") {
		tags, weights, err := language.ParseAcceptLanguage(entry)
		if err != nil || len(tags) != 1 || weights[0] <= most {
			continue
		}
		if found, fits := t.match(tags[0]); fits {
			locale, ok, most = found, true, weights[0]
		}
	}
	return locale, ok
}

// match returns the locale of the wanted language that has the most fitting script and region. The language must be the
// same, because the matcher alone is highly confident that a reader of Kurdish reads Turkish, and one of Uzbek Russian.
func (t *Texts) match(want language.Tag) (locale string, ok bool) {
	_, i, confidence := t.matcher.Match(want)
	if confidence < language.High || base(want) != t.bases[i] {
		return "", false
	}
	return t.locales[i], true
}

// base returns the tag's language, or the most likely one if the tag names only a region or a script.
func base(tag language.Tag) language.Base {
	if canonical, err := language.All.Canonicalize(tag); err == nil {
		tag = canonical
	}
	b, _ := tag.Base()
	return b
}
