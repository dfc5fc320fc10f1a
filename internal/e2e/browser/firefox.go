package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// preferences are those of a person who has a mouse and wants no motion. Firefox sets others itself for a remote end.
const preferences = `
user_pref("ui.primaryPointerCapabilities", 6);
user_pref("ui.allPointerCapabilities", 6);
user_pref("ui.prefersReducedMotion", 1);
user_pref("intl.accept_languages", "en-US, en");
`

// startFirefox starts the Firefox that all tabs share, and a session of WebDriver BiDi with it.
var startFirefox = sync.OnceValues(func() (*bidi, error) {
	dir, err := home()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(preferences), 0o600); err != nil {
		return nil, err
	}
	p, err := start(dir, nil, Firefox.path(), "--headless", "--no-remote", "--profile", dir,
		"--remote-debugging-port=0", "--remote-allow-system-access")
	if err != nil {
		return nil, err
	}
	address, err := p.announces(`WebDriver BiDi listening on (ws://\S+)`)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, address+"/session", nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	c := &bidi{conn: conn, waiting: make(map[int]chan reply), listeners: make(map[string]func(event))}
	go c.read(ctx)
	accept := map[string]any{"unhandledPromptBehavior": map[string]any{"default": "accept"}}
	wanted := map[string]any{"capabilities": map[string]any{"alwaysMatch": accept}}
	if err := c.call(ctx, "session.new", wanted, nil); err != nil {
		return nil, err
	}
	events := []string{"log.entryAdded", "network.beforeRequestSent", "browsingContext.userPromptOpened"}
	return c, c.call(ctx, "session.subscribe", map[string]any{"events": events}, nil)
})

// A bidi is a connection by WebDriver BiDi (W3C Working Draft), on which commands and events of all tabs travel.
type bidi struct {
	conn  *websocket.Conn
	front sync.Mutex // is held by the tab whose window has to stay in front

	mu        sync.Mutex // guards the fields below
	last      int        // the number of the last command
	waiting   map[int]chan reply
	listeners map[string]func(event) // by the browsing context
	broken    error
}

// A reply is the answer to a command, or the reason why there is none.
type reply struct {
	result json.RawMessage
	err    error
}

// An event has the parameters of all events that are subscribed to.
type event struct {
	Context string `json:"context"`
	Source  struct {
		Context string `json:"context"`
	} `json:"source"`
	Level   string `json:"level"`
	Type    string `json:"type"`
	Method  string `json:"method"`
	Text    string `json:"text"`
	Message string `json:"message"`
	Request struct {
		URL string `json:"url"`
	} `json:"request"`
}

// read passes replies and events on until the connection ends.
func (c *bidi) read(ctx context.Context) {
	for {
		var m struct {
			ID      int             `json:"id"`
			Type    string          `json:"type"`
			Result  json.RawMessage `json:"result"`
			Error   string          `json:"error"`
			Message string          `json:"message"`
			Params  event           `json:"params"`
		}
		if err := wsjson.Read(ctx, c.conn, &m); err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		waiting, listener := c.waiting[m.ID], c.listeners[m.Params.Context+m.Params.Source.Context]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case m.Type == "event" && listener != nil:
			listener(m.Params)
		case m.Type == "error" && waiting != nil:
			waiting <- reply{err: fmt.Errorf("%s: %s", m.Error, m.Message)}
		case m.Type == "success" && waiting != nil:
			waiting <- reply{result: m.Result}
		}
	}
}

// end fails the commands that wait for their reply, and all later ones.
func (c *bidi) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
	for _, waiting := range c.waiting {
		waiting <- reply{err: err}
	}
	clear(c.waiting)
}

