package pages

import (
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// recordsBodies is a script that keeps the bodies that the page sends to a path, in window.bodies[path].
const recordsBodies = `bodies = {}
fetch = (fetch => (url, options = {}) => {
	if (options.body) (bodies[new URL(url, location).pathname] ??= []).push(JSON.parse(options.body))
	return fetch(url, options)
})(fetch)
`

// devices is an expression of the names under which the browser keeps device tokens.
const devices = `JSON.parse(localStorage["otp.devices"] ?? "[]").map(([name]) => name).join()`

// wide are settings whose windows no slow machine outlives.
var wide = []string{"OTP_TTL=10m", "OTP_LIMIT_TRIES_IP=off", "ADMIN_API_KEY=" + servicetest.AdminKey}

// burn uses up the attempts that name no request, as a stranger does who knows the phone only.
func burn(s *servicetest.Service, phone, code string) {
	for range 5 {
		s.Want(s.Verify(phone, servicetest.WrongCode(code), "Accept: application/json"), 401, "invalid_code")
	}
	s.Want(s.Verify(phone, code, "Accept: application/json"), 401, "invalid_code")
}

// TestPageStrangerBurns has a stranger use up the shared attempts while a person logs in on a new browser: before the
// code is typed, and again after another message.
func TestPageStrangerBurns(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_RESEND_AFTER=10m")...)
		v.Script = recordsBodies
		b := openLogin(t, s, v)
		b.ask(phone)
		burn(s, phone, s.ShownCode(phone))
		b.press(s.ShownCode(phone))
		b.step("account")
		b.is(`bodies["/otp/verify"][0].request_id && !("device_token" in bodies["/otp/request"][0])`)

		b.ofOther(s)
		b.ask(other)
		first := s.ShownCode(other)
		b.press(servicetest.WrongCode(first))
		b.says("invalid_code")
		b.Reload() // keeps the request
		b.step("code")
		burn(s, other, first)
		b.until(`!document.querySelector("#resend").disabled`) // because there is no pause after a burnt code
		b.click("#resend")
		b.says("resent")
		next := s.ShownCode(other)
		if next == first {
			t.Fatal("the burnt code is sent again")
		}
		burn(s, other, next)
		b.press(next)
		b.step("account")
	})
}

// ofOther logs out and opens the page as a browser does that has never logged in.
func (b *tab) ofOther(s *servicetest.Service) {
	b.t.Helper()
	b.click("#logout")
	b.step("phone")
	b.text(`localStorage.clear(), sessionStorage.clear(), ""`)
	b.Visit(s.URL)
	b.step("phone")
}

// TestPageKnownDevice has a stranger spend the open messages and attempts of a phone. The person on a browser that has
// logged in before notices nothing, and a new browser is told how long to wait.
func TestPageKnownDevice(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=2/24h")...)
		v.Script = recordsBodies
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.is(devices + ` === "4567" && !JSON.stringify(localStorage).includes("912123")`)
		kept := b.text(`JSON.parse(localStorage["otp.devices"])[0][1]`)
		b.click("#logout")
		b.step("phone")
		s.Want(s.Request(phone), 202, "")
		burn(s, phone, s.ShownCode(phone))
		s.Want(s.Request(phone), 429, "too_many_requests")

		b.ask(phone)
		burn(s, phone, s.ShownCode(phone))
		b.press(s.ShownCode(phone))
		b.step("account")
		b.is(`bodies["/otp/request"].at(-1).device_token === ` + quote(kept))
		b.is(`bodies["/otp/verify"].at(-1).device_token === ` + quote(kept))
		b.is(`bodies["/otp/verify"].at(-1).request_id`)
		b.is(`JSON.parse(localStorage["otp.devices"])[0][1] !== ` + quote(kept)) // each login answers with a fresh one

		b.ofOther(s)
		b.write("#phone", phone)
		b.click("#send")
		b.says("too_many_requests")
		b.step("phone")
		b.is(`/^Try again in 2[34] hours\.$/.test(document.querySelector("#left").innerText)`)
	})
}

