package pages

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"dekamond-otp/internal/e2e/servicetest"
)

var writePictures = flag.Bool("pictures", false, "write the pictures of the documents")

// pictures is the folder of the pictures. The test of package docs checks that the documents show each of them.
const pictures = servicetest.Root + "docs/pictures"

// largestPicture keeps the repository small.
const largestPicture = 150 << 10

// take takes a picture of the window, once its fonts are there. It is written to docs/pictures only with -pictures.
func (b *tab) take(name string) {
	b.t.Helper()
	b.do(chromedp.MouseEvent(chromedp.MouseMoved, 0, 0))
	b.until(`document.fonts.status === "loaded"`)
	params := page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: new(int64(70))}
	captured, err := chromedp.Call(b.DevTools(), page.CaptureScreenshot, params)
	if err != nil {
		b.t.Fatal(err)
	}
	picture := captured.Data
	if len(picture) > largestPicture {
		b.t.Errorf("%s has %d bytes; want at most %d", name, len(picture), largestPicture)
	}
	folder := b.t.TempDir()
	if *writePictures {
		folder = pictures
	} else if _, err := os.Stat(filepath.Join(pictures, name)); err != nil {
		b.t.Errorf("%v; make pictures takes it", err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// TestPictures takes the pictures of the documents. It writes them only with -pictures, because no two machines draw
// letters alike.
func TestPictures(t *testing.T) {
	t.Parallel()
	window := view{Width: 1280, Height: 720, Scale: 2}
	handset := view{Width: 360, Height: 640, Scale: 2, Touch: true, Dark: true}

	t.Run("login", func(t *testing.T) {
		s := servicetest.Start(t, nil, "DEFAULT_REGION=GB", "APP_NAME=Orders", "OTP_TTL=10m")
		b := openLogin(t, s, window)
		b.write("#phone", "7400 123456")
		b.take("login-phone.webp")
		b.click("#send")
		b.step("code")
		b.until(`document.querySelector("#messages li button")`)
		b.press(s.ShownCode("+447400123456")[:3])
		b.until(`document.querySelector("#delivery").textContent === ` + quote(said(t, "en", "delivery_sent")))
		b.take("login-code.webp")
		b.click("#messages li button")
		b.step("account")
		b.take("login-account.webp")
	})
	t.Run("persian", func(t *testing.T) {
		s := servicetest.Start(t, nil, "DEFAULT_REGION=IR", "OTP_TTL=10m")
		b := open(t, s.URL+"/?lang=fa", handset)
		b.step("phone")
		b.write("#phone", digits["fa"].Replace("0912 345 6789"))
		b.click("#send")
		b.step("code")
		b.press(digits["fa"].Replace(s.ShownCode("+989123456789")[:3]))
		b.take("login-persian.webp")
	})
	t.Run("docs", func(t *testing.T) {
		v := window
		v.Height = 900
		b := open(t, servicetest.Start(t, nil).URL+"/docs", v)
		b.until(`document.querySelector(".opblock")`)
		b.text(`document.querySelector("#operations-tag-login").scrollIntoView(), ""`)
		b.take("docs.webp")
	})
	t.Run("operator", func(t *testing.T) {
		s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
		v := window
		v.Zone, v.Script, v.Height = "UTC", day, 900
		b := open(t, operatorPage(s), v)
		b.click(`label:has([name=hours][value="24"])`)
		b.until(`document.querySelectorAll(".chart canvas").length === 2`)
		b.take("operator.webp")
	})
}

// day replaces the numbers of a service that has just started by the numbers of a whole day until 20:40, on which codes
// stopped arriving in one country. A script before it may set a function that changes these numbers.
const day = `
	const ask = fetch
	fetch = async (...args) => {
		const answer = await ask(...args)
		if (!answer.url.endsWith("/numbers.json")) return answer
		const numbers = await answer.json()
		numbers.now = "2026-11-23T20:40:00Z"
		numbers.shared_at = numbers.now
		numbers.copies = 3
		numbers.outbox = {messages: 4, oldest_seconds: 1}
		const period = (people, from, isLate) => {
			const counts = []
			const many = (event, region, provider, reason, n) => {
				if (n >= 1) counts.push({event, region, provider, reason, n: Math.round(n)})
			}
			const regions = [
				["IR", "kavenegar", 0.6, 0.93],
				["DE", "twilio", 0.25, 0.95],
				["TR", "twilio", 0.15, isLate ? 0.35 : 0.9],
			]
			for (const [region, provider, part, good] of regions) {
				const n = people * part
				many("requested", region, "", "", n)
				many("sent", region, provider, "", n * 0.98)
				many("delivered", region, provider, "", n * Math.min(1, good + 0.03))
				many("verified", region, provider, "", n * good)
				many("failed", region, provider, "", n * (1 - good) / 2)
				many("wrong", region, "", "", n * 0.06)
				many("refused", region, "", "resend_too_soon", n * 0.03)
				many("refused", region, "", "phone_limit", n * 0.01)
			}
			const parts = [0.01, 0.12, 0.35, 0.2, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01, 0.01, 0]
			const delays = parts.map(part => Math.round(part * people * 0.9))
			return {from: new Date(from).toISOString(), counts, delays}
		}
		const peopleOf = h => 420 - 300 * Math.cos((h + 18) / 24 * 2 * Math.PI)
		numbers.hours = [...Array(24).keys()].map(h => (
			period(Math.round(peopleOf(h) * (h === 23 ? 2 / 3 : 1)), Date.UTC(2026, 10, 22, 21 + h), h > 17)
		))
		numbers.five_minutes = [...Array(13).keys()].map(n => (
			period(Math.round(peopleOf(22) / (n === 12 ? 40 : 12)), Date.UTC(2026, 10, 23, 19, 40 + 5 * n), true)
		))
		globalThis.change?.(numbers)
		return Response.json(numbers)
	}`
