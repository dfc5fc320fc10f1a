package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"dekamond-otp/internal/e2e/servicetest"
)

// axeVersion is the version of axe-core, which finds what keeps people with a disability from using a page.
const axeVersion = "4.14.1"

// chromium starts the browser that all tests share, and closeChromium ends it.
var (
	chromium = sync.OnceValues(func() (context.Context, error) {
		const mouse = "primaryPointerType=4,availablePointerTypes=4,primaryHoverType=2,availableHoverTypes=2"
		ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(os.Getenv("TEST_CHROMIUM")),
			chromedp.Flag("lang", "en-US"),
			chromedp.Flag("hide-scrollbars", true),
			chromedp.Flag("disable-gpu", true),
			chromedp.Flag("blink-settings", mouse),
			chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-quic", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), // no other host is reached
		)...)
		ctx, _ = chromedp.NewContext(ctx)
		closeChromium = cancel
		return ctx, chromedp.Do(ctx)
	})
	closeChromium = func() {}
)

// A view is the window of a tab, and what its pages find there.
type view struct {
	width, height, scale int64 // default to those of a desktop
	mobile, dark         bool
	script               string // runs in every document before the scripts of the page
	zone                 string // the time zone, which defaults to the machine's
}

// A tab is a window with its own cookies and storage. The test fails if a page does what no page may do: log an error
// or a warning to the console, leave an exception uncaught, violate its policy, miss a part, open a dialog, or send a
// request to another host than the one that was opened.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards the fields below
	host     string
	journal  []string // what the page has done, to explain a failure
	faults   []string
	forgiven []string // parts of the faults that the test causes itself
	requests []string // for example "POST /otp/request"
	held     int      // the number of requests that were held back
}

// open opens an address in a new tab, which is closed when the test ends.
func open(t *testing.T, address string, v view) *tab {
	t.Helper()
	if os.Getenv("TEST_CHROMIUM") == "" {
		const none = "NO BROWSER: .ci/with-services finds or installs one, or set TEST_CHROMIUM to its path"
		if os.Getenv("CI") != "" {
			t.Fatal(none)
		}
		t.Skip(none)
	}
	browser, err := chromium()
	if err != nil {
		t.Fatalf("%s: %v", os.Getenv("TEST_CHROMIUM"), err)
	}
	b := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		b.mu.Lock()
		for _, fault := range b.faults {
			t.Error(fault)
		}
		b.mu.Unlock()
		if t.Failed() {
			b.keep()
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first step
		t.Fatal(err)
	}
	if v.width == 0 {
		v.width, v.height = 1280, 800
	}
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(float64(max(v.scale, 1)))}
	if v.mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(chromedp.EmulateViewport(v.width, v.height, options...))
	b.do(protocol(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	b.look(v.dark)
	if v.zone != "" {
		b.do(protocol(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: v.zone}))
	}
	if v.script != "" {
		params := page.AddScriptToEvaluateOnNewDocumentParams{Source: v.script}
		b.do(protocol(page.AddScriptToEvaluateOnNewDocument, params))
	}
	b.visit(address)
	return b
}

// protocol returns a step that makes a call of the DevTools protocol for which chromedp has no step.
func protocol[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// visit goes to an address. From then on the page may send requests to its host only.
func (b *tab) visit(address string) {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.host = u.Host
	b.mu.Unlock()
	b.do(chromedp.Navigate(address))
}

// look sets the colour scheme that the person prefers. Motion is always reduced.
func (b *tab) look(dark bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	b.do(protocol(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}}))
}

