package pages

import (
	"net/http"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// openOperator opens the operator's page with the numbers of a day, which a JavaScript statement may change first.
func openOperator(t *testing.T, v view, change string) *tab {
	t.Helper()
	s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
	v.Zone, v.Script = "UTC", "globalThis.change = numbers => {"+change+"};"+day
	b := open(t, operatorPage(s), v)
	b.until(`document.querySelectorAll(".chart canvas").length === 2`)
	return b
}

// choose selects the hours that the page shows.
func (b *tab) choose(hours string) {
	b.t.Helper()
	b.click(`label:has([name=hours][value="` + hours + `"])`)
}

// Changes of the numbers of the day.
const (
	goodDay = `for (const {counts} of [...numbers.hours, ...numbers.five_minutes]) {
		for (const c of counts) if (c.region === "TR" && ["verified", "delivered"].includes(c.event)) c.n *= 2.6
	};`
	weakDay = `for (const {counts} of numbers.five_minutes) {
		for (const c of counts) if (c.event === "verified") c.n = Math.round(c.n * 0.6)
	};`
	deadRedis = `numbers.outbox = null;`
	emptyHour = `numbers.five_minutes = [];`
)

// TestOperatorVerdict checks that the headline says by a word, a sign and a colour whether it is good or bad, and that
// each thing that is wrong leads to the document that explains it.
func TestOperatorVerdict(t *testing.T) {
	t.Parallel()
	colours := make(map[string]string)
	for mood, story := range map[string]struct{ change, headline string }{
		"Good":        {goodDay, "Codes arrive: 9"},
		"Take a look": {goodDay + weakDay, "Many codes do not arrive: only 5"},
		"Bad":         {deadRedis, "Redis does not answer"},
		"Quiet":       {emptyHour, "No message has been sent since 19:40"},
	} {
		b := openOperator(t, view{}, story.change)
		b.until(`document.querySelector("#mood").textContent === ` + quote(mood))
		b.is(`document.querySelector("#headline").textContent.startsWith(` + quote(story.headline) + `)`)
		b.is(`/[✓!✕–]/.test(getComputedStyle(document.querySelector(".mood"), "::before").content)`)
		colour := b.text(`getComputedStyle(document.querySelector("#verdict")).borderTopColor`)
		for other, taken := range colours {
			if colour == taken {
				t.Errorf("%s and %s have the same colour", mood, other)
			}
		}
		colours[mood] = colour
		b.accessible("the operator's page whose verdict is " + mood)
	}
	b := openOperator(t, view{}, "")
	b.until(`document.querySelector("#points li")?.textContent.startsWith("\u2068Türkiye\u2069 by twilio: only")`)
	b.until(`document.title.startsWith("Bad 8")`)
	const links = `[...document.querySelectorAll("#points a")].map(a => a.href).join(" ")`
	for address := range strings.FieldsSeq(b.text(links)) {
		b.Visit(address)
		b.until(`document.querySelector(":target, h1")?.checkVisibility()`)
	}
}

// TestOperatorRanges checks what one hour, a day and two days show, that the running period is marked, and that hours
// in which nothing happened are one row.
func TestOperatorRanges(t *testing.T) {
	t.Parallel()
	const night = `numbers.hours = numbers.hours.filter(h => !/T0[2-4]/.test(h.from));`
	b := openOperator(t, view{}, night)
	b.click("#by-hour summary")
	rows := func() string {
		const trs = `[...document.querySelectorAll("#hours tbody tr")]`
		return b.text(trs + `.map(tr => tr.innerText.replaceAll("\t", " ")).join("\n")`)
	}
	for _, span := range []struct {
		hours, since, title, newest string
		rows                        int
	}{
		{"1", "since Mon 19:40", "Messages by five minutes", "Mon 20:40 to now, so far", 13},
		{"24", "since Sun 21:00", "Messages by hour", "Mon 20:00 to now, so far", 22},
		{"48", "since Sat 21:00", "Messages by hour", "Mon 20:00 to now, so far", 23},
	} {
		b.choose(span.hours)
		b.until(`document.querySelector("#since").textContent === ` + quote(span.since))
		b.is(`document.querySelector("#messages-title").textContent === ` + quote(span.title))
		lines := strings.Split(rows(), "\n")
		if len(lines) != span.rows || !strings.HasPrefix(lines[0], span.newest) {
			t.Errorf("%s hours: %d rows, the first %q; want %d, and %q", span.hours, len(lines), lines[0],
				span.rows, span.newest)
		}
	}
	for _, want := range []string{"Mon 02:00 to 05:00 nothing happened", "Sat 21:00 to 21:00 nothing happened"} {
		if all := rows(); !strings.Contains(all, want) {
			t.Errorf("the table of hours lacks %q:\n%s", want, all)
		}
	}
	b.accessible("the operator's page with the table of hours")
}

// TestOperatorDelays checks that the times in which no code came back are left out or joined.
func TestOperatorDelays(t *testing.T) {
	t.Parallel()
	const few = `for (const p of numbers.five_minutes) p.delays = [0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0];`
	b := openOperator(t, view{}, few)
	const times = `[...document.querySelectorAll("#delays tbody th")].map(th => th.textContent).join(" ")`
	b.until(times + ` === "5–10s 10–30s 30–45s"`)
}

// TestOperatorWithoutReports checks that nothing is said of deliveries if no provider reports them.
func TestOperatorWithoutReports(t *testing.T) {
	t.Parallel()
	const none = `for (const p of [...numbers.hours, ...numbers.five_minutes]) {
		p.counts = p.counts.filter(c => c.event !== "delivered")
	};`
	b := openOperator(t, view{}, none)
	b.click("#by-hour summary")
	b.until(`document.querySelectorAll("#hours tr, #regions tr, #providers tr").length > 20`)
	b.is(`!/delivered/i.test(document.querySelector("#numbers").innerText)`)
	b.is(`!/delivered/i.test(document.querySelector("#messages").ariaLabel)`)

	b = openOperator(t, view{}, "")
	b.until(`/delivered/i.test(document.querySelector("#funnel").innerText)`)
	b.is(`/delivered/i.test(document.querySelector("#regions").innerText)`)
}

// TestOperatorBars checks that the bars of tables above each other begin at one place.
func TestOperatorBars(t *testing.T) {
	t.Parallel()
	const starts = `[...new Set([...document.querySelectorAll(".bars tbody td:nth-child(2)")]
		.map(td => Math.round(td.getBoundingClientRect().x)))].length`
	b := openOperator(t, view{}, "")
	b.choose("24")
	b.until(`document.querySelector("#refusals .bar")`)
	b.is(starts + " === 2") // of two columns of cards
	b = openOperator(t, view{Width: 390, Height: 844, Touch: true}, "")
	b.choose("24")
	b.until(`document.querySelector("#refusals .bar")`)
	b.is(starts + " === 1")
}

// TestOperatorOnHandset checks that the page fits into a narrow window, and that its tables show that they scroll.
func TestOperatorOnHandset(t *testing.T) {
	t.Parallel()
	b := openOperator(t, view{Width: 390, Height: 844, Touch: true}, "")
	b.until(`document.querySelector("#regions tbody tr")`)
	b.is(`document.documentElement.scrollWidth === innerWidth`)
	const scroll = `document.querySelector(".scroll:has(#regions)")`
	b.is(scroll + `.scrollWidth > ` + scroll + `.clientWidth + 100`)
	b.is(scroll + `.ariaLabel === "Regions" && ` + scroll + `.tabIndex === 0`)
	// The covers of the shadows move with the content, and the shadows stay.
	b.is(`getComputedStyle(` + scroll + `).backgroundAttachment === "local, local, scroll, scroll"`)
	b.is(`/rgba\(0, 0, 0, 0\.2\)/.test(getComputedStyle(` + scroll + `).backgroundImage)`)
	b.accessible("the operator's page on a handset")
}

// TestOperatorAsksDoctor reads the doctor's findings from the page, which other sites cannot ask for.
func TestOperatorAsksDoctor(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
	address := operatorPage(s)
	b := open(t, address, view{})
	b.click(`header a[href="#doctor"]`)
	b.click("#doctor-ask")
	b.until(`document.querySelectorAll("#findings li").length > 5`)
	b.is(`document.querySelector("#findings li").textContent.startsWith("weak: APP_ENV is development")`)
	b.is(`/^0 wrong, 1 weak, at /.test(document.querySelector("#doctor-state").textContent)`)
	b.accessible("the operator's page with what the doctor finds")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"doctor", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("another site is answered with %d; want 403", response.StatusCode)
	}
}

