package pages

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

// message and sentTo are expressions of the message of the page, and of the digits of the phone that has the code.
const (
	message = `document.querySelector("#message").innerText`
	sentTo  = `document.querySelector("#code-phone").innerText.replaceAll(/\D/g, "")`
	other   = "+989121234568"
)

// TestPageTakesCodeMeanwhile types or corrects the code while the page waits for another answer.
func TestPageTakesCodeMeanwhile(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		b.hold("/otp/request")
		b.click("#resend")
		b.holding(1)
		b.click("#code")
		b.press(code)
		b.release()
		b.step("account")

		b = openLogin(t, s, v)
		b.ask(other)
		code = s.ShownCode(other)
		b.hold("/otp/verify")
		b.press(code[:5] + string('0'+(code[5]-'0'+1)%10))
		b.holding(1)
		b.press(browser.Backspace + code[5:])
		b.release()
		b.step("account")
		b.wantMade("POST", "/otp/verify", 2)
	})
}

// TestPageLeft leaves a step before its answer is there: the answer must change nothing.
func TestPageLeft(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		b.hold("/otp/verify")
		b.press(code)
		b.holding(1)
		b.click("#change")
		b.step("phone")
		b.ask(other)
		b.release()
		b.Eventually("the page ends the session that it has no use for", func() bool {
			return b.made("POST", "/logout") == 1
		})
		b.step("code")
		b.is(message + ` === "" && ` + sentTo + `.includes("989121234568")`)

		b.hold("/otp/request")
		b.click("#resend")
		b.holding(2)
		b.click("#change")
		b.step("phone")
		b.release()
		servicetest.Eventually(t, "the message is sent", func() bool {
			return strings.Count(s.Stdout.String(), "SMS to "+other) == 2
		})
		b.step("phone")
		b.is(message + ` === "" && document.activeElement.id === "phone"`)
	})
}

// TestPageUsedCode has the service use up the code before its answer is there.
func TestPageUsedCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		v.Script = `
			heard = []
			fetch = (fetch => async (...args) => {
				const answer = await fetch(...args)
				if (String(args[0]).endsWith("/otp/verify")) await new Promise(done => { arrive = done })
				return answer
			})(fetch)`
		b := openLogin(t, s, v)
		b.ask(phone)
		b.is(`observer = new MutationObserver(() => heard.push(` + message + `))`)
		b.is(`observer.observe(document.querySelector("#message"), {childList: true}) ?? true`)
		b.press(s.ShownCode(phone))
		b.untilAnswered("/otp/status*", 404)
		b.until(`window.arrive`)
		b.is(`arrive() ?? true`)
		b.step("account")
		b.is(`heard.join("") === ""`)
	})
}

// TestPageLogsOutAtOnce logs out before the list of sessions is there.
func TestPageLogsOutAtOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.hold("/me/sessions")
		b.Reload()
		b.holding(1)
		b.click("#logout")
		b.says("logged_out")
		b.release()
		b.untilAnswered("/me/sessions", 401)
		b.says("logged_out")
		b.is(`document.querySelector("#account-phone").textContent + document.querySelector("#code").value === ""`)
		b.wantMade("POST", "/token/refresh", 1)
	})
}

// TestPageTwin sends messages to the page as the twin of a duplicated tab does.
func TestPageTwin(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.is(`twin = new BroadcastChannel("otp.refresh_token"), kept = sessionStorage["otp.refresh_token"]`)
		b.is(`twin.postMessage({spent: "another", next: "x"}), twin.postMessage({spent: kept, next: "next"}), true`)
		b.until(`sessionStorage["otp.refresh_token"] === "next"`)
		b.is(`twin.onmessage = ({data}) => { told = data }`)
		b.is(`twin.postMessage({spent: kept}), twin.postMessage({spent: "next"}), true`)
		b.says("logged_out")
		b.step("phone")
		b.is(`sessionStorage["otp.refresh_token"] === undefined`)

		b.login(s, phone)
		b.is(`kept = sessionStorage["otp.refresh_token"]`)
		b.click("#logout")
		b.until(`told.spent === kept && !told.next`)

		b.login(s, phone)
		b.is(`delete sessionStorage["otp.refresh_token"]`) // as a later page of the tab may do
		b.is(`dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
		b.says("logged_out")
		b.is(`document.querySelector("#account-phone").textContent === ""`)
	})
}

// TestPageOpensInOddBrowser opens the page with broken values in sessionStorage, without BroadcastChannel, and with a
// language that is not a valid tag.
func TestPageOpensInOddBrowser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		v.Zone = "UTC"
		v.Script = `
			sessionStorage["otp.pending"] = "{"
			sessionStorage["otp.number"] = '{"region":"IR"}'
			BroadcastChannel = class { constructor() { throw new DOMException("no", "SecurityError") } }
			Object.defineProperty(Navigator.prototype, "languages", {get: () => ["en-US@posix"]})`
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.click("#logout")
		b.says("logged_out")
	})
}

// TestPageLanguages changes the language while its words cannot be loaded, and while they are late.
func TestPageLanguages(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		choose := func(language string) {
			b.is(`list = document.querySelector("#language"), list.value = ` + quote(language))
			b.is(`list.dispatchEvent(new Event("change"))`)
		}
		b.offline(true)
		choose("fr")
		b.says("offline")
		b.is(`document.querySelector("#language").value === "en"`)
		b.offline(false)
		b.hold("/login/words.fr.json")
		choose("fr")
		b.holding(1)
		choose("de")
		b.until(`document.documentElement.lang === "de"`)
		b.release()
		b.untilAnswered("/login/words.fr.json", 200)
		b.is(`document.documentElement.lang === "de"`)
		b.is(`document.querySelector("#language").value === "de"`)
		b.is(`localStorage["otp.language"] === "de"`)
	})
}

// TestPageComposes writes a number by an input method, which is only possible by the DevTools protocol.
func TestPageComposes(t *testing.T) {
	t.Parallel()
	b := openLogin(t, servicetest.Start(t, nil, "DEFAULT_REGION=IR"), view{Browser: browser.Chromium})
	for _, text := range []string{"0", "0912", "0912123"} {
		end := int64(len(text))
		params := input.ImeSetCompositionParams{Text: text, SelectionStart: end, SelectionEnd: end}
		b.do(browser.Protocol(input.ImeSetComposition, params))
	}
	b.do(browser.Protocol(input.InsertText, input.InsertTextParams{Text: "09121234567"}))
	b.until(field + ` === "0912 123 4567"`)
}

func TestPageLongName(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		v.Width, v.Height = 320, 640
		b := openLogin(t, servicetest.Start(t, nil, "APP_NAME="+strings.Repeat("W", 40)), v)
		b.is(`document.documentElement.scrollWidth <= innerWidth`)
		// A screen reader announces the first text of an element only if the element was not hidden.
		b.is(`["message", "delivery"].every(id => getComputedStyle(document.getElementById(id)).display !== "none")`)
	})
}
