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

// axeVersion is of axe-core, which finds what a page denies to people with a disability.
const axeVersion = "4.14.1"

// chromium starts the browser that all tests share. closeChromium ends it.
var (
	chromium = sync.OnceValues(func() (context.Context, error) {
		ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(os.Getenv("TEST_CHROMIUM")),
			chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-gpu", true),
			chromedp.Flag("blink-settings", "primaryPointerType=4,availablePointerTypes=4,primaryHoverType=2,availableHoverTypes=2"), // a mouse
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), // a test speaks with no other host
		)...)
		ctx, _ = chromedp.NewContext(ctx)
		closeChromium = cancel
		return ctx, chromedp.Do(ctx)
	})
	closeChromium = func() {}
)

// A view is what a tab is looked at with.
type view struct {
	width, height, scale int64 // of a desktop unless given
	mobile, dark         bool
	script               string // runs in every document before its own
	zone                 string // of the clock; "" is the machine's
}

// A tab is a window of its own, with cookies and storage of its own. What no page may do fails the test: an error or a
// warning on the console, an exception that nobody catches, a breach of its policy, a part that does not load, a dialog,
// a word to any host but the one that was opened.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	host     string
	said     []string // by the page or about it, for whoever reads of a failure
	faults   []string
	forgiven []string // what faults of this test's own making have in them
	requests []string // "POST /otp/request"
	held     int
}

// open opens an address.
func open(t *testing.T, address string, v view) *tab {
	t.Helper()
	if os.Getenv("TEST_CHROMIUM") == "" {
		const none = "NO BROWSER: .ci/with-services looks for one, or set TEST_CHROMIUM to its path"
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
		b.do(protocol(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: v.script}))
	}
	b.visit(address)
	return b
}

// protocol is a step that makes one call of the protocol, for the calls that chromedp has no step for.
func protocol[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// visit goes to an address, from which on the page may speak with its host alone.
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

// look sets what the page learns of the person's wishes.
func (b *tab) look(dark bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	b.do(protocol(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}))
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fault := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.ContainsFunc(b.forgiven, func(part string) bool { return strings.Contains(text, part) }) {
			b.faults = append(b.faults, text)
		}
	}
	say := func(format string, args ...any) { b.said = append(b.said, fmt.Sprintf(format, args...)) }
	called := func(kind network.ResourceType) bool {
		return kind == network.ResourceTypeFetch || kind == network.ResourceTypeXHR
	}
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Host != b.host && u.Scheme != "data" && u.Scheme != "blob" && u.Scheme != "about" {
			fault("the page asks %s", e.Request.URL)
			return
		}
		b.requests = append(b.requests, e.Request.Method+" "+u.Path)
		say("%s %s", e.Request.Method, e.Request.URL)
	case *network.EventWebSocketCreated:
		fault("the page opens %s", e.URL)
	case *network.EventResponseReceived:
		say("%d %s", e.Response.Status, e.Response.URL)
		if e.Response.Status >= 400 && !called(e.Type) {
			fault("%s answers %d", e.Response.URL, e.Response.Status)
		}
	case *network.EventLoadingFailed:
		say("%s %s", e.Type, e.ErrorText)
		if !e.Canceled && !called(e.Type) || e.BlockedReason != "" && e.BlockedReason != "other" {
			fault("a %s does not load: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	case *runtime.EventExceptionThrown:
		fault("not caught: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, string(arg.Value)+arg.Description)
		}
		say("console.%s %s", e.Type, strings.Join(words, " "))
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			fault("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		say("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Level != log.EntryLevelInfo && e.Entry.Level != log.EntryLevelVerbose {
			fault("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		fault("a dialog: %s", e.Message)
		go func() {
			_ = chromedp.Do(b.ctx, protocol(page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}))
		}()
	case *fetch.EventRequestPaused:
		b.held++
	}
}

// keep leaves what is known of a tab behind and says where.
func (b *tab) keep() {
	dir, err := os.MkdirTemp("", "otp-browser-")
	if err != nil {
		b.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "page.png"), picture, 0o600)
	}
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n\n" + document.documentElement.outerHTML`))
	_ = os.WriteFile(filepath.Join(dir, "page.html"), []byte(text), 0o600)
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = os.WriteFile(filepath.Join(dir, "said.txt"), []byte(strings.Join(b.said, "\n")), 0o600)
	b.t.Errorf("the page as it was last: %s", dir)
}

