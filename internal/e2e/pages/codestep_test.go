package pages

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// sleep moves the clock of the browser, as a device does that slept.
func (b *tab) sleep(d time.Duration) {
	b.t.Helper()
	b.text(fmt.Sprintf(`Date.now = (now => () => now.call(Date) + %d)(Date.now), ""`, d.Milliseconds()))
}

// shown is an expression that reports whether an element is visible.
func shown(selector string) string {
	return `!!document.querySelector(` + quote(selector) + `)?.checkVisibility()`
}

// stopsClock is a script that stops the clock of a page, so that no slow machine shortens a wait.
const stopsClock = `Date.now = (now => () => now)(Date.now())`

// sent returns the messages that a webhook was given. A call that was repeated counts once.
func sent(w *servicetest.Webhook) []map[string]string {
	return slices.CompactFunc(w.Messages(), func(a, b map[string]string) bool { return a["id"] == b["id"] })
}

// wantOneLine waits until the code step has exactly one line of text below its field, and checks that the line is the
// text of a word.
func (b *tab) wantOneLine(word string) {
	b.t.Helper()
	b.says(word)
	b.is(`[...document.querySelectorAll("main .line")].filter(e => e.checkVisibility() && e.innerText).length === 1`)
	b.is(line + ` === ` + quote(said(b.t, "en", word)))
}

// TestPageTellsStatus follows a message from its request on.
func TestPageTellsStatus(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		w := servicetest.NewWebhook(t)
		s := servicetest.Start(t, nil, slices.Concat(servicetest.Unlimited, w.Settings())...)
		v.Script = stopsClock // so that a slow machine does not make the message late
		b := openLogin(t, s, v)
		b.hold("/otp/status*")
		b.ask(phone)
		b.wantOneLine("delivery_queued")
		b.accessible("while the message is sent")
		b.release()
		b.wantOneLine("delivery_sent")
		b.offline(true)
		b.wantOneLine("offline")
		b.press(servicetest.WrongCode(w.Messages()[0]["code"]))
		b.until(message)
		b.step("code")
		b.wantOneLine("offline")
		b.accessible("offline, with a code")
		b.offline(false)
		b.click("#verify")
		b.wantOneLine("invalid_code")
		b.press("1")
		b.wantOneLine("delivery_sent")
		b.click("#resend")
		b.wantOneLine("resent")
		w.Status.Store(422)
		b.click("#resend")
		b.wantOneLine("delivery_failed")
		b.accessible("after a failed message")
	})
}

// TestPageChangesNumber checks that the button for another number is beside the number, and nowhere else.
func TestPageChangesNumber(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.is(`document.querySelector("#code-phone").innerText === "+98 912 123 4567"`)
		b.is(`[...document.querySelectorAll("button")].filter(e => e.checkVisibility() && e.innerText === ` +
			quote(said(t, "en", "change")) + `).length === 1`)
		b.is(`(([number, change]) =>
			change.left > number.right && change.top < number.bottom && change.bottom > number.top)(
			["#code-phone", "#change"].map(e => document.querySelector(e).getBoundingClientRect()))`)
		b.click("#change")
		b.step("phone")
		b.is(field + `.replaceAll(/\D/g, "") === "9121234567"`)
		b.ask(other)
		b.is(`document.querySelector("#code-phone").innerText === "+98 912 123 4568"`)
	})
}