// TestOperatorFindsMessage looks a message up by what its 202 and its header name, while its code is live and after it
// was used.
func TestOperatorFindsMessage(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0", "OTP_TTL=10m")
	a := s.Want(s.Request(phone), 202, "")
	code := s.ShownCode(phone)
	s.Want(s.Verify(phone, servicetest.WrongCode(code)), 401, "")
	b := open(t, operatorPage(s), view{})
	find := func(text string, want ...string) {
		t.Helper()
		b.fill("#request-id", text)
		b.click(".find button")
		for _, w := range want {
			b.until(`document.querySelector("#found").innerText.includes(` + quote(w) + `)`)
		}
		b.is(`!document.querySelector("#found").innerText.includes(` + quote(phone[1:]) + `)`)
		b.is(`!document.querySelector("#found").innerText.includes(` + quote(code) + `)`)
	}
	ticket, request := a.Text("request_id"), a.Header.Get("X-Request-ID")
	find(ticket, "Sent: a provider has accepted it", "console", "1 wrong attempt", "more")
	b.accessible("the operator's page with a message")
	message := b.text(`document.querySelector("#found-rows code").textContent`)
	if !strings.Contains(s.Log.String(), "message="+message) {
		t.Errorf("the log does not have the message %s", message)
	}
	s.Want(s.Verify(phone, code), 201, "")
	find(ticket, "The code is dead", message, "grep -F "+message)
	find(request, "identifier of an HTTP request", "grep -F "+request)
	if lines := s.LogLines(request); len(lines) < 2 {
		t.Errorf("the log has %q about the request; want the request and its message", lines)
	}
	find("hello", "no identifier of this service")
	b.is(`!document.querySelector("#found-log").checkVisibility()`)
}