// hear takes an event of the browser into the journal and finds faults in it.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		inside := err == nil && slices.Contains([]string{"data", "blob", "about"}, u.Scheme)
		if err != nil || u.Host != b.host && !inside {
			b.fault("the page asks %s", e.Request.URL)
			return
		}
		b.requests = append(b.requests, e.Request.Method+" "+u.Path)
		b.note("%s %s", e.Request.Method, e.Request.URL)
	case *network.EventWebSocketCreated:
		b.fault("the page opens %s", e.URL)
	case *network.EventResponseReceived:
		b.note("%d %s", e.Response.Status, e.Response.URL)
		if e.Response.Status >= 400 && !byScript(e.Type) {
			b.fault("%s answers %d", e.Response.URL, e.Response.Status)
		}
	case *network.EventLoadingFailed:
		b.note("%s %s", e.Type, e.ErrorText)
		missing := !e.Canceled && !byScript(e.Type)
		if missing || e.BlockedReason != "" && e.BlockedReason != "other" {
			b.fault("a %s does not load: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	case *runtime.EventExceptionThrown:
		b.fault("not caught: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, string(arg.Value)+arg.Description)
		}
		b.note("console.%s %s", e.Type, strings.Join(words, " "))
		if slices.Contains([]string{"error", "warning", "assert"}, string(e.Type)) {
			b.fault("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		b.note("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		harmless := e.Entry.Level == log.EntryLevelInfo || e.Entry.Level == log.EntryLevelVerbose
		if e.Entry.Source != log.EntrySourceNetwork && !harmless {
			b.fault("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		b.fault("a dialog: %s", e.Message)
		accept := page.HandleJavaScriptDialogParams{Accept: true}
		go func() { _ = chromedp.Do(b.ctx, protocol(page.HandleJavaScriptDialog, accept)) }()
	case *fetch.EventRequestPaused:
		b.held++
	}
}

// byScript reports whether a script asked for a resource, and can therefore handle its failure.
func byScript(kind network.ResourceType) bool {
	return kind == network.ResourceTypeFetch || kind == network.ResourceTypeXHR
}

// note adds a line to the journal. The caller holds mu.
func (b *tab) note(format string, args ...any) {
	b.journal = append(b.journal, fmt.Sprintf(format, args...))
}

// fault adds a fault, unless it is forgiven. The caller holds mu.
func (b *tab) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.ContainsFunc(b.forgiven, func(part string) bool { return strings.Contains(text, part) }) {
		b.faults = append(b.faults, text)
	}
}

// keep writes a picture, the document and the journal of a tab to a directory, and names it in the failure.
func (b *tab) keep() {
	dir, err := os.MkdirTemp("", "otp-browser-")
	if err != nil {
		b.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "page.png"), picture, 0o600)
	}
	const source = `location.href + "\n\n" + document.documentElement.outerHTML`
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](source))
	_ = os.WriteFile(filepath.Join(dir, "page.html"), []byte(text), 0o600)
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = os.WriteFile(filepath.Join(dir, "journal.txt"), []byte(strings.Join(b.journal, "\n")), 0o600)
	b.t.Errorf("the last state of the page is in %s", dir)
}

// picture returns a picture of the window.
func (b *tab) picture(format page.CaptureScreenshotFormat) []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, servicetest.Patience)
	defer cancel()
	params := page.CaptureScreenshotParams{Format: format, Quality: new(int64(70))}
	captured, err := chromedp.Call(ctx, page.CaptureScreenshot, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return captured.Data
}

// do runs steps.
func (b *tab) do(steps chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, servicetest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression in the page. A promise is awaited.
func eval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, servicetest.Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// text returns the value of an expression that is a string.
func (b *tab) text(expression string) string {
	b.t.Helper()
	text, err := eval[string](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// until waits until an expression is true. Other pages may be loaded meanwhile.
func (b *tab) until(expression string) {
	b.t.Helper()
	servicetest.Eventually(b.t, "the page satisfies "+expression, func() bool {
		ok, err := eval[bool](b, "!!("+expression+")")
		return ok && err == nil
	})
}

// untilAnswered waits until a request of the page, by a part of its URL, has been answered with a status.
func (b *tab) untilAnswered(part string, status int) {
	b.t.Helper()
	answered := fmt.Sprintf(`e.name.includes(%s) && e.responseStatus === %d`, quote(part), status)
	b.until(`performance.getEntriesByType("resource").some(e => ` + answered + `)`)
}

// is checks that an expression is true now.
func (b *tab) is(expression string) {
	b.t.Helper()
	if ok, err := eval[bool](b, "!!("+expression+")"); !ok || err != nil {
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
	servicetest.Eventually(b.t, selector+" can be clicked", func() bool {
		middle, _ = eval[[]float64](b, fmt.Sprintf(place, quote(selector)))
		return middle != nil
	})
	return middle[0], middle[1]
}

func (b *tab) click(selector string) {
	b.t.Helper()
	x, y := b.at(selector)
	b.do(chromedp.MouseClickXY(x, y))
}

func (b *tab) doubleClick(selector string) {
	b.t.Helper()
	x, y := b.at(selector)
	b.do(chromedp.Steps(chromedp.MouseClickXY(x, y), chromedp.MouseClickXY(x, y, chromedp.ClickCount(2))))
}

// write replaces the text of an element by typing.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.edit("selectAll")
	b.press(text)
}

// fill replaces the text of an element at once, as a password manager does.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.edit("selectAll")
	b.do(protocol(input.InsertText, input.InsertTextParams{Text: text}))
}

// press types into the element that has the focus. Package kb has the keys that write nothing.
func (b *tab) press(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// edit runs a command of the editor: selectAll, copy or paste.
func (b *tab) edit(name string) {
	b.t.Helper()
	down := input.DispatchKeyEventParams{Type: kb.KeyDown, Key: "Unidentified", Commands: []string{name}}
	up := input.DispatchKeyEventParams{Type: kb.KeyUp, Key: "Unidentified"}
	b.do(protocol(input.DispatchKeyEvent, down))
	b.do(protocol(input.DispatchKeyEvent, up))
}

// forgive ignores faults that the test causes itself, by parts of their text.
func (b *tab) forgive(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = parts
}

// offline disconnects the tab from the network, or connects it again.
func (b *tab) offline(off bool) {
	b.t.Helper()
	b.forgive("ERR_INTERNET_DISCONNECTED")
	b.do(protocol(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}},
	}))
	state := network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}
	b.do(protocol(network.OverrideNetworkState, state))
}

