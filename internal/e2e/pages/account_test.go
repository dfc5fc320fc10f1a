package pages

import (
	"fmt"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

const newPhone = "+989121234568"

// shownPhone is an expression of the phone of the account, without its spaces.
const shownPhone = `document.querySelector("#account-phone").textContent.replaceAll(" ", "")`

// TestPageRelativeTimes checks that the page says how long ago another device was used, by the clock of the service,
// with the exact time beside it, and that the words keep up.
func TestPageRelativeTimes(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		s.Login(phone)
		b.login(s, phone)
		const other = `#sessions li:not(.current) time`
		when := `document.querySelector("` + other + `")`
		b.is(`/^(now|\d+ minutes? ago)$/.test(` + when + `.textContent)`)
		b.is(`Math.abs(Date.parse(` + when + `.dateTime) - Date.now()) < 600_000 && /20\d\d/.test(` + when + `.title)`)
		b.sleep(3 * time.Minute)
		b.until(`/^[3-9] minutes ago$/.test(` + when + `.textContent)`)
		b.sleep(5 * time.Hour)
		b.until(when + `.textContent === "5 hours ago"`)
		b.sleep(24 * time.Hour)
		b.until(`["yesterday", "2 days ago"].includes(` + when + `.textContent)`)
		b.sleep(9 * 24 * time.Hour)
		b.until(`/^1[01] days ago$/.test(` + when + `.textContent)`)
	})
}

// TestPageChangesPhone gives the account another number, with the field and the boxes of the login.
func TestPageChangesPhone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		other := s.Login(phone)
		b.click("#renumber")
		b.step("phone")
		b.is(`document.querySelector("#title").textContent === ` + quote(said(t, "en", "change")))
		b.is(field + ` === "" && document.activeElement.id === "phone"`)
		b.says("change_hint")
		b.accessible("the new number")
		b.click("#cancel")
		b.step("account")

		b.click("#renumber")
		b.step("phone")
		b.ask(newPhone)
		b.accessible("the code for the new number")
		b.press(servicetest.WrongCode(s.ShownCode(newPhone)))
		b.says("invalid_code")
		b.step("code")
		b.press(s.ShownCode(newPhone))
		b.step("account")
		b.says("phone_changed")
		b.is(shownPhone + ` === ` + quote(newPhone))
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 401, "invalid_token")
		b.wantMade("POST", "/otp/request", 1) // for the login alone
		b.Travel(-1)
		b.step("account")
		b.Reload()
		b.step("account")
		b.is(shownPhone + ` === ` + quote(newPhone))
		b.click("#logout")
		b.step("phone")
		b.is(field + `.replaceAll(" ", "") === "9121234567"`) // as it was typed for the login
		b.says("logged_out")
	})
}

// TestPageChangesPhoneOnlyOnce loses the reply to the change, and repeats it with the code, which is spent.
func TestPageChangesPhoneOnlyOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.click("#renumber")
		b.step("phone")
		b.hold("/otp/status*") // which would tell the page that the code is spent
		b.ask(newPhone)
		b.text(`(ask => { fetch = async (...args) => {
			const reply = await ask(...args)
			if (!reply.url.endsWith("/me/phone/verify")) return reply
			fetch = ask
			throw new TypeError("lost")
		} })(fetch), ""`)
		b.press(s.ShownCode(newPhone))
		b.says("unreachable")
		b.click("#verify")
		b.step("account")
		b.says("phone_changed")
		b.is(shownPhone + ` === ` + quote(newPhone))
	})
}

// TestPageChangesPhoneOfAnother checks that the phone of another user is refused like a wrong code, and that a logout
// elsewhere ends the change.
func TestPageChangesPhoneOfAnother(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		s.Login(newPhone)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.click("#renumber")
		b.step("phone")
		b.ask(newPhone)
		b.press(s.ShownCode(newPhone))
		b.says("invalid_code")
		b.click("#change")
		b.step("phone")
		user := s.Login(phone)
		s.Want(s.Call("POST", "/logout?everywhere=true", "", servicetest.Bearer(user)), 204, "")
		b.write("#phone", "+989121234569")
		b.click("#send")
		b.says("invalid_refresh_token")
		b.step("phone")
		b.is(`document.querySelector("#title").textContent === ` + quote(said(t, "en", "title")))
		b.login(s, phone) // with a code for a login
	})
}

// remove leads to the step at which the code removes the account.
func (b *tab) remove() {
	b.t.Helper()
	b.click("#remove")
	b.until(`document.activeElement.id === "remove-ask"`)
	b.click("#remove-yes")
	b.step("code")
}

// TestPageRemovesAccount removes the account with a code. The last digit does not remove it yet.
func TestPageRemovesAccount(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.is(`!document.querySelector("#remove-ask").checkVisibility()`)
		b.click("#remove")
		b.is(`document.querySelector("#remove-ask").innerText.includes(` + quote(said(t, "en", "remove_text")) + `)`)
		b.accessible("the question whether to remove the account")
		b.click("#remove-ask .no")
		b.until(`document.activeElement.id === "remove"`)
		b.wantMade("POST", "/otp/request", 1)

		b.remove()
		b.accessible("the code that removes the account")
		b.press(servicetest.WrongCode(s.ShownCode(phone)))
		b.wantMade("POST", "/otp/verify", 1)
		b.click("#verify")
		b.says("invalid_code")
		b.step("code")
		b.press(s.ShownCode(phone))
		b.step("code")
		b.wantMade("DELETE", "/me", 0)
		b.click("#verify")
		b.says("removed")
		b.step("phone")
		b.is(field + ` === "" && document.activeElement.id === "phone"`)
		users := s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "").Field("users").([]any)
		if len(users) > 0 {
			t.Errorf("the users are %v after the removal; want none", users)
		}
		b.Reload()
		b.step("phone")
		b.is(field + ` === ""`)
	})
}

