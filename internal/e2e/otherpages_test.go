package e2e

import (
	"fmt"
	"testing"
)

// TestPageOfCalls makes the calls of a login on the page that shows them. What the page looks like is the viewer's.
func TestPageOfCalls(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	b := open(t, s.url+"/docs", view{})
	execute := func(tag, operation, body string, want int) {
		t.Helper()
		call := "#operations-" + tag + "-" + operation
		b.click(call + " .opblock-summary-control")
		if body != "" {
			b.fill(call+" textarea.body-param__text", body)
		}
		b.click(call + " .execute")
		b.until(fmt.Sprintf(`document.querySelector(%s)?.textContent.startsWith("%d")`, quote(call+" .live-responses-table tbody .response-col_status"), want))
		b.click(call + " .opblock-summary-control")
	}
	execute("login", "requestCode", object("phone", phone), 202)
	execute("login", "verifyCode", object("phone", phone, "code", s.shown(phone)), 201)
	execute("user", "getMe", "", 200) // with the token of the answer before
	b.wantMade("POST", "/otp/request", 1)
}

func TestPageOfOperator(t *testing.T) {
	t.Parallel()
	s := start(t, nil, "INTERNAL_ADDR=127.0.0.1:0", "DEFAULT_REGION=IR")
	b := open(t, s.operatorPage(), view{})
	b.until(`document.querySelector("#welcome").checkVisibility()`)
	b.accessible("the operator's page without numbers")
	for _, to := range []string{phone, "+4915123456789", "+12025550123"} {
		code := s.code(to)
		s.verify(to, wrongCode(code))
		s.want(s.verify(to, code), 201, "")
	}
	s.want(s.request("+989121234568"), 202, "")
	s.want(s.request("+989121234568"), 429, "resend_too_soon")
	for _, row := range []string{"requested.* 4", "sent.* 4", "verified.* 3"} { // by itself, without a reload
		b.until(`[...document.querySelector("#funnel").rows].some(r => /` + row + `/i.test(r.innerText.replaceAll(/\s+/g, " ")))`)
	}
	b.until(`["Iran", "Germany", "United States"].every(name => document.querySelector("#regions").innerText.includes(name))`)
	b.is(`/soon/.test(document.querySelector("#refusals").innerText)`)
	b.is(`document.querySelectorAll(".chart canvas").length === 2`)
	b.accessible("the operator's page")
}

func TestPageOfOperatorNamesCountry(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	s := start(t, nil, append(p.env(), "INTERNAL_ADDR=127.0.0.1:0")...)
	b := open(t, s.operatorPage(), view{})
	p.status.Store(422)
	for n := range 5 {
		s.want(s.request(fmt.Sprintf("+98912123456%d", n)), 202, "")
	}
	b.until(`/Iran.?: none of 5 messages was taken by a provider/.test(document.querySelector("#points").innerText)`)
	b.accessible("the operator's page while nobody takes messages")
}

// operatorPage gives the address of the operator's page once it is served.
func (s *service) operatorPage() string {
	s.t.Helper()
	return "http://" + s.internal() + "/"
}
