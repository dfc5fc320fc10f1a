package pages

import (
	"fmt"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestPageOfCalls makes the calls of a login on the page of the OpenAPI document.
func TestPageOfCalls(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "OTP_TTL=10m")
		b := open(t, s.URL+"/docs", v)
		execute := func(tag, operation, body string, want int) {
			t.Helper()
			call := "#operations-" + tag + "-" + operation
			b.click(call + " .opblock-summary-control")
			if body != "" {
				b.fill(call+" textarea.body-param__text", body)
			}
			b.click(call + " .execute")
			status := quote(call + " .live-responses-table tbody .response-col_status")
			b.until(fmt.Sprintf(`document.querySelector(%s)?.textContent.startsWith("%d")`, status, want))
			b.click(call + " .opblock-summary-control")
		}
		execute("login", "requestCode", servicetest.JSON("phone", phone), 202)
		execute("login", "verifyCode", servicetest.JSON("phone", phone, "code", s.ShownCode(phone)), 201)
		execute("user", "getMe", "", 200) // with the token of the answer before it
		b.wantMade("POST", "/otp/request", 1)
	})
}

func TestPageOfOperator(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t, nil,
		"INTERNAL_ADDR=127.0.0.1:0", "DEFAULT_REGION=IR", "OTP_TTL=10m", "OTP_RESEND_AFTER=10m")
	b := open(t, operatorPage(s), view{})
	b.until(`document.querySelector("#welcome").checkVisibility()`)
	b.accessible("the operator's page without numbers")
	for _, to := range []string{phone, "+4915123456789", "+12025550123"} {
		code := s.Code(to)
		s.Verify(to, servicetest.WrongCode(code))
		s.Want(s.Verify(to, code), 201, "")
	}
	s.Want(s.Request("+989121234568"), 202, "")
	s.Want(s.Request("+989121234568"), 429, "resend_too_soon")
	for _, row := range []string{"requested.* 4", "sent.* 4", "verified.* 3"} { // the page updates itself
		const rows = `[...document.querySelector("#funnel").rows].map(r => r.innerText.replaceAll(/\s+/g, " "))`
		b.until(rows + `.some(text => /` + row + `/i.test(text))`)
	}
	for _, country := range []string{"Iran", "Germany", "United States"} {
		b.until(`document.querySelector("#regions").innerText.includes(` + quote(country) + `)`)
	}
	b.until(`/soon/.test(document.querySelector("#refusals").innerText)`)
	b.is(`document.querySelectorAll(".chart canvas").length === 2`)
	b.accessible("the operator's page")
}

func TestPageOfOperatorNamesCountry(t *testing.T) {
	t.Parallel()
	p := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(p.Settings(), "INTERNAL_ADDR=127.0.0.1:0")...)
	b := open(t, operatorPage(s), view{})
	p.Status.Store(422)
	for n := range 5 {
		s.Want(s.Request(fmt.Sprintf("+98912123456%d", n)), 202, "")
	}
	b.until(`/Iran.?: none of 5 messages was accepted by a provider/.test(document.querySelector("#points").innerText)`)
	b.accessible("the operator's page while nobody takes messages")
}

// TestPageOfOperatorInOddBrowser opens the page with a language that is not a valid tag, in all browsers.
func TestPageOfOperatorInOddBrowser(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, "INTERNAL_ADDR=127.0.0.1:0")
		v.Script = `Object.defineProperty(Navigator.prototype, "languages", {get: () => ["C", "en-US@posix"]})
			Object.defineProperty(Navigator.prototype, "language", {get: () => "C"});` + day
		b := open(t, operatorPage(s), v)
		b.until(`document.querySelectorAll(".chart canvas").length === 2`)
	})
}

// operatorPage returns the address of the operator's page once it is served.
func operatorPage(s *servicetest.Service) string {
	return "http://" + s.InternalAddress() + "/"
}