// hold holds the requests to a path back until release is called.
func (b *tab) hold(path string) {
	b.t.Helper()
	b.do(protocol(fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*" + path}}}))
}

// holding waits until n requests in all have been held back.
func (b *tab) holding(n int) {
	b.t.Helper()
	servicetest.Eventually(b.t, fmt.Sprintf("%d requests are held back", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.held == n
	})
}

// release lets all requests pass, also the ones that were held back.
func (b *tab) release() {
	b.t.Helper()
	b.do(protocol(fetch.Disable, cdp.Empty{}))
}

// made returns how many requests with a method and a path the page has made.
func (b *tab) made(method, path string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if r == method+" "+path {
			n++
		}
	}
	return n
}

func (b *tab) wantMade(method, path string, want int) {
	b.t.Helper()
	if got := b.made(method, path); got != want {
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

// accessible checks that axe finds no fault in the page in its present state, in both colour schemes.
func (b *tab) accessible(state string) {
	b.t.Helper()
	text, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, dark := range []bool{false, true} {
		b.look(dark)
		if _, err := eval[int](b, "window.axe || (() => {"+text+"})(), 0"); err != nil {
			b.t.Fatal(err)
		}
		found, err := eval[[]finding](b, violations)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range found {
			b.t.Errorf("%s (dark=%v): %s, %s: %s", state, dark, f.Rule, f.Help, strings.Join(f.Where, "\n\t"))
		}
	}
	b.look(false)
}

// violations runs axe and returns its findings.
const violations = `(async () => {
	const {violations} = await axe.run({resultTypes: ["violations"], rules: {"target-size": {enabled: true}}})
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

// TestBrowserFindsFaults checks that a tab finds every kind of fault.
func TestBrowserFindsFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]string{
		"console.error":             `<script>console.error("x")</script>`,
		"console.assert":            `<script>console.assert(false)</script>`,
		`"Uncaught" (`:              `<script>setTimeout(() => { throw new Error() })</script>`,
		"(in promise)":              `<script>Promise.reject(new Error())</script>`,
		"asks http://example.com/x": `<img alt="" src="http://example.com/x">`,
		"opens ws://":               `<script>new WebSocket("ws://127.0.0.1:1")</script>`,
		"answers 404":               `<script src="/nothing.js"></script>`,
		"security error":            `<p style="color: red">x</p>`,
		"a dialog":                  `<script>setTimeout(() => alert("x"))</script>`,
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := faults[r.URL.Query().Get("fault")]
		if !ok {
			w.WriteHeader(404)
		}
		w.Header().Set("Content-Security-Policy", "default-src * 'unsafe-inline'; style-src 'self'")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>x</title><link rel="icon" href="data:,">%s`, page)
	}))
	defer pages.Close()
	b := open(t, "about:blank", view{})
	found := func() string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return strings.Join(b.faults, "\n")
	}
	for fault := range faults {
		b.visit(pages.URL + "/?fault=" + url.QueryEscape(fault))
		servicetest.Eventually(t, "the tab finds "+fault, func() bool { return strings.Contains(found(), fault) })
	}
	b.visit("about:blank")
	b.mu.Lock()
	b.faults = nil
	b.mu.Unlock()
}
