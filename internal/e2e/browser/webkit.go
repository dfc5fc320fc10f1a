package browser

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
	"dekamond-otp/internal/servertest"
)

// A webkit is a MiniBrowser and the WebKitWebDriver that drives it, which has a single session. They are on a display
// of their own, in which the window always has the focus.
type webkit struct {
	kind    webkitKind
	session string // the URL of the session
}

// A webkitKind is what MiniBrowser learns only when it starts.
type webkitKind struct {
	dark bool
	zone string
}

// idle are the MiniBrowsers that no test uses. Tabs can follow one another in the same MiniBrowser, because each has
// origins of its own, those of its proxies.
var (
	idleMu sync.Mutex
	idle   = make(map[webkitKind][]*webkit)
)

func openWebKit(ctx context.Context, t *testing.T, v View) (engine, error) {
	t.Helper()
	kind := webkitKind{dark: v.Dark, zone: v.Zone}
	idleMu.Lock()
	var w *webkit
	if n := len(idle[kind]); n > 0 {
		w, idle[kind] = idle[kind][n-1], idle[kind][:n-1]
	}
	idleMu.Unlock()
	if w == nil {
		var err error
		if w, err = startWebKit(ctx, servertest.FreeAddress(t), kind); err != nil {
			return nil, err
		}
	}
	return w, w.resize(ctx, v.Width, v.Height)
}

// gtk are the files of the configuration of GTK. The toolbar of MiniBrowser would be wider than the narrowest page of
// the tests if it had margins and texts. Without animations the browser tells its pages to reduce motion.
var gtk = map[string]string{
	"gtk.css":      "button, entry, image { margin: 0; padding: 0; min-width: 0; min-height: 0; font-size: 1px; }\n",
	"settings.ini": "[Settings]\ngtk-enable-animations=0\n",
}

// startWebKit starts a display, a driver and a MiniBrowser.
func startWebKit(ctx context.Context, address string, kind webkitKind) (*webkit, error) {
	dir, err := home()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, ".config/gtk-3.0")
	if err := os.MkdirAll(config, 0o700); err != nil {
		return nil, err
	}
	for name, text := range gtk {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	display, err := startDisplay(dir)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(address)
	if _, err := start(dir, display, "WebKitWebDriver", "--host="+host, "--port="+port); err != nil {
		return nil, err
	}
	w := &webkit{kind: kind, session: "http://" + address + "/session"}
	args := append(slices.Clone(dying[1:]), WebKit.path(), "--automation")
	if kind.dark {
		args = append(args, "--dark-mode")
	}
	if kind.zone != "" {
		args = append(args, "--time-zone="+kind.zone)
	}
	wanted := map[string]any{"alwaysMatch": map[string]any{
		"pageLoadStrategy":         "none",
		"unhandledPromptBehavior":  "accept",
		"webkitgtk:browserOptions": map[string]any{"binary": dying[0], "args": args},
	}}
	var session struct {
		ID string `json:"sessionId"`
	}
	for { // until the driver listens
		err := w.call(ctx, "POST", "", map[string]any{"capabilities": wanted}, &session)
		if refused := new(net.OpError); !errors.As(err, &refused) {
			w.session += "/" + session.ID
			return w, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// startDisplay starts an X server for programs of this user and returns the environment in which they find it. The
// pointer rests in its middle, and so in every window, which gets the focus by that.
func startDisplay(dir string) (env []string, err error) {
	const family, method = "\xff\xff\x00\x00\x00\x00", "MIT-MAGIC-COOKIE-1" // for any host and display
	cookie := make([]byte, 16)
	_, _ = rand.Read(cookie)
	entry := family + "\x00" + string(rune(len(method))) + method + "\x00" + string(rune(len(cookie))) + string(cookie)
	authority := filepath.Join(dir, "Xauthority")
	if err := os.WriteFile(authority, []byte(entry), 0o600); err != nil {
		return nil, err
	}
	x, err := start(dir, nil, "Xvfb", "-displayfd", "1", "-auth", authority, "-nolisten", "tcp",
		"-screen", "0", "600x600x24")
	if err != nil {
		return nil, err
	}
	display, err := x.announces(`(?m)^(\d+)$`)
	return []string{"DISPLAY=:" + display, "XAUTHORITY=" + authority}, err
}

// call makes a call of WebDriver (W3C WebDriver §6) and decodes its value.
func (w *webkit) call(ctx context.Context, method, path string, body, value any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, w.session+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var reply struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&reply); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, reply.Value)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(reply.Value, value)
}

func (w *webkit) navigate(ctx context.Context, address string) error {
	return w.call(ctx, "POST", "/url", map[string]any{"url": address}, nil)
}

func (w *webkit) evaluate(ctx context.Context, expression string) (value string, err error) {
	script := map[string]any{"script": "return " + expression, "args": []any{}}
	err = w.call(ctx, "POST", "/execute/sync", script, &value)
	return value, err
}

func (w *webkit) press(ctx context.Context, keys, held []Key) error {
	return w.call(ctx, "POST", "/actions", map[string]any{"actions": pressing(keys, held)}, nil)
}

func (w *webkit) click(ctx context.Context, x, y float64, n int) error {
	return w.call(ctx, "POST", "/actions", map[string]any{"actions": clicking(x, y, n)}, nil)
}

// resize resizes the window until the page in it has the size.
func (w *webkit) resize(ctx context.Context, width, height int64) error {
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		const sizes = `(async () => JSON.stringify([innerWidth, innerHeight, outerWidth, outerHeight]))()`
		text, err := w.evaluate(ctx, sizes)
		if err != nil {
			return err
		}
		var size [4]int64
		if err := json.Unmarshal([]byte(text), &size); err != nil {
			return err
		}
		if size[0] == width && size[1] == height {
			return nil
		}
		window := map[string]any{"width": width + size[2] - size[0], "height": height + size[3] - size[1]}
		if err := w.call(ctx, "POST", "/window/rect", window, nil); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// picture waits for two frames first, because MiniBrowser returns what it drew last.
func (w *webkit) picture(ctx context.Context) ([]byte, error) {
	const frame = `new Promise(requestAnimationFrame)`
	if _, err := w.evaluate(ctx, `(async () => (await `+frame+`, await `+frame+`, ""))()`); err != nil {
		return nil, err
	}
	var data string
	if err := w.call(ctx, "GET", "/screenshot", nil, &data); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(data)
}

// close makes the MiniBrowser idle.
func (w *webkit) close() {
	ctx, cancel := context.WithTimeout(context.Background(), servicetest.Patience)
	defer cancel()
	const clear = `(async () => { localStorage.clear(); sessionStorage.clear(); return "" })()`
	_, err := w.evaluate(ctx, clear)
	err = errors.Join(err,
		w.call(ctx, "DELETE", "/cookie", nil, nil),
		w.navigate(ctx, "about:blank"),
	)
	if err != nil {
		return
	}
	idleMu.Lock()
	defer idleMu.Unlock()
	idle[w.kind] = append(idle[w.kind], w)
}
