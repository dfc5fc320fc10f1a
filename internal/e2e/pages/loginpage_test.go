package pages

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

// said returns the text of the login page in a language for a word, or for the code of a problem.
func said(t *testing.T, language, word string) string {
	t.Helper()
	text, err := os.ReadFile(servicetest.Root + "internal/httpapi/pages/login/words." + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]any
	if err := json.Unmarshal(text, &words); err != nil {
		t.Fatal(err)
	}
	s, ok := words[word].(string)
	if problems, _ := words["problems"].(map[string]any); !ok {
		s, ok = problems[word].(string)
	}
	if !ok {
		t.Fatalf("the page has no word %s", word)
	}
	return s
}

// line is an expression of the one line of text below the field of a step: its hint, its status, or a message.
const line = `[...document.querySelectorAll("main .line")].map(e => e.checkVisibility() ? e.innerText : "").join("")`

// says waits until the line of the page has the text of a word.
func (b *tab) says(word string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`%s.includes(%s)`, line, quote(said(b.t, "en", word))))
}

// step waits until the page is at a step, phone, code or account, and waits for no answer.
func (b *tab) step(name string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.body.dataset.step === %s && !document.body.dataset.busy`, quote(name)))
	if name == "account" {
		b.until(`document.querySelector("#sessions > li")`)
	}
}

// endless is a script that lets the page wait for an answer for as long as a test holds it back, or a machine is slow.
const endless = "AbortSignal.timeout = () => new AbortController().signal\n"

// openLogin opens the login page of a service.
func openLogin(t *testing.T, s *servicetest.Service, v view) *tab {
	t.Helper()
	v.Script = endless + v.Script
	b := open(t, s.URL, v)
	b.step("phone")
	return b
}

// ask asks for a code on the page.
func (b *tab) ask(phone string) {
	b.t.Helper()
	b.write("#phone", phone)
	b.click("#send")
	b.step("code")
}

// login logs in on the page, with the code that the console provider has printed.
func (b *tab) login(s *servicetest.Service, phone string) {
	b.t.Helper()
	b.ask(phone)
	b.write("#code", s.ShownCode(phone))
	b.step("account")
}

// field is the expression of the number in the page.
const field = `document.querySelector("#phone").value`

func TestPageSignsUpAndLogsIn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "APP_NAME=Orders")...)
		b := openLogin(t, s, v)
		b.is(`document.title.includes("Orders")`)
		b.is(`document.activeElement.id === "phone"`)
		b.accessible("the phone step")
		b.ask("+98 912 123 4567")
		b.until(`document.querySelector("#messages li button")`)
		b.accessible("the code step")
		b.click("#messages li button") // which takes the code from the message
		b.step("account")
		b.is(`document.querySelector("#title").textContent === ` + quote(said(t, "en", "welcome_new")))
		b.is(`document.querySelector("#account-phone").textContent.replaceAll(/\D/g, "") === "989121234567"`)
		b.until(`document.querySelectorAll("#sessions > li").length === 1`)
		b.accessible("the account")
		b.wantMade("POST", "/otp/request", 1)
		b.wantMade("POST", "/otp/verify", 1)

		b.click("#logout")
		b.says("logged_out")
		b.step("phone")
		b.accessible("logged out")
		b.login(s, phone)
		b.is(`document.querySelector("#title").textContent === ` + quote(said(t, "en", "welcome")))
	})
}

func TestPageWrongCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		for n := 1; n <= 5; n++ {
			b.press(servicetest.WrongCode(code)) // the last digit sends the code
			b.step("code")
			b.Eventually("the page sends the code", func() bool { return b.made("POST", "/otp/verify") == n })
			if n < 5 {
				b.says("invalid_code")
				b.until(`(e => e.id === "code" && e.value === "" && e.ariaInvalid === "true")(document.activeElement)`)
			}
			if n == 1 {
				b.accessible("after a wrong code")
			}
		}
		b.says("code_dead")
		b.accessible("after the last attempt")
		b.until(`document.activeElement.id === "resend"`)
		b.press(code) // goes nowhere, because there is no field
		b.wantMade("POST", "/otp/verify", 5)
		b.click("#resend")
		b.says("resent_new")
		b.press(s.ShownCode(phone)) // the same code, which has attempts of its own with the new request
		b.step("account")
	})
}

func TestPageResends(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "OTP_TTL=10m", "OTP_RESEND_AFTER=15s")
		v.Script = stopsClock // the status tells the page when the wait is over
		b := openLogin(t, s, v)
		b.hold("/otp/status*")
		b.ask(phone)
		b.is(`(e => e.disabled && / in \d+ seconds?$/.test(e.textContent))(document.querySelector("#resend"))`)
		code := s.ShownCode(phone)
		b.release()
		b.until(`document.querySelector("#delivery").textContent === ` + quote(said(t, "en", "delivery_sent")))
		b.until(`!document.querySelector("#resend").disabled`)
		b.hold("/otp/status*")
		b.click("#resend")
		b.until(`document.querySelector("#resend").disabled`)
		b.release()
		b.says("resent")
		b.until(`document.querySelectorAll("#messages li").length === 2`)
		b.wantMade("POST", "/otp/request", 2)
		if again := s.ShownCode(phone); again != code {
			t.Errorf("the code of the second message is %s; want %s", again, code)
		}
		b.press(code)
		b.step("account")
	})
}

// TestPageExpires moves the clock of the browser past the life of the code, and then removes the code from Redis.
func TestPageExpires(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		stores := servicetest.RealStores(t)
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.sleep(10 * time.Minute)
		b.says("code_expired")
		b.accessible("after the code expired")

		b = openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		if err := servicetest.Redis(t, stores).FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		b.press(code)
		b.says("code_dead")
		b.click("#resend")
		b.says("resent_new")
		b.press(s.ShownCode(phone))
		b.step("account")
	})
}

func TestPageOffline(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.offline(true)
		b.write("#phone", phone)
		b.click("#send")
		b.says("offline")
		b.step("phone")
		b.offline(false)
		b.click("#send")
		b.step("code")

		b.offline(true)
		b.press(s.ShownCode(phone))
		b.until(message + ` === ` + quote(said(t, "en", "offline")))
		b.step("code")
		b.offline(false)
		b.click("#verify") // the page has kept the code
		b.step("account")

		b.offline(true)
		b.click("#logout")
		b.says("offline")
		b.step("account")
		b.offline(false)
		b.click("#logout")
		b.step("phone")
	})
}

// restart ends a service without warning, unless it has ended already, and starts it again with other settings.
func restart(t *testing.T, s *servicetest.Service, env ...string) *servicetest.Service {
	t.Helper()
	s.End(syscall.SIGKILL)
	address := "HTTP_ADDR=" + strings.TrimPrefix(s.URL, "http://")
	s = servicetest.Launch(t, s.Dir, slices.Concat(s.Env, []string{address}, env)...)
	s.Await()
	return s
}

// TestPageSurvivesRestart kills the service between the request and the answer, and restarts it with another key for
// tokens.
func TestPageSurvivesRestart(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		secrets := []string{"OTP_SECRET=" + servicetest.OTPSecret, "JWT_SECRET=" + servicetest.JWTSecret}
		s := servicetest.Start(t, append(servicetest.RealStores(t), secrets...), servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		s.End(syscall.SIGKILL)
		b.press(code)
		b.says("unreachable")
		s = restart(t, s)
		b.click("#verify")
		b.step("account")

		restart(t, s, "JWT_SECRET=another-"+servicetest.JWTSecret)
		b.click("#logout") // the call is refused; the page refreshes its tokens and repeats it
		b.says("logged_out")
		b.wantMade("POST", "/token/refresh", 1)
		b.wantMade("POST", "/logout", 2)
	})
}

func TestPageStoresDown(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		stores := servicetest.RealStores(t)
		redis, redisURL := servicetest.Through(t, stores[1])
		s := servicetest.Start(t, []string{stores[0], redisURL}, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		redis.Shut(true)
		b.write("#phone", phone)
		b.click("#send")
		b.says("unavailable")
		b.step("phone")
		b.accessible("while the service is not available")
		redis.Shut(false)
		b.click("#send")
		b.step("code")
		code := s.ShownCode(phone)
		redis.Shut(true)
		b.press(code)
		b.says("unavailable")
		redis.Shut(false)
		b.click("#verify")
		b.step("account")
	})
}

func TestPageThrottled(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=1/10m")
		b := openLogin(t, s, v)
		s.Login(phone)
		b.write("#phone", phone)
		b.click("#send")
		b.says("too_many_requests")
		const left = `document.querySelector("#left").innerText`
		if first := b.text(left); !regexp.MustCompile(`^Try again in (10|[6-9]) minutes\.$`).MatchString(first) {
			t.Errorf("the message ends with %q; want the time until the next request is accepted", first)
		}
		b.accessible("throttled")
		b.sleep(5 * time.Minute)
		b.until(`/^Try again in ([1-5] minutes?|\d+ seconds)\.$/.test(` + left + `)`)
		b.sleep(5 * time.Minute)
		b.says("retry_now")
	})
}

// digits replaces European digits by the digits of a language.
var digits = map[string]*strings.Replacer{
	"fa": strings.NewReplacer(
		"0", "۰", "1", "۱", "2", "۲", "3", "۳", "4", "۴", "5", "۵", "6", "۶", "7", "۷", "8", "۸", "9", "۹"),
	"ar": strings.NewReplacer(
		"0", "٠", "1", "١", "2", "٢", "3", "٣", "4", "٤", "5", "٥", "6", "٦", "7", "٧", "8", "٨", "9", "٩"),
}

// TestPageRightToLeft logs in with digits as they are typed in Persian and in Arabic.
func TestPageRightToLeft(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil,
			"OTP_TTL=10m", "OTP_RESEND_AFTER=59s", "OTP_LIMIT_PHONE=off", "DEFAULT_REGION=IR")
		for language, local := range digits {
			b := open(t, s.URL+"/?lang="+language, v)
			b.step("phone")
			b.is(`document.dir === "rtl" && document.documentElement.lang === ` + quote(language))
			b.accessible(language + ", the phone step")
			to := map[string]string{"fa": phone, "ar": "+989121234568"}[language]
			b.ask(local.Replace("0" + strings.TrimPrefix(to, "+98")))
			if language == "fa" { // in Arabic the browser counts with European digits
				b.is(`/[۰-۹] ثانیه/.test(document.querySelector("#resend").textContent)`)
			}
			b.accessible(language + ", the code step")
			b.press(local.Replace(s.ShownCode(to)))
			b.step("account")
			b.accessible(language + ", the account")
		}
	})
}

// cut is an expression of the faults of a page of 320 pixels: elements that are cut off, out of sight or too small.
const cut = `(() => {
	const found = []
	if (document.documentElement.scrollWidth > 320) found.push("the page scrolls sideways")
	for (const e of document.body.querySelectorAll("*")) {
		if (!e.checkVisibility({visibilityProperty: true})) continue
		if (e.closest(".unseen, svg, option, noscript") || getComputedStyle(e).clipPath !== "none") continue
		const box = e.getBoundingClientRect(), what = e.tagName + (e.id && "#" + e.id)
		const outside = box.left < -0.5 || box.right > 320.5
		if (box.width && outside) found.push(what + " is out of sight: " + box.left + " to " + box.right)
		const hasText = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())
		const clips = getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1
		if (hasText && clips) found.push(what + " is cut")
		const small = box.height < 24 || box.width < 24
		if (small && e.matches("button, input, select, a")) found.push(what + " is too small for a finger")
	}
	return found.join("\n")
})()`

// fits checks that a page of 320 pixels shows all that it has, in its present state.
func (b *tab) fits(state string) {
	b.t.Helper()
	if found := b.text(cut); found != "" {
		b.t.Errorf("%s: %s", state, found)
	}
}

// TestPageNarrow uses the page on a phone of 320 pixels, in every language.
func TestPageNarrow(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		languages, err := os.ReadDir(servicetest.Root + "internal/httpapi/pages/login")
		if err != nil {
			t.Fatal(err)
		}
		v.Width, v.Height, v.Touch = 320, 568, true
		b := openLogin(t, s, v)
		for _, file := range languages {
			language, ok := strings.CutPrefix(strings.TrimSuffix(file.Name(), ".json"), "words.")
			if !ok {
				continue
			}
			b.Visit(s.URL + "/?lang=" + language)
			b.step("phone")
			b.is(`document.documentElement.lang === ` + quote(language))
			b.is(`![...document.querySelectorAll("[data-word]")].some(e => e.textContent === "")`)
			b.fits(language + ", the phone step")
			b.write("#phone", "+1")
			b.click("#send")
			b.until(`document.querySelector("#message").textContent`)
			b.fits(language + ", after a wrong number")
			b.ask(phone)
			b.fits(language + ", the code step")
			b.press(s.ShownCode(phone))
			b.step("account")
			b.fits(language + ", the account")
			b.click("#logout")
			b.step("phone")
		}
		b.accessible("on a phone")

		s = servicetest.Start(t, nil, "APP_NAME=Donaudampfschifffahrtsgesellschaft Wien", "OTP_LENGTH=10")
		b = openLogin(t, s, v)
		b.fits("a long name")
		b.ask(phone)
		b.fits("a long name, and a long code")
	})
}

// TestPageKeyboard uses the page without a mouse.
func TestPageKeyboard(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		focus := func() string {
			return b.text(`(e => e.id || e.className || e.tagName)(document.activeElement)`)
		}
		// tabTo presses the tab key until an element has the focus, and checks that every focus on the way is visible.
		tabTo := func(id string, modifiers ...browser.Key) {
			t.Helper()
			for n := 0; focus() != id; n++ {
				if n == 20 {
					t.Fatalf("the tab key does not reach %s", id)
				}
				b.press(browser.Tabulator, modifiers...)
				if focus() == "BODY" {
					continue
				}
				with := b.Picture()
				b.text(`(window.focused = document.activeElement).blur(), ""`)
				if string(with) == string(b.Picture()) {
					t.Errorf("it is not visible that %s has the focus", b.text("focused.id || focused.outerHTML"))
				}
				b.text(`focused.focus({focusVisible: true}), ""`)
			}
		}
		tabTo("region", browser.Shift)
		b.Eventually("the typed name finds the region", func() bool {
			b.press("Ger")
			if b.text(`document.querySelector("#region").value`) == "DE" {
				return true
			}
			time.Sleep(2 * time.Second) // the browser forgets letters that came too slowly
			return false
		})
		b.press(browser.ArrowDown)
		b.until(`document.querySelector("#region").value === "GH"`)
		tabTo("phone")
		b.press(phone + browser.Enter)
		b.step("code")
		if got := focus(); got != "code" {
			t.Errorf("in the code step %s has the focus; want the code", got)
		}
		tabTo("change", browser.Shift)
		b.press(browser.Enter)
		b.step("phone")
		if got := focus(); got != "phone" {
			t.Errorf("back in the phone step %s has the focus; want the phone", got)
		}
		b.press(browser.Enter)
		b.step("code")
		tabTo("drawer-switch")
		tabTo("BUTTON") // which is in the message
		b.press(browser.Enter)
		b.step("account")
		if got := focus(); got != "title" {
			t.Errorf("after the login %s has the focus; want the title", got)
		}
		tabTo("logout")
		b.press(" ")
		b.step("phone")
	})
}

func TestPageHistory(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.Travel(-1)
		b.step("phone")
		b.is(field + ` !== ""`)
		b.Travel(1)
		b.step("code")
		b.Reload()
		b.step("code")
		b.wantMade("POST", "/otp/request", 1)
		b.press(s.ShownCode(phone))
		b.step("account")
		b.Reload()
		b.step("account")
		b.Travel(-1)
		b.step("account")
		b.Travel(1)
		b.step("account")
		b.is(`document.querySelector("#account-phone").textContent`)
		b.click("#logout")
		b.step("phone")
		b.Reload()
		b.step("phone")
	})
}

// TestPageSendsOnce holds requests back, so that the second click surely comes before the first answer.
func TestPageSendsOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.hold("/otp/*")
		b.write("#phone", phone)
		b.doubleClick("#send")
		b.press(browser.Enter)
		b.holding(1)
		b.release()
		b.step("code")
		b.wantMade("POST", "/otp/request", 1)
		if code := s.ShownCode(phone); strings.Count(s.Stdout.String(), code) != 1 {
			t.Errorf("the phone has more than one message:\n%s", s.Stdout.String())
		} else {
			b.hold("/otp/verify")
			b.press(code + browser.Enter)
			b.doubleClick("#verify")
			b.press(browser.Enter)
		}
		b.holding(2)
		b.release()
		b.step("account")
		b.wantMade("POST", "/otp/verify", 1)
	})
}

// TestPagePastes is the only test that uses the clipboard, which all tabs share.
func TestPagePastes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.copies("0098 (912) 123-4567")
		b.click("#phone")
		b.press("v", browser.Control)
		b.until(`document.querySelector("#region").value === "IR"`)
		b.click("#send")
		b.step("code")
		const message = "2 new messages\nOrders: your code is\n%s\n120 seconds are left."
		b.copies(fmt.Sprintf(message, s.ShownCode(phone)))
		b.click("#code")
		b.press("v", browser.Control)
		b.step("account")
	})
}

// TestPageWebOTP has a browser that reads the message by itself (WebOTP API).
func TestPageWebOTP(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		v.Script = `
			window.OTPCredential = class {}
			const get = ({otp, signal}) => new Promise((resolve, reject) => {
				window.asked = otp.transport.join()
				window.arrived = code => resolve({code})
				signal.addEventListener("abort", () => { window.asked = "no more"; reject(signal.reason) })
			})
			Object.defineProperty(navigator, "credentials", {value: {get}})`
		b := openLogin(t, s, v)
		b.ask(phone)
		b.until(`window.asked === "sms"`)
		b.click("#change")
		b.step("phone")
		b.until(`window.asked === "no more"`)
		b.ask("+989121234568")
		b.until(`window.asked === "sms"`)
		b.text(`arrived(` + quote(s.ShownCode("+989121234568")) + `), ""`)
		b.step("account")
		b.wantMade("POST", "/otp/verify", 1)
	})
}

func TestPageFormatsNumbers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.write("#phone", "+44")
		b.until(`document.querySelector("#region").value === "GB"`)
		for _, tc := range []struct{ typed, region, shown string }{
			{"+447400123456", "GB", "7400 123456"},
			{"+98 0912 345 6789", "IR", "0912 345 6789"},
			{"00989123456789", "IR", "912 345 6789"},
			{"+15062345678", "CA", "(506) 234-5678"},
			{"+1 202 555 0123", "US", "(202) 555-0123"},
		} {
			b.write("#phone", tc.typed)
			got := b.text(`document.querySelector("#region").value + " " + ` + field)
			if got != tc.region+" "+tc.shown {
				t.Errorf("%s is shown as %s; want %s %s", tc.typed, got, tc.region, tc.shown)
			}
		}
		for range 4 {
			b.press(browser.ArrowLeft)
		}
		b.press(browser.Backspace)
		b.press("7")
		const want = "10 (202) 557-0123"
		if got := b.text(`document.querySelector("#phone").selectionStart + " " + ` + field); got != want {
			t.Errorf("after a correction in the middle the caret and the number are %s; want %s", got, want)
		}
	})
}

func TestPageRegions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "SMS_REGIONS=IR,DE")...)
		b := openLogin(t, s, v)
		const regions = `[...document.querySelectorAll("#region option")].map(o => o.value).sort().join()`
		if got := b.text(regions); got != "DE,IR" {
			t.Errorf("the page offers the regions %s; want DE,IR", got)
		}
		b.write("#phone", "+33 6 12 34 56 78")
		b.click("#send")
		b.says("destination_not_allowed")
		b.write("#phone", "+49 30")
		b.click("#send")
		b.says("invalid_phone")
		b.is(`document.activeElement.id === "phone" && document.activeElement.ariaInvalid === "true"`)
		b.accessible("after a wrong number")
		b.ask("+49 1512 3456789")

		v.Zone = "Asia/Tehran"
		b = open(t, servicetest.Start(t, nil).URL, v)
		b.step("phone")
		b.is(`document.querySelector("#region").value === "IR"`)
	})
}

func TestPageSessions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		other := s.Login(phone, "User-Agent: <b>an app</b>")
		b.Reload()
		b.until(`document.querySelectorAll("#sessions > li").length === 2`)
		b.is(`document.querySelector("#sessions").innerText.includes("<b>an app</b>")`)
		b.accessible("two sessions")
		b.click("#sessions button.end")
		b.until(`document.querySelectorAll("#sessions > li").length === 1`)
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 401, "invalid_token")

		other = s.Login(phone)
		b.click("#logout-all")
		b.click("#logout-all-yes")
		b.says("logged_out")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 401, "invalid_token")

		b.login(s, phone)
		users := s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "").Field("users").([]any)
		user := users[0].(map[string]any)["id"].(string)
		s.Want(s.Call("PATCH", "/users/"+user, `{"banned":true}`, servicetest.Admin), 200, "")
		b.click("#logout")
		b.step("phone")
		b.hold("/otp/status*")
		b.ask(phone)
		b.holding(1)
		b.press(s.ShownCode(phone))
		b.says("banned")
		b.step("phone")
		b.release()
		b.untilAnswered("/otp/status*", 404)
		b.is(message + ` === ` + quote(said(t, "en", "banned")))
	})
}

// TestPageRefreshes moves the clock of the browser past the life of the access token.
func TestPageRefreshes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "ACCESS_TTL=1m")...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		s.Login(phone)
		b.sleep(61 * time.Second)
		b.wantMade("POST", "/token/refresh", 0)
		b.click("#logout")
		b.says("logged_out")
		b.wantMade("POST", "/token/refresh", 1)
		b.wantMade("POST", "/logout", 1)
	})
}

func TestPageProduction(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		p := servicetest.NewWebhook(t)
		s := servicetest.Start(t, servicetest.RealStores(t), append(p.Settings(),
			"APP_ENV=production",
			"OTP_SECRET="+servicetest.OTPSecret,
			"JWT_SECRET="+servicetest.JWTSecret,
			"LOG_FORMAT=text",
			"SMS_REGIONS=IR",
			"OTP_LENGTH=8",
		)...)
		b := openLogin(t, s, v)
		b.ask(phone)
		servicetest.Eventually(t, "the message is sent", func() bool { return len(sent(p)) == 1 })
		b.is(`!document.querySelector("#drawer")?.checkVisibility()`)
		code := p.Messages()[0]["code"]
		b.press(code[:7])
		b.is(`document.querySelector("#code").value.length === 7`)
		b.wantMade("POST", "/otp/verify", 0)
		b.press(code[7:])
		b.step("account")
		b.wantMade("GET", "/dev/messages", 0)
	})
}

func TestPageSignupWithoutLogin(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "SIGNUP_LOGS_IN=false")...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.press(s.ShownCode(phone))
		b.says("registered")
		b.step("phone")
		b.login(s, phone)
	})
}

func TestPageDark(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil)
		const background = `[document.documentElement, document.body]
			.map(e => getComputedStyle(e).backgroundColor).join()`
		light := openLogin(t, s, v).text(background)
		v.Dark = true
		if dark := openLogin(t, s, v).text(background); dark == light {
			t.Errorf("the background is %s in light and in dark", dark)
		}
	})
}

// TestPageWithoutJavaScript runs in Chromium, in which a script of the test can still look at the page.
func TestPageWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil)
	b := openLogin(t, s, view{Browser: browser.Chromium})
	b.Forgive("a Script does not load")
	disabled := emulation.SetScriptExecutionDisabledParams{Value: true}
	b.do(browser.Protocol(emulation.SetScriptExecutionDisabled, disabled))
	b.Visit(s.URL)
	b.is(`(e => e.innerText && e.checkVisibility())(document.querySelector("noscript"))`)
}

// TestPageDoesNotLoad checks that a page whose parts do not come shows that it is loading, and after 15 s that it is
// broken, also if none of its scripts could run.
func TestPageDoesNotLoad(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil)
		b := openLogin(t, s, v)
		b.hold("/login/words.*")
		b.text(`setTimeout(() => location.reload()), ""`)
		b.holding(1)
		b.until(`getComputedStyle(document.body, "::after").visibility === "visible"`)
		b.is(`!document.querySelector("main").checkVisibility({visibilityProperty: true})`)
		const once = `document.getAnimations().filter(a => a.effect.getComputedTiming().iterations === 1)`
		b.text(once + `.forEach(a => a.finish()), ""`) // instead of 15 s of waiting
		b.until(`document.querySelector("#broken").checkVisibility({visibilityProperty: true})`)
		b.release()
		b.step("phone")
		b.is(`!document.querySelector("#broken").checkVisibility()`)

		b.Forgive("settings.json", "ERR_EMPTY_RESPONSE", "Failed to fetch", "NetworkError")
		b.Cut("/login/settings.json")
		b.Visit(s.URL)
		b.until(`document.querySelector("#broken").checkVisibility({visibilityProperty: true})`)
	})
}
