package pages

import (
	"strconv"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// longestLine is the most letters of a line of text.
const longestLine = 75

// TestDocsPageLogsIn lets the page of the calls log in, and then calls GET /me with the token.
func TestDocsPageLogsIn(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil, "DEFAULT_REGION=DE", "SMS_REGIONS=AT,DE", "OTP_TTL=10m")
	b := open(t, s.URL+"/docs", view{})
	b.until(`document.querySelector("#login-text").textContent.includes("+49")`)
	b.text(`(ask => { fetch = (...args) => { // the message is still on its way when the page looks for it
		if (!args[0].startsWith("dev/messages")) return ask(...args)
		fetch = ask
		return Promise.resolve(Response.json({messages: []}))
	} })(fetch), ""`)
	b.click("#login button")
	b.until(`document.querySelector("#login-state").dataset.mood === "good"`)
	b.accessible("the page of the calls after a login")
	b.click("#login-state a")
	b.click("#operations-user-getMe .execute")
	b.until(`document.querySelector("#operations-user-getMe .live-responses-table tbody .response-col_status")` +
		`?.textContent.startsWith("200")`)
	b.wantMade("POST", "/otp/request", 1)
	b.wantMade("POST", "/otp/verify", 1)

	// A second click at once logs in again, although the answer to its request may be 429.
	b.click("#login button")
	b.until(`document.querySelector("#login-state").dataset.mood === "good"`)
}

// TestDocsPageExplainsRefusal checks what the page says if it cannot log in.
func TestDocsPageExplainsRefusal(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil, "OTP_LIMIT_IP=1/1h")
	s.Want(s.Request(phone), 202, "")
	b := open(t, s.URL+"/docs", view{})
	b.click("#login button")
	b.until(`document.querySelector("#login-state").dataset.mood === "bad"`)
	b.is(`/^POST \/otp\/request: .+ Try again in \d+ s\.$/.test(document.querySelector("#login-state").textContent)`)
}

// TestDocsPageInProduction checks that the page offers no login where /dev/messages is missing, and no way to a login
// page that is off.
func TestDocsPageInProduction(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil, append(servicetest.NewWebhook(t).Settings(), "LOGIN_PAGE=false")...)
	b := open(t, s.URL+"/docs", view{})
	b.until(`document.querySelector(".opblock")`)
	b.untilAnswered("/docs/settings.json", 200)
	b.is(`!document.querySelector("#login").checkVisibility()`)
	b.is(`!document.querySelector("#login-page").checkVisibility()`)
}

// TestDocsPageLooks checks that the calls are on the first screen, that lines of text are short, that the page has the
// colours and the font of the login page, and that it leads there and to the documents.
func TestDocsPageLooks(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil)
	for _, v := range []view{{}, {Width: 390, Height: 844, Touch: true}, {Dark: true}} {
		b := open(t, s.URL+"/docs", v)
		b.until(`document.querySelectorAll(".opblock").length > 20`)
		b.until(`document.querySelector("#login").checkVisibility()`)
		for _, call := range []string{"requestCode", "verifyCode"} {
			b.is(`document.querySelector("#operations-login-` + call + `")` +
				`.getBoundingClientRect().bottom < innerHeight`)
		}
		b.is(`document.documentElement.scrollWidth === innerWidth`)
		b.click("#operations-login-requestCode .opblock-summary-control")
		b.until(`document.querySelector("#operations-login-requestCode .execute")`)
		b.is(`[...document.querySelectorAll(".opblock-tag > span")].every(e => e.getClientRects()[0].height < 40)`)
		b.text(ratio)
		b.is(`ratio(getComputedStyle(document.querySelector(".parameter__name.required"), "::after").color,
			getComputedStyle(document.querySelector(".opblock")).backgroundColor) >= 4.5`)
		if line := b.text(longLine); line != "" {
			t.Errorf("%+v: a line of the page has more than %d letters: %q", v, longestLine, line)
		}
		const look = `(e => [getComputedStyle(e).color, getComputedStyle(e).fontFamily].join())`
		own := b.text(look + `(document.querySelector(".swagger-ui .opblock-tag"))`)
		b.click("#login-page")
		b.step("phone")
		if login := b.text(look + `(document.querySelector("h1"))`); login != own {
			t.Errorf("%+v: the page of the calls is drawn in %s; want %s, as the login page is", v, own, login)
		}
	}
}

// longLine is a script that returns the first line of running text that is too long.
var longLine = strings.ReplaceAll(`(() => {
	for (const p of document.querySelectorAll("p, li")) {
		if (!p.checkVisibility() || p.closest("nav, summary, pre")) continue
		const lines = new Map() // the letters by the height at which they stand
		const walker = document.createTreeWalker(p, NodeFilter.SHOW_TEXT)
		for (let text = walker.nextNode(); text; text = walker.nextNode()) {
			for (let i = 0; i < text.length; i++) {
				const range = document.createRange()
				range.setStart(text, i)
				range.setEnd(text, i + 1)
				const {y, height} = range.getBoundingClientRect()
				const middle = Math.round((y + height / 2) / 8)
				lines.set(middle, (lines.get(middle) ?? "") + text.data[i])
			}
		}
		for (const line of lines.values()) if (line.trim().length > LONGEST) return line
	}
	return ""
})()`, "LONGEST", strconv.Itoa(longestLine))

// TestDocuments reads a document in the browser.
func TestDocuments(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil)
	for _, v := range []view{{}, {Width: 390, Height: 844, Touch: true}} {
		b := open(t, s.URL+"/docs/monitoring.md", v)
		b.until(`document.querySelector("main h1").textContent === "Monitoring"`)
		if v.Width == 0 {
			b.accessible("a document")
			if line := b.text(longLine); line != "" {
				t.Errorf("a line of the document is too long: %q", line)
			}
		}
		b.is(`document.documentElement.scrollWidth === innerWidth`)
		b.click(`a[href="clients/swift.md"]`)
		b.until(`document.querySelector("main h1").textContent === "A Swift client"`)
		b.click(`header a`)
		b.until(`document.querySelector(".opblock")`)
	}
}