// TestPageKeepsDevices logs in several people with one browser, in which a value is broken at first. The token of one
// goes with the account.
func TestPageKeepsDevices(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		v.Script = recordsBodies
		b := openLogin(t, s, v)
		for _, broken := range []string{"{", "null", `{"a":1}`, `[["4567"],7,["4567",7]]`} {
			b.text(`localStorage["otp.devices"] = ` + quote(broken) + `, ""`)
			b.login(s, phone)
			b.is(devices + ` === "4567"`)
			b.click("#logout")
			b.step("phone")
		}
		b.login(s, other)
		b.is(devices + ` === "4568,4567"`)
		b.click("#renumber")
		b.step("phone")
		b.ask("+989121234569")
		b.press(s.ShownCode("+989121234569"))
		b.says("phone_changed")
		b.is(devices + ` === "4569,4568,4567"`)
		b.is(`(([{request_id}]) => request_id)(bodies["/me/phone/verify"])`)
		b.is(`["/me/phone/request", "/me/phone/verify"].every(path => !("device_token" in bodies[path][0]))`)

		b.text(`localStorage["otp.devices"] = JSON.stringify(` + // another tab logs in
			`[["1111", "x"], ...JSON.parse(localStorage["otp.devices"])]), ""`)
		b.remove()
		b.press(s.ShownCode("+989121234569"))
		b.click("#verify")
		b.says("removed")
		b.is(devices + ` === "1111,4568,4567"`)
		b.is(`["/otp/request", "/otp/verify"].every(path => bodies[path].at(-1).device_token)`)

		b.text(`localStorage["otp.devices"] = JSON.stringify(` +
			`[1, 2, 3, 4, 5, 6, 7, 8].map(n => ["000" + n, "x"])), ""`)
		b.login(s, phone)
		b.is(devices + ` === "4567,0001,0002,0003,0004,0005,0006,0007"`)
	})
}

// TestPageStorageForbidden logs in twice where the browser keeps nothing, and where it has no room.
func TestPageStorageForbidden(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		for _, script := range []string{
			`Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no", "SecurityError") }})`,
			`Storage.prototype.setItem = (set => function (key, value) {
				if (key === "otp.devices") throw new DOMException("full", "QuotaExceededError")
				set.call(this, key, value)
			})(Storage.prototype.setItem)`,
		} {
			v.Script = recordsBodies + script
			b := openLogin(t, s, v)
			for range 2 {
				b.login(s, phone)
				b.click("#logout")
				b.step("phone")
			}
		}
	})
}

// TestPageLongCode logs in with the code of eight digits that a phone gets while strangers guess at it, on a small
// screen and in Persian.
func TestPageLongCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_RESEND_AFTER=off", "OTP_DAILY_ATTEMPTS=1")...)
		v.Script = endless + recordsBodies
		b := open(t, s.URL+"/?lang=fa", v)
		b.step("phone")
		b.ask(phone)
		b.is(`document.querySelectorAll("#boxes span").length === 6`)
		short := s.ShownCode(phone)
		s.Verify(phone, servicetest.WrongCode(short))
		b.click("#resend")
		b.until(`document.querySelectorAll("#boxes span").length === 8`)
		b.is(`["#lead", "#code-label"].every(id => document.querySelector(id).textContent.includes("۸"))`)
		b.resize(smallest)
		b.fits("a code of eight digits")
		b.resize(view{Width: 1280, Height: 800})
		b.accessible("a code of eight digits")
		code := s.ShownCode(phone)
		if len(code) != 8 {
			t.Fatalf("the code is %s; want eight digits", code)
		}
		b.Reload()
		b.step("code")
		b.until(`document.querySelectorAll("#boxes span").length === 8`)
		b.click("#code")
		b.press(digits["fa"].Replace(code[:7]))
		b.is(`document.querySelector("#code").value.length === 7`)
		b.wantMade("POST", "/otp/verify", 0)
		b.text(`document.querySelector("#code").value = "", ""`)
		const paste = `(text => document.querySelector("#code").dispatchEvent(Object.assign(
			new Event("paste", {cancelable: true}), {clipboardData: {getData: () => text}})))`
		b.text(paste + `(` + quote("123456 is not it, "+code+" is.") + `), ""`)
		b.step("account")
		b.wantMade("POST", "/otp/verify", 1)
	})
}

