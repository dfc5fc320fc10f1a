package pages

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"dekamond-otp/internal/e2e/servicetest"
)

// startClientPage serves the page and the module of docs/clients/javascript.md on an origin of their own, and starts a
// service, with more settings, and the Node program of docs/api.md that allow it. It returns the service and the
// addresses of the page and of the program.
func startClientPage(t *testing.T, settings ...string) (s *servicetest.Service, address, api string) {
	t.Helper()
	files := make(map[string]string)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		_, _ = w.Write([]byte(files[r.URL.Path]))
	}))
	t.Cleanup(page.Close)
	s = servicetest.Start(t, nil, append(settings, "CORS_ORIGINS="+page.URL, "OTP_TTL=10m")...)
	api = servicetest.StartProgram(t, "js", s, page.URL).URL
	own := []string{"http://127.0.0.1:1628", s.URL, "http://127.0.0.1:8081", api}
	files["/"] = servicetest.Block(t, "clients/javascript.md", "html", own...)
	files["/otp.js"] = servicetest.Block(t, "clients/javascript.md", "javascript", own...)
	return s, page.URL, api
}

// A clientTab is a tab of Chromium that is on the client page. There is no proxy between the page and the services, as
// there is for other pages, because the origins would be those of the proxy.
type clientTab struct {
	t   *testing.T
	ctx context.Context
}

// openClient opens an address in another tab of the same browser, which shares its storage. The test fails if the page
// leaves an exception uncaught.
func openClient(t *testing.T, browser context.Context, address string) *clientTab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			t.Errorf("not caught: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		}
	}))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	b := &clientTab{t, ctx}
	b.visit(address)
	return b
}

func (b *clientTab) visit(address string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(address)); err != nil {
		b.t.Fatal(err)
	}
}

// text returns the value of an expression as text. A promise is awaited.
func (b *clientTab) text(expression string) string {
	b.t.Helper()
	source := "(async () => String(await (" + expression + ")))()"
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](source, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Errorf("%s: %v", expression, err)
	}
	return text
}

// until waits until an expression is true.
func (b *clientTab) until(expression string) {
	b.t.Helper()
	servicetest.Eventually(b.t, "the page satisfies "+expression, func() bool {
		return b.text("!!("+expression+")") == "true"
	})
}

// click clicks the element of an id, once it is shown.
func (b *clientTab) click(id string) {
	b.t.Helper()
	b.until(`document.querySelector("` + id + `").checkVisibility()`)
	b.text(`document.querySelector("` + id + `").click()`)
}

// ask asks for a code.
func (b *clientTab) ask() {
	b.t.Helper()
	b.text(`document.querySelector("#phone").value = ` + quote(phone))
	b.click("#login button")
}

// expire makes the access token of the client invalid, as one that has expired is.
const expire = `(s => localStorage["otp.session"] = JSON.stringify({...s, access_token: "expired"}))` +
	`(JSON.parse(localStorage["otp.session"]))`

// TestClientPage uses the client of the documents in two tabs, on another origin than the service and the API that
// checks its tokens: it logs in, lets the access token expire in both tabs at once, loses the answer of a refresh, and
// logs out in one tab.
func TestClientPage(t *testing.T) {
	t.Parallel()
	s, address, api := startClientPage(t)
	shared := open(t, "about:blank", view{}).DevTools()
	first, second := openClient(t, shared, address), openClient(t, shared, address)
	first.until(`!document.querySelector("#login").hidden && document.querySelector("#account").hidden`)
	first.ask()
	first.until(`!document.querySelector("#code").hidden`)
	first.text(`document.querySelector("#code").value = ` + quote(s.ShownCode(phone)))
	first.click("#login button")

	const orders = `document.querySelector("#text").textContent.startsWith("the orders of ")`
	tabs := []*clientTab{first, second}
	for _, b := range tabs { // the other tab is logged in as well
		b.until(`!document.querySelector("#account").hidden && document.querySelector("#login").hidden`)
		b.click("#orders")
		b.until(orders)
	}
	refreshes := func() int { return strings.Count(s.Log.String(), "route=/token/refresh status=200") }
	if n := refreshes(); n != 0 {
		t.Errorf("before the access token expires, the service has refreshed %d times; want 0", n)
	}

	call := `import("/otp.js").then(({fetchAsUser}) => Promise.all(Array.from({length: 5},
		() => fetchAsUser(` + quote(api+"/orders") + `)))).then(all => all.map(r => r.status).join())`
	first.text(expire)
	var wg sync.WaitGroup
	for _, b := range tabs {
		wg.Go(func() {
			if got := b.text(call); got != "200,200,200,200,200" {
				t.Errorf("five calls with an expired token: %s; want 200 each", got)
			}
		})
	}
	wg.Wait()
	before := refreshes()
	if before < 1 || before > len(tabs) { // a tab may learn late what another one has stored
		t.Errorf("after ten calls in two tabs the service has refreshed %d times; want once, or once a tab", before)
	}
	const renewed = `JSON.parse(localStorage["otp.session"]).refresh_token`
	second.until(renewed + " === " + quote(first.text(renewed))) // whichever tab has refreshed

	first.text(expire)
	first.text(`document.querySelector("#text").textContent = "waiting"`)
	first.text(`(real => { window.fetch = (...all) => real(...all).then(answer => {
		if (!String(all[0]).endsWith("/token/refresh")) return answer
		window.fetch = real
		throw new TypeError("lost")
	}) })(window.fetch), true`)
	first.click("#orders")
	first.until(orders)
	if n := refreshes() - before; n != 2 {
		t.Errorf("with a lost answer the service has refreshed %d times; want 2", n)
	}

	second.visit(address) // the login outlives a reload
	second.until(`!document.querySelector("#account").hidden`)
	second.click("#logout")
	for _, b := range tabs {
		b.until(`!document.querySelector("#login").hidden && document.querySelector("#account").hidden`)
		b.until(`!localStorage["otp.session"]`)
		b.until(`JSON.parse(localStorage["otp.device"]).device_token`) // outlives the logout
	}
	if !strings.Contains(s.Log.String(), "route=/logout status=204") {
		t.Error("the service has not ended the session")
	}
}

// TestClientPageOffersLiveCode asks for a code on the client page while one is live that was requested elsewhere. The
// page offers a field for as many digits as that code has, and logs in with it.
func TestClientPageOffersLiveCode(t *testing.T) {
	t.Parallel()
	s, address, _ := startClientPage(t, "OTP_LENGTH=7", "OTP_RESEND_AFTER=10m")
	s.Want(s.Request(phone), 202, "")
	b := openClient(t, open(t, "about:blank", view{}).DevTools(), address)
	b.until(`!document.querySelector("#login").hidden`)
	b.ask()
	b.until(`!document.querySelector("#code").hidden && document.querySelector("#code").maxLength === 7`)
	b.until(`document.querySelector("#text").textContent === "Please type the code that was sent to you."`)
	b.text(`document.querySelector("#code").value = ` + quote(s.ShownCode(phone)))
	b.click("#login button")
	b.until(`!document.querySelector("#account").hidden`)
}