// TestPageRenewsBurnt checks that a burnt code leaves the person nothing to do but to ask for a new one, at once.
func TestPageRenewsBurnt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil,
			"OTP_TTL=10m", "OTP_RESEND_AFTER=10m", "OTP_MAX_ATTEMPTS=1", "OTP_LIMIT_PHONE=2/10m")
		b := openLogin(t, s, v)
		b.ask(phone)
		b.is(shown("#boxes") + ` && ` + shown("#verify") + ` && !document.querySelector("#resend.main")`)
		b.press(servicetest.WrongCode(s.ShownCode(phone)))
		b.wantOneLine("code_dead")
		b.is(`!` + shown("#boxes") + ` && !` + shown("#verify"))
		renew := said(t, "en", "renew")
		renewable := `(e => e.matches(".main") && e.innerText === "` + renew + `" && document.activeElement === e)
		(document.querySelector("#resend"))`
		b.is(renewable) // because a burnt code has no pause
		b.is(`document.title === ` + quote(said(t, "en", "title_renew")))
		b.accessible("after a code was burnt")
		b.Travel(-1) // and to and fro
		b.step("phone")
		b.Travel(1)
		b.step("code")
		b.is(`!` + shown("#boxes"))

		b.click("#resend")
		b.wantOneLine("resent_new")
		b.is(shown("#boxes"))
		b.press(servicetest.WrongCode(s.ShownCode(phone)))
		b.wantOneLine("code_dead")
		b.is(renewable)
		s.Verify(phone, servicetest.WrongCode(s.ShownCode(phone))) // now the code is dead for all
		b.click("#resend")                                         // for the third message of ten minutes
		b.says("too_many_requests")
		waits := `(e => e.disabled && e.matches(".main") && /^` + renew + ` in (10|[1-9]) minutes?$/.test(e.innerText))
		(document.querySelector("#resend"))`
		b.until(waits)
		b.is(`document.activeElement.id === "title"`) // because a button that waits takes no focus
		b.accessible("while a burnt code cannot be replaced yet")
		b.Reload()
		b.step("code")
		b.wantOneLine("code_dead")
		b.is(waits)
		b.is(`!` + shown("#boxes"))
		b.sleep(10 * time.Minute)
		b.until(`!document.querySelector("#resend").disabled`)
		b.is(`document.querySelector("#resend").innerText === "` + renew + `"`)
		b.click("#change") // is not stuck
		b.step("phone")
	})
}

// TestPageRenewsExpired checks the same of a code that has expired, also for a person who is offline.
func TestPageRenewsExpired(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.press("1")
		b.sleep(10 * time.Minute)
		b.wantOneLine("code_expired")
		b.is(`!` + shown("#boxes") + ` && !` + shown("#verify"))
		b.until(`document.activeElement.id === "resend"`)
		b.offline(true)
		b.click("#resend")
		b.wantOneLine("offline")
		b.is(`!` + shown("#boxes"))
		b.offline(false)
		b.click("#resend")
		b.wantOneLine("resent_new")
		b.until(`document.activeElement.id === "code" && ` + shown("#boxes"))
		b.until(`!document.querySelector("#resend.main")`)
		b.press(s.ShownCode(phone))
		b.step("account")
	})
}

// TestPageSecondTab asks for a code in two tabs, one after the other.
func TestPageSecondTab(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "OTP_TTL=10m", "OTP_RESEND_AFTER=10m")
		openLogin(t, s, v).ask(phone)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.wantOneLine("resend_too_soon")
		b.is(`!document.querySelector("#message").matches(".bad") && document.activeElement.id === "code"`)
		b.is(`/^Send again in (\d+ minutes?|[1-9]\d? seconds)$/.test(document.querySelector("#resend").innerText)`)
		b.accessible("with the code of another tab")
		b.press(s.ShownCode(phone))
		b.step("account")
		b.wantMade("POST", "/otp/verify", 1)
	})
}

// TestPageWaits checks that waits are told in words, in every language, and are right after the device slept.
func TestPageWaits(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=2m", "OTP_LIMIT_PHONE=2/10m")
		v.Script = stopsClock
		b := openLogin(t, s, v)
		b.hold("/otp/status*") // whose answers go by the clock of the service
		b.ask(phone)
		const resend = `document.querySelector("#resend").innerText`
		b.until(resend + ` === "Send again in 2 minutes"`)
		b.sleep(65 * time.Second)
		b.until(`/^Send again in [345]\d seconds$/.test(` + resend + `)`)
		for _, language := range languages(t) {
			b.is(`(e => { e.value = ` + quote(language) + `; return e.dispatchEvent(new Event("change")) })
			(document.querySelector("#language"))`)
			b.until(`document.documentElement.lang === ` + quote(language))
			b.until(`new RegExp(new Intl.RelativeTimeFormat(document.documentElement.lang).format(40, "second")
			.replace(/[0-9٠-٩۰-۹]+/, "[0-9٠-٩۰-۹]+")).test(` + resend + `)`)
			b.is(`!/[0-9٠-٩۰-۹]:[0-9٠-٩۰-۹]/.test(document.querySelector("main").innerText)`)
		}
	})
}

