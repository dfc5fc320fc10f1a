package text

import (
	"regexp"
	"strings"

	"golang.org/x/text/language"
)

const maxHeader = 1 << 10 // bytes; a browser with six languages sends some 60

// wellFormed is the grammar of a language tag (RFC 5646 §2.1). Its last rules list older tags that do not fit into the
// others.
var wellFormed = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
	`(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})` + // language
		`(?:-[a-z]{4})?` + // script
		`(?:-(?:[a-z]{2}|[0-9]{3}))?` + // region
		`(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*` + // variants
		`(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*` + // extensions
		`(?:-x(?:-[a-z0-9]{1,8})+)?`, // private use
	`x(?:-[a-z0-9]{1,8})+`,
	`en-GB-oed|sgn-(?:BE-FR|BE-NL|CH-DE)`,
	`i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)`,
}, "|") + `)$`)

// Tag returns a language tag (BCP 47) as it was written, with hyphens in place of underscores, because many programs
// write fa_IR for fa-IR. It returns "" if the tag is not well-formed. Its subtags need not be registered.
func Tag(written string) string {
	if tag := strings.ReplaceAll(written, "_", "-"); wellFormed.MatchString(tag) {
		return tag
	}
	return ""
}

// Locale returns the locale of a message: the one that was asked for (a BCP 47 tag), or else the one that the client's
// browser likes best (an Accept-Language header), or else the one most likely in the number's region (an ISO 3166
// code), or else English. An argument that is empty, not understood or without a matching locale is passed over.
func (t *Texts) Locale(asked, acceptLanguage, region string) string {
	if tag := Tag(asked); tag != "" {
		wanted, _ := language.Parse(tag) // an error concerns subtags that are not registered; the others count
		if locale, ok := t.match(wanted); ok {
			return locale
		}
	}
	if locale, ok := t.accepted(acceptLanguage); ok {
		return locale
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

// accepted returns the locale with the greatest weight in the header. An entry that is not understood is passed over. A
// long header is cut at a comma.
func (t *Texts) accepted(header string) (locale string, ok bool) {
	if len(header) > maxHeader {
		header = header[:max(0, strings.LastIndexByte(header[:maxHeader], ','))]
	}
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