// TestPageLongCodeGone loses a code of eight digits. The service then knows of no such code, which is no fault of the
// person's typing.
func TestPageLongCodeGone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		stores := servicetest.RealStores(t)
		s := servicetest.Start(t, stores, append(wide, "OTP_RESEND_AFTER=off", "OTP_DAILY_ATTEMPTS=1")...)
		s.Verify(phone, servicetest.WrongCode(s.Code(phone)))
		b := openLogin(t, s, v)
		b.hold("/otp/status*")
		b.ask(phone)
		code := s.ShownCode(phone)
		if err := servicetest.Redis(t, stores).FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		b.press(code)
		b.says("code_dead")
		b.release()
		b.click("#resend")
		b.says("resent_new")
		b.until(`document.querySelectorAll("#boxes span").length === 6`)
		b.press(s.ShownCode(phone))
		b.step("account")
	})
}

// TestPageOffersLiveCode refuses a message while the code of an earlier one works, which others have asked for.
func TestPageOffersLiveCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide,
			"OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=2/10m", "OTP_DAILY_ATTEMPTS=1")...)
		s.Verify(phone, servicetest.WrongCode(s.Code(phone)))
		code := s.Code(phone)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.wantOneLine("code_live")
		b.is(`!document.querySelector("#message").matches(".bad") && document.activeElement.id === "code"`)
		b.is(`document.querySelectorAll("#boxes span").length === 8`)
		b.is(`document.querySelector("#lead").innerText === ` +
			quote(strings.ReplaceAll(said(t, "en", "lead_live"), "{n}", "8")))
		b.is(`/^Send again in (10|[1-9]) minutes?$/.test(document.querySelector("#resend").innerText)`)
		b.accessible("with the code of an earlier message")
		b.is(`list = document.querySelector("#language"), list.value = "de"`)
		b.is(`list.dispatchEvent(new Event("change"))`)
		b.until(message + ` === ` + quote(said(t, "de", "code_live")))
		b.Reload()
		b.step("code")
		b.press(servicetest.WrongCode(code))
		b.until(message + ` === ` + quote(said(t, "de", "invalid_code")))
		b.is(`document.querySelector("#resend").disabled`) // because the limit of the phone has not passed
		b.press(code)
		b.step("account")

		b.ofOther(s) // after the login no code is live
		b.write("#phone", phone)
		b.click("#send")
		b.says("too_many_requests")
		b.step("phone")
	})
}

// TestPageReturnsToLiveCode burns the page's own request while the code works for others, and then has no message left.
func TestPageReturnsToLiveCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide,
			"OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=1/10m", "OTP_MAX_ATTEMPTS=1")...)
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		b.press(servicetest.WrongCode(code))
		b.says("code_dead")
		b.click("#resend")
		b.says("code_live")
		b.until(shown("#boxes") + ` && document.activeElement.id === "code"`)
		b.is(`document.querySelector("#resend").disabled && !document.querySelector("#resend.main")`)
		b.press(code)
		b.step("account")
	})
}