// TestPageOffersChannels checks that the page offers the channels that the service has for the number, once another
// message is allowed, and no others.
func TestPageOffersChannels(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		w := servicetest.NewWebhook(t)
		s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=console", "SMS_ROUTES=IR=webhook",
			"SMS_WEBHOOK_CHANNELS=whatsapp,sms,voice", "OTP_TTL=10m", "OTP_RESEND_AFTER=1s", "OTP_LIMIT_PHONE=off")...)
		v.Script = `Date.now = (now => () => now.call(Date) - (window.early ?? 0))(Date.now)`
		b := openLogin(t, s, v)
		offered := func() string {
			return b.text(`[...document.querySelectorAll("[data-channel]")].filter(e => e.checkVisibility())
			.map(e => e.innerText).join()`)
		}
		waited := func() {
			t.Helper()
			b.until(`!document.querySelector("#resend").disabled`)
		}
		b.hold("/otp/status*") // which would tell the page how long to wait
		b.ask(phone)
		b.text(`window.early = 600_000, ""`) // so that the wait lasts
		b.until(`document.querySelector("#resend").disabled`)
		if got := offered(); got != "" {
			t.Errorf("before the first wait is over the page offers %s", got)
		}
		b.text(`window.early = 0, ""`)
		b.release()
		for n, channel := range []string{"voice", "whatsapp"} {
			waited()
			if got := offered(); got != "Call me instead,Send by WhatsApp" {
				t.Errorf("for a number of Iran the page offers %s", got)
			}
			b.accessible("when other channels are offered")
			b.click("[data-channel=" + channel + "]")
			b.says("delivery_sent_" + channel)
			servicetest.Eventually(t, "the message is sent", func() bool { return len(sent(w)) == n+2 })
			if got := sent(w)[n+1]; got["channel"] != channel || got["code"] != sent(w)[0]["code"] {
				t.Errorf("the message is %v; want the same code by %s", got, channel)
			}
		}
		waited()
		b.click("#resend")
		b.says("resent")
		servicetest.Eventually(t, "the message is sent", func() bool { return len(sent(w)) == 4 })
		if got := sent(w)[3]["channel"]; got != "sms" {
			t.Errorf("the message is sent again by %s; want sms, the usual channel", got)
		}
		b.press(w.Messages()[0]["code"])
		b.step("account")
		b.click("#logout")
		b.step("phone")

		b.ask("+14155552671") // of another region, whose provider has only one channel
		waited()
		if got := offered(); got != "" {
			t.Errorf("for a number of the United States the page offers %s", got)
		}
		b.press(s.ShownCode("+14155552671"))
		b.step("account")
	})
}

// TestPageChannelGone takes a channel away while the page offers it.
func TestPageChannelGone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		w := servicetest.NewWebhook(t)
		s := servicetest.Start(t, servicetest.RealStores(t), slices.Concat(servicetest.Unlimited, w.Settings(),
			[]string{"SMS_WEBHOOK_CHANNELS=sms,voice", "OTP_SECRET=" + servicetest.OTPSecret})...)
		b := openLogin(t, s, v)
		b.ask(phone)
		b.until(shown("[data-channel=voice]"))
		restart(t, s, "SMS_WEBHOOK_CHANNELS=sms")
		b.click("[data-channel=voice]")
		b.says("invalid_field")
		b.is(`!` + shown("[data-channel=voice]"))
		b.click("#resend")
		b.says("resent")
		b.press(w.Messages()[0]["code"])
		b.step("account")
	})
}
