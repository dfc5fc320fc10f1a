// Package browser drives Chromium, Firefox and WebKit, so that a story about a page is written once and runs in all of
// them. It knows no page: the packages of tests give its steps the words of their stories.
//
// Chromium understands the DevTools protocol (package chromedp), Firefox WebDriver BiDi, and MiniBrowser, the browser
// of WebKitGTK, WebDriver. Each implements the few steps of engine. All that has to do with the network is done by a
// proxy between the tab and the service instead, because it is then the same in all browsers. The paths of the browsers
// are in TEST_CHROMIUM, TEST_FIREFOX and TEST_WEBKIT, which .ci/with-services sets.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// A Name is the name of a browser.
type Name string

// The browsers.
const (
	Chromium Name = "Chromium"
	Firefox  Name = "Firefox"
	WebKit   Name = "WebKit"
)

// All are the browsers in which a story runs unless it needs something that only one of them can do.
var All = []Name{Chromium, Firefox, WebKit}

// path returns the path of a browser, or "" if the machine has none.
func (n Name) path() string { return os.Getenv("TEST_" + strings.ToUpper(string(n))) }

// A View is the window of a tab, and what its pages find there.
type View struct {
	Browser       Name  // defaults to Chromium
	Width, Height int64 // of the page in CSS pixels, which default to 1280 and 800
	Scale         int64 // device pixels in a CSS pixel; Chromium only, defaults to 1
	Touch         bool  // the screen of a phone; Chromium only
	Dark          bool
	Script        string // runs in every document before the scripts of the page
	Zone          string // the time zone, which defaults to the machine's
}

// An engine is the tab of one browser.
type engine interface {
	// navigate begins to load an address. It may return before the page is there.
	navigate(ctx context.Context, address string) error
	// evaluate returns the value of an expression that is a promise of a string.
	evaluate(ctx context.Context, expression string) (string, error)
	// press types keys into the element that has the focus, while it holds the held keys down.
	press(ctx context.Context, keys, held []Key) error
	// click clicks n times in quick succession.
	click(ctx context.Context, x, y float64, n int) error
	// resize sets the size of the page in CSS pixels.
	resize(ctx context.Context, width, height int64) error
	// picture returns the visible part of the page as PNG.
	picture(ctx context.Context) ([]byte, error)
	// close closes the tab and forgets its cookies and storage.
	close()
}

// A Tab is a window with its own cookies and storage. The test fails if a page does what no page may do: log an error
// or a warning to the console, leave an exception uncaught, violate its policy, miss a part, open a dialog, or send a
// request to another host than the one that was opened.
type Tab struct {
	Browser Name

	t       *testing.T
	engine  engine
	proxies *proxies
	journal *journal
}

// Open opens an address in a new tab, which is closed when the test ends. If the machine does not have the browser, the
// test is skipped, or, if CI is set, it fails.
func Open(t *testing.T, address string, v View) *Tab {
	t.Helper()
	if v.Browser == "" {
		v.Browser = Chromium
	}
	if v.Width == 0 {
		v.Width, v.Height = 1280, 800
	}
	if v.Browser.path() == "" {
		none := fmt.Sprintf("NO %s: .ci/with-services finds or installs it", strings.ToUpper(string(v.Browser)))
		if os.Getenv("CI") != "" {
			t.Fatal(none)
		}
		t.Skip(none)
	}
	b := &Tab{Browser: v.Browser, t: t, journal: &journal{}}
	b.proxies = newProxies(b.journal, v)
	ctx, cancel := context.WithTimeout(context.Background(), servicetest.Patience)
	defer cancel()
	var err error
	switch v.Browser {
	case Chromium:
		b.engine, err = openChromium(ctx, v, b.journal)
	case Firefox:
		b.engine, err = openFirefox(ctx, v, b.journal)
	case WebKit:
		b.engine, err = openWebKit(ctx, t, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", v.Browser, err)
	}
	t.Cleanup(func() {
		for _, fault := range b.Faults() {
			t.Error(fault)
		}
		if t.Failed() {
			b.keep()
		}
		b.engine.close()
		b.proxies.close()
	})
	b.Visit(address)
	return b
}

// step makes a step of the browser, and fails the test if it cannot.
func (b *Tab) step(step func(ctx context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), servicetest.Patience)
	defer cancel()
	if err := step(ctx); err != nil {
		b.t.Fatalf("%s: %v", b.Browser, err)
	}
}

