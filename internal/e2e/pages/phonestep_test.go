package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
	phonelib "dekamond-otp/internal/phone"
)

// windows are the sizes in which the pages have been looked at: two phones, one of them lying on its side, and a
// desktop.
var windows = []view{
	{Width: 375, Height: 667, Touch: true},
	{Width: 667, Height: 375, Touch: true},
	{Width: 390, Height: 844, Touch: true},
	{Width: 1280, Height: 800},
}

// smallest is the narrowest phone that the pages are made for.
var smallest = view{Width: 320, Height: 568, Touch: true}

// languages returns the languages of the login page.
func languages(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(servicetest.Root + "internal/httpapi/pages/login/words.*.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("found the languages %v: %v", files, err)
	}
	for _, file := range files {
		all = append(all, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "words."), ".json"))
	}
	return all
}

// allSaid returns the texts of the login page in a language by their words, those of the problems by their code.
func allSaid(t *testing.T, language string) (words, problems map[string]string) {
	t.Helper()
	text, err := os.ReadFile(servicetest.Root + "internal/httpapi/pages/login/words." + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	words = make(map[string]string)
	var of struct{ Problems map[string]string }
	var all map[string]any
	if err := errors.Join(json.Unmarshal(text, &all), json.Unmarshal(text, &of)); err != nil {
		t.Fatal(err)
	}
	for word, text := range all {
		if text, ok := text.(string); ok {
			words[word] = text
		}
	}
	return words, of.Problems
}

// resize gives the window of a tab another size.
func (b *tab) resize(v view) {
	b.t.Helper()
	b.Resize(v.Width, v.Height)
}

// speak visits the page in a language.
func (b *tab) speak(s *servicetest.Service, language string) {
	b.t.Helper()
	b.Visit(s.URL + "/?lang=" + language)
	b.until(`document.documentElement.lang === ` + quote(language) + ` && document.body.dataset.step`)
}

// top returns the position of an element.
func (b *tab) top(selector string) string {
	b.t.Helper()
	return b.text(`String(document.querySelector(` + quote(selector) + `).getBoundingClientRect().top)`)
}

// moves is a function that writes texts into a line, and returns the ones that move a button.
const moves = `((line, button, texts) => {
	const top = () => document.querySelector(button).getBoundingClientRect().top
	const element = document.querySelector(line), before = element.innerHTML, was = top(), found = []
	for (const text of texts) {
		element.textContent = text
		if (Math.abs(top() - was) > .5) found.push(text)
	}
	element.innerHTML = before
	return found.join("\n")
})(%s, %s, %s)`

// wantStill checks that no text of a line moves the button below it, in any window.
func (b *tab) wantStill(line, button string, texts []string) {
	b.t.Helper()
	list, err := json.Marshal(texts)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, window := range append(slices.Clone(windows), smallest) {
		b.resize(window)
		if found := b.text(fmt.Sprintf(moves, quote(line), quote(button), list)); found != "" {
			b.t.Errorf("in a window of %d × %d pixels %s moves %s for\n%s",
				window.Width, window.Height, line, button, found)
		}
	}
	b.resize(smallest)
}

// withWaits returns what a message can say in the language of the page: the texts of all problems, those that have to
// wait with the longest wait, and other texts.
func (b *tab) withWaits(words, problems map[string]string, others ...string) (texts []string) {
	b.t.Helper()
	longest := b.text(`new Intl.RelativeTimeFormat(document.documentElement.lang).format(23, "hour")`)
	wait := strings.ReplaceAll(words["retry_in"], "{time}", longest)
	for _, code := range []string{"too_many_requests", "too_many_tries", "unavailable"} {
		texts = append(texts, problems[code]+" "+wait)
	}
	for _, word := range others {
		texts = append(texts, words[word])
	}
	return slices.AppendSeq(texts, maps.Values(problems))
}

// longestOffer returns what the page says to a number of the country with the longest name.
func (b *tab) longestOffer(words map[string]string) string {
	b.t.Helper()
	var codes []string
	regions, _ := phonelib.Regions([]string{"*"})
	for _, region := range regions {
		codes = append(codes, region.Code)
	}
	name := b.text(`(names => ` + quote(strings.Join(codes, " ")) + `.split(" ").map(code => names.of(code))
		.reduce((a, b) => b.length > a.length ? b : a)
	)(new Intl.DisplayNames(document.documentElement.lang, {type: "region"}))`)
	return words["other_country"] + " " + strings.ReplaceAll(words["meant_region"], "{region}", name+" +999")
}

// TestPageStandsStill checks that an error is written below its field, and that neither an error nor another text moves
// the button, in any language.
func TestPageStandsStill(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "SMS_REGIONS=IR,US")...)
		b := openLogin(t, s, sized(v, smallest))
		for n, language := range languages(t) {
			words, problems := allSaid(t, language)
			b.text(`sessionStorage.clear(), ""`)
			b.speak(s, language)
			before := b.top("#send")
			for _, tc := range []struct{ typed, problem string }{
				{"", "phone_missing"},
				{"+1 202", "invalid_phone"},
				{"+33612345678", "destination_not_allowed"},
			} {
				b.write("#phone", tc.typed)
				b.click("#send")
				b.until(message + ` === ` + quote(problems[tc.problem]))
				b.wantFault("#phone", "#number")
				if after := b.top("#send"); after != before {
					t.Errorf("%s: after %s the button is at %s; want %s", language, tc.problem, after, before)
				}
			}
			b.write("#phone", "+1")
			b.is(message + ` === ""`)
			texts := b.withWaits(words, problems, "logged_out", "registered", "retry_now")
			b.wantStill("#message", "#send", append(texts, b.longestOffer(words)))

			to := fmt.Sprintf("+98912123456%d", n)
			b.ask(to)
			before = b.top("#verify")
			b.press(servicetest.WrongCode(s.ShownCode(to)))
			b.until(message + ` === ` + quote(problems["invalid_code"]))
			b.wantFault("#code", "#boxes")
			if after := b.top("#verify"); after != before {
				t.Errorf("%s: after a wrong code the button is at %s; want %s", language, after, before)
			}
			b.wantStill("#message", "#verify", b.withWaits(words, problems, "retry_now"))
			b.press("1")
			b.until(message + ` === ""`)
			var statuses []string
			for word, text := range words {
				if strings.HasPrefix(word, "delivery_") || strings.HasPrefix(word, "resent") {
					statuses = append(statuses, text)
				}
			}
			b.wantStill("#delivery", "#verify", statuses)
		}
	})
}