// TestPageKeepsOwnCode refuses a message while the page's own code works for its request alone: nobody else could use
// it, so the refusal names no live code, and the page keeps the field.
func TestPageKeepsOwnCode(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=1/9m")...)
		v.Script = stopsClock
		b := openLogin(t, s, v)
		b.hold("/otp/status*") // which would tell the page how long to wait
		b.ask(phone)
		code := s.ShownCode(phone)
		burn(s, phone, code)
		b.sleep(9 * time.Minute)
		b.until(`!document.querySelector("#resend").disabled`)
		b.click("#resend")
		b.says("code_live")
		b.is(shown("#boxes") + ` && document.querySelector("#resend").disabled`)
		b.click("#change")
		b.step("phone")
		b.click("#send") // which asks for nothing while the wait lasts
		b.step("code")
		b.press(code)
		b.step("account")
		b.wantMade("POST", "/otp/request", 2)
	})
}

// TestPageSecondTabAsksAgain burns a code that another tab has asked for. The page cannot know whether it is burnt, so
// it offers another message, and takes up what the service answers.
func TestPageSecondTabAsksAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_RESEND_AFTER=10m", "OTP_DAILY_ATTEMPTS=5")...)
		first := s.Code(phone)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.says("resend_too_soon")
		b.is(`document.querySelector("#resend").disabled`)
		b.press(servicetest.WrongCode(first))
		b.says("invalid_code")
		b.until(`!document.querySelector("#resend").disabled`)
		b.click("#resend")
		b.says("resend_too_soon")
		b.is(shown("#boxes") + ` && document.querySelector("#resend").disabled`)
		for n := 2; n <= 5; n++ {
			b.press(servicetest.WrongCode(first))
			b.step("code")
			b.Eventually("the page sends the code", func() bool { return b.made("POST", "/otp/verify") == n })
			b.says("invalid_code")
		}
		b.until(`!document.querySelector("#resend").disabled`)
		b.click("#resend") // for a code that is longer by now
		b.says("resent")
		b.until(`document.querySelectorAll("#boxes span").length === 8`)
		b.press(s.ShownCode(phone))
		b.step("account")
	})
}

// TestPageTooManyTries refuses codes from an address. The page keeps the code that was typed, and says how long to
// wait.
func TestPageTooManyTries(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		secrets := []string{"OTP_SECRET=" + servicetest.OTPSecret, "JWT_SECRET=" + servicetest.JWTSecret}
		s := servicetest.Start(t, append(servicetest.RealStores(t), secrets...),
			"OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off", "OTP_LIMIT_TRIES_IP=1/24h")
		b := openLogin(t, s, v)
		b.ask(phone)
		code := s.ShownCode(phone)
		b.press(servicetest.WrongCode(code))
		b.says("invalid_code")
		b.step("code")
		b.press(code)
		b.says("too_many_tries")
		b.is(`/^Try again in 2[34] hours\.$/.test(document.querySelector("#left").innerText)`)
		b.is(`(e => e.value === ` + quote(code) + ` && !e.ariaInvalid)(document.querySelector("#code"))`)
		b.accessible("after too many wrong codes")
		for n := 2; n <= 5; n++ { // which count for nothing
			b.click("#verify")
			b.Eventually("the page sends the code", func() bool { return b.made("POST", "/otp/verify") == n+1 })
			b.says("too_many_tries")
			b.step("code")
		}
		restart(t, s, "OTP_LIMIT_TRIES_IP=off")
		b.click("#verify")
		b.step("account")
	})
}

// TestPageTooManyTriesOfUser refuses codes for changes of number of a user for a day.
func TestPageTooManyTriesOfUser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(wide, "OTP_DAILY_ATTEMPTS=1")...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.click("#renumber")
		b.step("phone")
		b.ask(newPhone)
		code := s.ShownCode(newPhone)
		b.press(servicetest.WrongCode(code))
		b.says("invalid_code")
		b.step("code")
		b.press(code)
		b.says("too_many_tries")
		b.is(`/^Try again in 2[34] hours\.$/.test(document.querySelector("#left").innerText)`)
		b.is(`document.querySelector("#code").value === ` + quote(code))
		b.click("#change") // is not stuck
		b.step("phone")
	})
}