// Visit goes to an address and waits until the page is loaded. The page may send requests to the hosts that the tab has
// visited, and to no others.
func (b *Tab) Visit(address string) {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	if u.Host != "" {
		u.Host = b.proxies.front(b.t, u.Host)
	}
	b.leave(func() {
		b.t.Helper()
		b.step(func(ctx context.Context) error { return b.engine.navigate(ctx, u.String()) })
	})
}

// Reload loads the page again.
func (b *Tab) Reload() {
	b.t.Helper()
	b.leave(func() { _, _ = Eval[any](b, `setTimeout(() => location.reload())`) })
}

// Travel goes back (-1) or forward (1) in the history.
func (b *Tab) Travel(delta int) {
	b.t.Helper()
	const travel = `addEventListener("popstate", () => { delete window.left }, {once: true}), history.go(%d)`
	b.leave(func() { _, _ = Eval[any](b, fmt.Sprintf(travel, delta)) })
}

// leave waits until a step has replaced the document and the new one is loaded.
func (b *Tab) leave(step func()) {
	b.t.Helper()
	_, _ = Eval[bool](b, `window.left = true`)
	step()
	servicetest.Eventually(b.t, "the page is loaded", func() bool {
		loaded, err := Eval[bool](b, `!window.left && document.readyState === "complete"`)
		return loaded && err == nil
	})
}

// Eval returns the value of a JavaScript expression in the page. A promise is awaited.
func Eval[T any](b *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), servicetest.Patience)
	defer cancel()
	var value T
	text, err := b.engine.evaluate(ctx, `(async () => JSON.stringify(await (`+expression+`)) ?? "null")()`)
	if err == nil {
		err = json.Unmarshal([]byte(text), &value)
	}
	return value, err
}

// Press types into the element that has the focus, while it holds the held keys down.
func (b *Tab) Press(keys string, held ...Key) {
	b.t.Helper()
	b.step(func(ctx context.Context) error { return b.engine.press(ctx, keysOf(keys), held) })
}

// Click clicks n times in quick succession.
func (b *Tab) Click(x, y float64, n int) {
	b.t.Helper()
	b.step(func(ctx context.Context) error { return b.engine.click(ctx, x, y, n) })
}

// Resize sets the size of the page in CSS pixels.
func (b *Tab) Resize(width, height int64) {
	b.t.Helper()
	b.step(func(ctx context.Context) error { return b.engine.resize(ctx, width, height) })
}

// Picture returns the visible part of the page as PNG.
func (b *Tab) Picture() (picture []byte) {
	b.t.Helper()
	b.step(func(ctx context.Context) (err error) {
		picture, err = b.engine.picture(ctx)
		return err
	})
	return picture
}

// DevTools returns the context in which package chromedp reaches the tab. It is for what only Chromium can do.
func (b *Tab) DevTools() context.Context {
	b.t.Helper()
	c, ok := b.engine.(*chromium)
	if !ok {
		b.t.Fatalf("%s does not understand the DevTools protocol", b.Browser)
	}
	return c.ctx
}

// Eventually waits until ok returns true. It ends the test at the first fault of the page. The text completes the
// sentence "it did not happen that …".
func (b *Tab) Eventually(what string, ok func() bool) {
	b.t.Helper()
	servicetest.Eventually(b.t, what, func() bool {
		if len(b.Faults()) > 0 {
			b.t.Fatalf("the page did wrong before it happened that %s", what)
		}
		return ok()
	})
}

// Faults returns what the page has done wrong.
func (b *Tab) Faults() []string { return b.journal.found() }

// Forgive ignores faults that the test causes itself, by parts of their text. It takes back what was forgiven before.
func (b *Tab) Forgive(parts ...string) { b.journal.forgive(parts) }

// keep writes a picture, the document and the journal of a tab to a directory, and names it in the failure.
func (b *Tab) keep() {
	dir, err := os.MkdirTemp("", "otp-browser-")
	if err != nil {
		b.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if picture, err := b.engine.picture(ctx); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "page.png"), picture, 0o600)
	}
	const source = `(async () => location.href + "\n\n" + document.documentElement.outerHTML)()`
	text, _ := b.engine.evaluate(ctx, source)
	_ = os.WriteFile(filepath.Join(dir, "page.html"), []byte(text), 0o600)
	_ = os.WriteFile(filepath.Join(dir, "journal.txt"), []byte(b.journal.String()), 0o600)
	b.t.Errorf("the last state of the page in %s is in %s", b.Browser, dir)
}