// wantFault checks that a field is marked as wrong, described by the message, and above it.
func (b *tab) wantFault(field, frame string) {
	b.t.Helper()
	b.is(`document.querySelector("#message").matches("[role=alert].bad")`)
	b.is(`(e => e.ariaInvalid === "true" && e.getAttribute("aria-describedby").split(" ").includes("message"))
		(document.querySelector(` + quote(field) + `))`)
	b.is(`document.querySelector("#message").getBoundingClientRect().top >=
		document.querySelector(` + quote(frame) + `).getBoundingClientRect().bottom`)
}

func TestPageInvites(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "APP_NAME=Orders")
		b := openLogin(t, s, v)
		titles := map[string]bool{}
		for _, language := range languages(t) {
			b.speak(s, language)
			title := b.text(`document.querySelector("h1").innerText`)
			b.is(`document.title === ` + quote(title+" · Orders"))
			titles[title] = true
		}
		if !titles["Log in or sign up"] || !titles["Anmelden oder registrieren"] || len(titles) != len(languages(t)) {
			t.Errorf("the titles are %v; want one in each language", titles)
		}
	})
}

// TestPageLegal checks the small print below the button: the links to the terms and the policy, and the notice of the
// carriers.
func TestPageLegal(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		const terms, policy = "https://example.com/terms?of=use", "http://127.0.0.1/privacy"
		start := func(env ...string) (*servicetest.Service, *tab) {
			s := servicetest.Start(t, nil, env...)
			return s, openLogin(t, s, sized(v, smallest))
		}
		const legal = `document.querySelector("#legal")`
		links := func(b *tab) string {
			return b.text(`[...document.querySelectorAll("#legal a")].map(a => a.getAttribute("href")).join(" ")`)
		}

		s, b := start("TERMS_URL="+terms, "PRIVACY_URL="+policy, "SMS_NOTICE=true")
		b.is(legal + `.innerText === "By continuing, you agree to our Terms of Service and Privacy Policy. ` +
			`Message and data rates may apply."`)
		b.is(legal + `.getBoundingClientRect().top > document.querySelector("#send").getBoundingClientRect().bottom`)
		b.accessible("with small print")
		for _, language := range languages(t) {
			b.speak(s, language)
			words, _ := allSaid(t, language)
			if got := links(b); got != terms+" "+policy {
				t.Errorf("%s: the links are %s; want the terms and the policy", language, got)
			}
			b.is(`[...document.querySelectorAll("#legal a")]
				.every(a => a.target === "_blank" && a.rel.includes("noopener"))`)
			filled := strings.NewReplacer("{terms}", words["terms"], "{privacy}", words["privacy"])
			b.is(legal + `.textContent === ` + quote(filled.Replace(words["agree"])+" "+words["sms_notice"]))
			b.fits(language + ", with small print")
		}

		for _, tc := range []struct{ env, text, links string }{
			{"TERMS_URL=" + terms, "By continuing, you agree to our Terms of Service.", terms},
			{"PRIVACY_URL=" + policy, "Our Privacy Policy says how we use your data.", policy},
			{"SMS_NOTICE=true", "Message and data rates may apply.", ""},
			{"SMS_NOTICE=false", "", ""},
		} {
			_, b := start(tc.env)
			if got := b.text(legal + `.textContent.trim()`); got != tc.text || links(b) != tc.links {
				t.Errorf("%s: the small print is %q, with the links %s", tc.env, got, links(b))
			}
			b.is(fmt.Sprintf(`%s.checkVisibility() === %t`, legal, tc.text != ""))
		}
	})
}
