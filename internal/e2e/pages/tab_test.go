package pages

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

// axeVersion is the version of axe-core, which finds what keeps people with a disability from using a page.
const axeVersion = "4.14.1"

// A view is the window of a tab.
type view = browser.View

// A tab is a tab of a browser with the words in which stories tell what a person does and sees.
type tab struct {
	*browser.Tab
	t *testing.T
}

// everywhere tells a story in all browsers.
func everywhere(t *testing.T, story func(t *testing.T, v view)) {
	t.Helper()
	for _, name := range browser.All {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			story(t, view{Browser: name})
		})
	}
}

// sized returns a view of a browser with the window of another view.
func sized(v, window view) view {
	window.Browser = v.Browser
	return window
}

// open opens an address in a new tab, which is closed when the test ends.
func open(t *testing.T, address string, v view) *tab {
	t.Helper()
	return &tab{Tab: browser.Open(t, address, v), t: t}
}

// do makes steps that only Chromium can make.
func (b *tab) do(steps chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.DevTools(), steps); err != nil {
		b.t.Fatal(err)
	}
}

// text returns the value of an expression that is a string.
func (b *tab) text(expression string) string {
	b.t.Helper()
	text, err := browser.Eval[string](b.Tab, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// until waits until an expression is true. Other pages may be loaded meanwhile.
func (b *tab) until(expression string) {
	b.t.Helper()
	b.Eventually("the page satisfies "+expression, func() bool {
		ok, err := browser.Eval[bool](b.Tab, "!!("+expression+")")
		return ok && err == nil
	})
}

// untilAnswered waits until the page has the answer with a status to a request. In the path, * stands for anything. The
// page makes another request in the end, whose answer comes after it.
func (b *tab) untilAnswered(path string, status int) {
	b.t.Helper()
	b.Eventually(fmt.Sprintf("%s is answered with %d", path, status), func() bool { return b.Answered(path, status) })
	b.is(`fetch("` + browser.Nothing + `").then(() => true)`)
}

// is checks that an expression is true now.
func (b *tab) is(expression string) {
	b.t.Helper()
	if ok, err := browser.Eval[bool](b.Tab, "!!("+expression+")"); !ok || err != nil {
		b.t.Errorf("the page does not satisfy %s %v", expression, err)
	}
}

// place is a function that returns the centre of an element if it is visible, stands still, and receives a click there.
const place = `(async selector => {
	const usable = e => e.checkVisibility({visibilityProperty: true}) && !e.disabled
	const shown = () => [...document.querySelectorAll(selector)].find(usable)
	const frame = () => new Promise(requestAnimationFrame)
	const found = shown()
	found?.scrollIntoView({block: "nearest", behavior: "instant"})
	const middle = () => {
		const box = found.getBoundingClientRect()
		return [box.x + box.width / 2, box.y + box.height / 2]
	}
	const before = found && middle()
	for (let n = 0; found && n < 3; n++) await frame()
	if (!found || found !== shown() || middle().join() !== before.join()) return null
	return found.contains(document.elementFromPoint(...before)) ? before : null
})(%s)`

// at waits until an element can be clicked and returns its centre.
func (b *tab) at(selector string) (x, y float64) {
	b.t.Helper()
	var middle []float64
	b.Eventually(selector+" can be clicked", func() bool {
		middle, _ = browser.Eval[[]float64](b.Tab, fmt.Sprintf(place, quote(selector)))
		return middle != nil
	})
	return middle[0], middle[1]
}

func (b *tab) click(selector string) {
	b.t.Helper()
	x, y := b.at(selector)
	b.Click(x, y, 1)
}

func (b *tab) doubleClick(selector string) {
	b.t.Helper()
	x, y := b.at(selector)
	b.Click(x, y, 2)
}

// write replaces the text of an element by typing.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.press("a", browser.Control)
	b.press(text)
}

// fill replaces the text of an element at once, as a password manager does.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.press("a", browser.Control)
	b.is(`document.execCommand("insertText", false, ` + quote(text) + `)`)
}