// call sends a command and decodes its result.
func (c *bidi) call(ctx context.Context, method string, params, result any) error {
	answer := make(chan reply, 1)
	c.mu.Lock()
	c.last++
	id, broken := c.last, c.broken
	c.waiting[id] = answer
	c.mu.Unlock()
	if broken != nil {
		return broken
	}
	command := map[string]any{"id": id, "method": method, "params": params}
	// The connection is closed if the context of a write ends, and other tabs use it too.
	if err := wsjson.Write(context.WithoutCancel(ctx), c.conn, command); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r := <-answer:
		if r.err == nil && result != nil {
			r.err = json.Unmarshal(r.result, result)
		}
		if r.err != nil {
			return fmt.Errorf("%s: %w", method, r.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// A firefox is a tab of Firefox. It is the only tab of a window, so that it is drawn, and of a user context, so that it
// has cookies and storage of its own.
type firefox struct {
	*bidi
	journal       *journal
	user, context string
}

func openFirefox(ctx context.Context, v View, j *journal) (engine, error) {
	browser, err := startFirefox()
	if err != nil {
		return nil, err
	}
	var user struct {
		UserContext string `json:"userContext"`
	}
	if err := browser.call(ctx, "browser.createUserContext", struct{}{}, &user); err != nil {
		return nil, err
	}
	f := &firefox{bidi: browser, journal: j, user: user.UserContext}
	var tab struct {
		Context string `json:"context"`
	}
	window := map[string]any{"type": "window", "userContext": f.user}
	f.front.Lock()
	err = f.call(ctx, "browsingContext.create", window, &tab)
	f.front.Unlock()
	if err != nil {
		return nil, err
	}
	f.context = tab.Context
	f.mu.Lock()
	f.listeners[f.context] = f.hear
	f.mu.Unlock()
	if v.Zone != "" {
		zone := map[string]any{"timezone": v.Zone, "contexts": []string{f.context}}
		err = f.call(ctx, "emulation.setTimezoneOverride", zone, nil)
	}
	if v.Dark {
		err = errors.Join(err, f.darken(ctx))
	}
	return f, errors.Join(err, f.resize(ctx, v.Width, v.Height))
}

// darken sets the preferred colour scheme of the tab. WebDriver BiDi cannot do it, but a script of Firefox itself can.
func (f *firefox) darken(ctx context.Context) error {
	var chrome struct {
		Contexts []struct {
			Context string `json:"context"`
		} `json:"contexts"`
	}
	if err := f.call(ctx, "browsingContext.getTree", map[string]any{"moz:scope": "chrome"}, &chrome); err != nil {
		return err
	}
	const script = `ChromeUtils.importESModule("chrome://remote/content/shared/NavigableManager.sys.mjs")
		.NavigableManager.getBrowsingContextById(%q).prefersColorSchemeOverride = "dark"`
	return f.call(ctx, "script.evaluate", map[string]any{
		"expression":   fmt.Sprintf(script, f.context),
		"target":       map[string]any{"context": chrome.Contexts[0].Context},
		"awaitPromise": false,
	}, nil)
}

// on sends a command to the tab.
func (f *firefox) on(ctx context.Context, method string, params map[string]any, result any) error {
	params["context"] = f.context
	return f.call(ctx, method, params, result)
}

func (f *firefox) navigate(ctx context.Context, address string) error {
	return f.on(ctx, "browsingContext.navigate", map[string]any{"url": address, "wait": "none"}, nil)
}

func (f *firefox) evaluate(ctx context.Context, expression string) (string, error) {
	var result struct {
		Type   string `json:"type"`
		Result struct {
			Value string `json:"value"`
		} `json:"result"`
		ExceptionDetails struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	err := f.call(ctx, "script.evaluate", map[string]any{
		"expression":   expression,
		"target":       map[string]any{"context": f.context},
		"awaitPromise": true,
	}, &result)
	if err == nil && result.Type == "exception" {
		err = errors.New(result.ExceptionDetails.Text)
	}
	return result.Result.Value, err
}

func (f *firefox) press(ctx context.Context, keys, held []Key) error {
	return f.on(ctx, "input.performActions", map[string]any{"actions": pressing(keys, held)}, nil)
}

func (f *firefox) click(ctx context.Context, x, y float64, n int) error {
	return f.on(ctx, "input.performActions", map[string]any{"actions": clicking(x, y, n)}, nil)
}

func (f *firefox) resize(ctx context.Context, width, height int64) error {
	size := map[string]any{"width": width, "height": height}
	return f.on(ctx, "browsingContext.setViewport", map[string]any{"viewport": size}, nil)
}

// picture takes the picture of the window in front, because the focus is drawn in no other.
func (f *firefox) picture(ctx context.Context) ([]byte, error) {
	f.front.Lock()
	defer f.front.Unlock()
	if err := f.on(ctx, "browsingContext.activate", map[string]any{}, nil); err != nil {
		return nil, err
	}
	const drawn = `new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(""))))`
	if _, err := f.evaluate(ctx, drawn); err != nil {
		return nil, err
	}
	var result struct {
		Data string `json:"data"`
	}
	if err := f.on(ctx, "browsingContext.captureScreenshot", map[string]any{}, &result); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(result.Data)
}

func (f *firefox) close() {
	f.mu.Lock()
	delete(f.listeners, f.context)
	f.mu.Unlock()
	_ = f.call(context.Background(), "browser.removeUserContext", map[string]any{"userContext": f.user}, nil)
}

// hear finds the faults among the events of the tab.
func (f *firefox) hear(e event) {
	switch {
	case e.Request.URL != "":
		f.journal.asked(e.Request.URL)
	case e.Type == "console" && (e.Level == "error" || e.Level == "warn"):
		f.journal.fault("console.%s: %s", e.Method, e.Text)
	case e.Type == "javascript" && (e.Level == "error" || e.Level == "warn"):
		f.journal.fault("not caught: %s", e.Text)
	case e.Level != "":
		f.journal.note("%s %s: %s", e.Type, e.Level, e.Text)
	default:
		f.journal.fault("a dialog: %s", e.Message)
	}
}