// TestPageKeepsAccount gives up between the right code and the removal. Neither is the account removed, nor does the
// login remain that has proved the phone.
func TestPageKeepsAccount(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		live := func(want int) {
			t.Helper()
			b.Eventually(fmt.Sprintf("%d sessions are live", want), func() bool {
				users := s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "").Field("users").([]any)
				user := users[0].(map[string]any)["id"].(string)
				reply := s.Want(s.Call("GET", "/users/"+user+"/sessions", "", servicetest.Admin), 200, "")
				return len(reply.Field("sessions").([]any)) == want
			})
		}
		b.hold("/otp/status*") // which would tell the page that the code is spent
		b.remove()
		b.press(s.ShownCode(phone))
		b.Cut("DELETE /me") // the code is right, and the removal does not arrive
		b.click("#verify")
		b.says("unreachable")
		live(2)
		b.Cut()
		b.click("#change")
		b.step("account")
		live(1)

		b.hold("/otp/verify")
		b.remove()
		b.press(s.ShownCode(phone))
		b.click("#verify")
		b.Eventually("the page sends the code", func() bool { return b.made("POST", "/otp/verify") == 3 })
		b.click("#change")
		b.step("account")
		b.release()
		b.until(`document.querySelector("#sessions > li")`)
		live(1)
		b.wantMade("DELETE", "/me", 1)
		b.Reload()
		b.step("account")
	})
}

// TestPageRemovesWhatIsLeft meets an account that is banned, has another phone or is gone when its code arrives.
func TestPageRemovesWhatIsLeft(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		userID := func() string {
			return s.Login(phone).Text("user", "id")
		}
		b.login(s, phone)
		user := userID()
		b.hold("/otp/status*") // which would tell the page before the click that its code is gone
		b.remove()
		b.press(s.ShownCode(phone))
		s.Want(s.Call("PATCH", "/users/"+user, `{"banned":true}`, servicetest.Admin), 200, "")
		b.click("#verify")
		b.step("phone")
		b.until(message)
		b.wantMade("DELETE", "/me", 0)
		s.Want(s.Call("PATCH", "/users/"+user, `{"banned":false}`, servicetest.Admin), 200, "")
		b.release()

		b.login(s, phone)
		b.hold("/otp/status*")
		b.remove()
		b.press(s.ShownCode(phone))
		s.Want(s.Call("DELETE", "/users/"+user, "", servicetest.Admin), 204, "")
		b.click("#verify")
		b.step("phone")
		b.until(message)
		users := s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "").Field("users").([]any)
		if len(users) > 0 {
			t.Errorf("the code for a removal has signed up %v", users)
		}
	})
}

// TestPageAccountStandsStill checks that neither the devices nor a message move what they arrive beside, and that the
// button for another number is beside the number.
func TestPageAccountStandsStill(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, sized(v, windows[1]))
		b.ask(phone)
		b.hold("/me/sessions")
		b.press(s.ShownCode(phone))
		b.holding(1)
		places := func() string { return b.top("#logout") + " and " + b.top("#logout-all") }
		before := places()
		b.is(low + ` === ""`)
		b.release()
		b.step("account")
		if after := places(); after != before {
			t.Errorf("with the devices the buttons are at %s; want %s", after, before)
		}
		b.is(`(([number, change]) => change.top < number.bottom && change.bottom > number.top)(
			["#account-phone", "#renumber"].map(e => document.querySelector(e).getBoundingClientRect()))`)
		b.Cut("/logout")
		b.click("#logout")
		b.says("unreachable")
		b.text(`scrollTo(0, 0), ""`)
		if after := places(); after != before {
			t.Errorf("with a message the buttons are at %s; want %s", after, before)
		}
	})
}

// TestPageLogsOutFirst checks the weight of the three ways out: "Log out" is the button, "Log out everywhere" and
// "Delete account" ask before they do anything, and the last one looks dangerous.
func TestPageLogsOutFirst(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		b.login(s, phone)
		b.is(`[...document.querySelectorAll("#account button.main")].map(e => e.id).join() === "logout"`)
		b.is(`(([out, all, remove]) =>
			out.bottom <= all.top && out.bottom <= remove.top && out.width > 1.5 * all.width)(
			["#logout", "#logout-all", "#remove"].map(e => document.querySelector(e).getBoundingClientRect()))`)
		b.is(`(([send, all, remove]) => all !== remove && remove !== send)(
			["#logout", "#logout-all", "#remove"].map(e => getComputedStyle(document.querySelector(e)).color))`)
		b.click("#logout-all")
		b.until(`document.activeElement.id === "logout-all-ask"`)
		b.accessible("the question whether to log out everywhere")
		b.press(browser.Escape)
		b.until(`document.activeElement.id === "logout-all"`)
		b.wantMade("POST", "/logout", 0)
		b.click("#logout")
		b.says("logged_out")
	})
}