// press types into the element that has the focus, while it holds the held keys down.
func (b *tab) press(keys string, held ...browser.Key) {
	b.t.Helper()
	b.Press(keys, held...)
}

// copies copies a text to the clipboard.
func (b *tab) copies(text string) {
	b.t.Helper()
	b.text(`copied = document.createElement("textarea"), copied.value = ` + quote(text))
	b.text(`document.body.append(copied), copied.focus(), copied.select(), ""`)
	b.press("c", browser.Control)
	b.text(`copied.remove(), ""`)
}

// offline disconnects the tab from the network, or connects it again.
func (b *tab) offline(off bool) {
	b.t.Helper()
	if off {
		b.until(`document.fonts.status === "loaded"`) // a font on its way would fail with the calls
		b.Cut("*")
	} else {
		b.Cut()
	}
	const tell = `Object.defineProperty(navigator, "onLine", {get: () => %t, configurable: true}),
		dispatchEvent(new Event(navigator.onLine ? "online" : "offline"))`
	b.is(fmt.Sprintf(tell, !off))
}

// hold holds the requests to a path back until release is called. In the path, * stands for anything.
func (b *tab) hold(path string) { b.Hold(path) }

// holding waits until at least n requests in all have been held back.
func (b *tab) holding(n int) {
	b.t.Helper()
	b.Eventually(fmt.Sprintf("%d requests are held back", n), func() bool { return b.Held() >= n })
}

// release lets all requests pass, also the ones that were held back.
func (b *tab) release() { b.Release() }

// made returns how many requests with a method and a path the page has made.
func (b *tab) made(method, path string) int { return b.Made(method, path) }

func (b *tab) wantMade(method, path string, want int) {
	b.t.Helper()
	if got := b.Made(method, path); got != want {
		b.t.Errorf("the page made %d requests %s %s; want %d", got, method, path, want)
	}
}

// axe installs axe-core and returns its text.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "otp-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := servicetest.InstallNPM(dir, "axe-core@"+axeVersion); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules/axe-core/axe.min.js"))
	return string(text), err
})

// accessible checks that axe finds no fault in the page in its present state, in both colour schemes. It runs in
// Chromium only, because the document that it reads is the same in all browsers.
func (b *tab) accessible(state string) {
	b.t.Helper()
	if b.Browser != browser.Chromium {
		return
	}
	text, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, dark := range []bool{false, true} {
		b.do(browser.Scheme(dark))
		if _, err := browser.Eval[int](b.Tab, "window.axe || (() => {"+text+"})(), 0"); err != nil {
			b.t.Fatal(err)
		}
		found, err := browser.Eval[[]finding](b.Tab, violations)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range found {
			b.t.Errorf("%s (dark=%v): %s, %s: %s", state, dark, f.Rule, f.Help, strings.Join(f.Where, "\n\t"))
		}
	}
	b.do(browser.Scheme(false))
}

// violations runs axe and returns its findings. Axe preloads nothing, because it would add imported style sheets to the
// page, which the policies of the pages forbid; no rule that is on needs that.
const violations = `(async () => {
	const options = {resultTypes: ["violations"], preload: false, rules: {"target-size": {enabled: true}}}
	const {violations} = await axe.run(options)
	const reasons = n => n.any.concat(n.all, n.none).map(c => c.message).join("; ")
	const where = n => n.target.join(" ") + ": " + reasons(n)
	return violations.map(v => ({rule: v.id, help: v.help, where: v.nodes.map(where)}))
})()`

type finding struct {
	Rule  string   `json:"rule"`
	Help  string   `json:"help"`
	Where []string `json:"where"`
}

// quote returns a text as a JavaScript string.
func quote(text string) string {
	q, _ := json.Marshal(text)
	return string(q)
}
