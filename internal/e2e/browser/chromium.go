package browser

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"dekamond-otp/internal/e2e/servicetest"
)

// startChromium starts the Chromium that all tabs share.
var startChromium = sync.OnceValues(func() (context.Context, error) {
	const mouse = "primaryPointerType=4,availablePointerTypes=4,primaryHoverType=2,availableHoverTypes=2"
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Chromium.path()),
		chromedp.WSURLReadTimeout(servicetest.Patience), // for the start
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("blink-settings", mouse),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), // no other host is reached
	)...)
	atEnd(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	return ctx, chromedp.Do(ctx)
})

// A chromium is a tab of Chromium.
type chromium struct {
	ctx     context.Context
	cancel  func()
	journal *journal
}

func openChromium(ctx context.Context, v View, j *journal) (engine, error) {
	browser, err := startChromium()
	if err != nil {
		return nil, err
	}
	c := &chromium{journal: j}
	c.ctx, c.cancel = chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(c.hear))
	if err := chromedp.Do(c.ctx); err != nil { // the tab lives as long as the context of its first step
		return nil, err
	}
	steps := []chromedp.Action[chromedp.Void]{
		viewport(v),
		Protocol(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		Scheme(v.Dark),
	}
	if v.Zone != "" {
		zone := emulation.SetTimezoneOverrideParams{TimezoneID: v.Zone}
		steps = append(steps, Protocol(emulation.SetTimezoneOverride, zone))
	}
	return c, c.do(ctx, chromedp.Steps(steps...))
}

func viewport(v View) chromedp.Action[chromedp.Void] {
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(float64(max(v.Scale, 1)))}
	if v.Touch {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	return chromedp.EmulateViewport(v.Width, v.Height, options...)
}

// Protocol returns a step that makes a call of the DevTools protocol for which chromedp has no step.
func Protocol[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// Scheme returns a step that sets the colour scheme that the person prefers. Motion is always reduced.
func Scheme(dark bool) chromedp.Action[chromedp.Void] {
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	return Protocol(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// within returns a context of the tab that ends with ctx.
func (c *chromium) within(ctx context.Context) (context.Context, context.CancelFunc) {
	tab, cancel := context.WithCancel(c.ctx)
	stop := context.AfterFunc(ctx, cancel)
	return tab, func() { stop(); cancel() }
}

func (c *chromium) do(ctx context.Context, steps chromedp.Action[chromedp.Void]) error {
	tab, cancel := c.within(ctx)
	defer cancel()
	return chromedp.Do(tab, steps)
}

func (c *chromium) navigate(ctx context.Context, address string) error {
	return c.do(ctx, chromedp.Navigate(address))
}

func (c *chromium) evaluate(ctx context.Context, expression string) (string, error) {
	tab, cancel := c.within(ctx)
	defer cancel()
	return chromedp.Run(tab, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

// silent are the names that chromedp has for the keys that write nothing.
var silent = strings.NewReplacer(
	Backspace, kb.Backspace,
	Tabulator, kb.Tab,
	Enter, kb.Enter,
	Escape, kb.Escape,
	End, kb.End,
	Home, kb.Home,
	ArrowLeft, kb.ArrowLeft,
	ArrowUp, kb.ArrowUp,
	ArrowRight, kb.ArrowRight,
	ArrowDown, kb.ArrowDown,
	Delete, kb.Delete,
)

// commands are the commands of the editor that belong to Control and a key. Chromium carries none of them out for keys
// that come by the protocol.
var commands = map[Key]string{"a": "selectAll", "c": "copy", "v": "paste", "x": "cut"}

func (c *chromium) press(ctx context.Context, keys, held []Key) error {
	var modifiers []chromedp.Modifier
	if slices.Contains(held, Shift) {
		modifiers = append(modifiers, chromedp.ModifierShift)
	}
	if !slices.Contains(held, Control) {
		text := silent.Replace(strings.Join(keys, ""))
		return c.do(ctx, chromedp.KeyEvent(text, chromedp.KeyModifiers(modifiers...)))
	}
	for _, key := range keys {
		down := input.DispatchKeyEventParams{Type: kb.KeyDown, Key: "Unidentified", Commands: []string{commands[key]}}
		up := input.DispatchKeyEventParams{Type: kb.KeyUp, Key: "Unidentified"}
		steps := chromedp.Steps(Protocol(input.DispatchKeyEvent, down), Protocol(input.DispatchKeyEvent, up))
		if err := c.do(ctx, steps); err != nil {
			return err
		}
	}
	return nil
}

func (c *chromium) click(ctx context.Context, x, y float64, n int) error {
	for count := 1; count <= n; count++ {
		if err := c.do(ctx, chromedp.MouseClickXY(x, y, chromedp.ClickCount(count))); err != nil {
			return err
		}
	}
	return nil
}

func (c *chromium) resize(ctx context.Context, width, height int64) error {
	return c.do(ctx, chromedp.EmulateViewport(width, height))
}

func (c *chromium) picture(ctx context.Context) ([]byte, error) {
	tab, cancel := c.within(ctx)
	defer cancel()
	return chromedp.Run(tab, chromedp.CaptureScreenshot())
}

func (c *chromium) close() { c.cancel() }

// hear finds the faults among the events of the tab.
func (c *chromium) hear(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		c.journal.asked(e.Request.URL)
	case *network.EventWebSocketCreated:
		c.journal.fault("the page opens %s", e.URL)
	case *network.EventLoadingFailed:
		byScript := e.Type == network.ResourceTypeFetch || e.Type == network.ResourceTypeXHR
		byBrowser := e.Type == network.ResourceTypeOther  // the icon, asked for late; the proxy finds a missing one
		missing := !e.Canceled && !byScript && !byBrowser // a script can handle that its request failed
		if missing || e.BlockedReason != "" && e.BlockedReason != "other" {
			c.journal.fault("a %s does not load: %s %s", e.Type, e.ErrorText, e.BlockedReason)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text = thrown.Description + string(thrown.Value) // of an Error, or of anything else
		}
		c.journal.fault("not caught: %s", text)
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range e.Args {
			words = append(words, string(arg.Value)+arg.Description)
		}
		c.journal.note("console.%s %s", e.Type, strings.Join(words, " "))
		if slices.Contains([]string{"error", "warning", "assert"}, string(e.Type)) {
			c.journal.fault("console.%s: %s", e.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		c.journal.note("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		harmless := e.Entry.Level == log.EntryLevelInfo || e.Entry.Level == log.EntryLevelVerbose
		if e.Entry.Source != log.EntrySourceNetwork && !harmless {
			c.journal.fault("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *page.EventJavascriptDialogOpening:
		c.journal.fault("a dialog: %s", e.Message)
		accept := page.HandleJavaScriptDialogParams{Accept: true}
		go func() { _ = chromedp.Do(c.ctx, Protocol(page.HandleJavaScriptDialog, accept)) }()
	}
}