// picture gives what is in the window.
func (b *tab) picture(format page.CaptureScreenshotFormat) []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	captured, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: format, Quality: new(int64(70))})
	if err != nil {
		b.t.Fatal(err)
	}
	return captured.Data
}

func (b *tab) do(steps chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps); err != nil {
		b.t.Fatal(err)
	}
}

// eval gives the value of an expression in the page. A promise is awaited.
func eval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (b *tab) text(expression string) string {
	b.t.Helper()
	text, err := eval[string](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

// until waits until an expression is true, across the loading of pages.
func (b *tab) until(expression string) {
	b.t.Helper()
	servicetest.Eventually(b.t, "the page has "+expression, func() bool {
		ok, err := eval[bool](b, "!!("+expression+")")
		return ok && err == nil
	})
}

// is holds that an expression is true now.
func (b *tab) is(expression string) {
	b.t.Helper()
	if ok, err := eval[bool](b, "!!("+expression+")"); !ok || err != nil {
		b.t.Errorf("the page does not have %s %v", expression, err)
	}
}

// place gives the middle of an element that is shown and stands still, if a click there reaches it.
const place = `(async selector => {
	const shown = () => [...document.querySelectorAll(selector)].find(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled)
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

// at waits until a click can reach an element.
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

// write types into an element in place of what it holds.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.edit("selectAll")
	b.press(text)
}

// fill puts a text into an element at once, as a program does that writes for a person, in place of what it holds.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.edit("selectAll")
	b.do(protocol(input.InsertText, input.InsertTextParams{Text: text}))
}

// press types into what has the focus. Keys that write nothing are those of package kb.
func (b *tab) press(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// edit gives a command of the editor: selectAll, copy, paste.
func (b *tab) edit(name string) {
	b.t.Helper()
	b.do(protocol(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kb.KeyDown, Key: "Unidentified", Commands: []string{name}}))
	b.do(protocol(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kb.KeyUp, Key: "Unidentified"}))
}

// forgive lets faults pass that the test itself is the cause of, by what they have in them.
func (b *tab) forgive(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgiven = parts
}

// offline takes the network away from the tab, or gives it back.
func (b *tab) offline(off bool) {
	b.t.Helper()
	b.forgive("ERR_INTERNET_DISCONNECTED")
	b.do(protocol(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}},
	}))
	b.do(protocol(network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}))
}

// hold keeps the requests to a path back until release.
func (b *tab) hold(path string) {
	b.t.Helper()
	b.do(protocol(fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*" + path}}}))
}

// holding waits until that many requests have been held.
func (b *tab) holding(n int) {
	b.t.Helper()
	servicetest.Eventually(b.t, fmt.Sprintf("%d requests have been held", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.held == n
	})
}

func (b *tab) release() {
	b.t.Helper()
	b.do(protocol(fetch.Disable, cdp.Empty{}))
}

// made counts the requests of the page: made("POST", "/otp/request").
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
		b.t.Errorf("the page made %d times %s %s; want %d", got, method, path, want)
	}
}

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

// accessible holds that axe finds nothing in the page as it stands, light and dark.
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
		found, err := eval[[]finding](b, `axe.run({resultTypes: ["violations"], rules: {"target-size": {enabled: true}}}).then(r => r.violations.map(v =>
			({rule: v.id, help: v.help, where: v.nodes.map(n => n.target.join(" ") + ": " + n.any.concat(n.all, n.none).map(c => c.message).join("; "))})))`)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range found {
			b.t.Errorf("%s (dark=%v): %s, %s: %s", state, dark, f.Rule, f.Help, strings.Join(f.Where, "\n\t"))
		}
	}
	b.look(false)
}

type finding struct {
	Rule  string   `json:"rule"`
	Help  string   `json:"help"`
	Where []string `json:"where"`
}

func quote(text string) string {
	q, _ := json.Marshal(text)
	return string(q)
}

// TestBrowserFindsFaults holds the tab to what it says of itself.
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
