package pages

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestPageOffersOtherCountry checks that a national number of another country than the chosen one is offered as a
// number of its own country, without moving the form.
func TestPageOffersOtherCountry(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "DEFAULT_REGION=IR")...)
		b := openLogin(t, s, sized(v, view{Width: 375, Height: 667}))
		b.is(`document.querySelector("#region").value === "IR"`)
		b.text(`(region => {
			region.value = "DE"
			region.dispatchEvent(new Event("change"))
			return region.value
		})(document.querySelector("#region"))`)
		b.write("#phone", "0912 123 4567")
		const button = `String(document.querySelector("#send").getBoundingClientRect().top)`
		before := b.text(button)
		b.click("#send")
		b.says("other_country")
		if after := b.text(button); after != before {
			t.Errorf("the button stands at %s after the offer; want it to stay at %s", after, before)
		}
		b.is(`/^Iran\W+98\W+$/u.test(document.querySelector("#message button").textContent)`)
		b.accessible("an offer of another country")
		b.text(`(language => {
			language.value = "de"
			language.dispatchEvent(new Event("change"))
			return language.value
		})(document.querySelector("#language"))`)
		b.until(line + `.startsWith(` + quote(said(t, "de", "other_country")) + `)`)
		b.click("#message button")
		b.step("code")
		b.is(`document.querySelector("#code-phone").textContent === "+98 912 123 4567"`)
		b.wantMade("POST", "/otp/request", 2)
		b.write("#code", s.ShownCode(phone))
		b.step("account")
	})
}

// TestPageOffersCountryOfLanguage checks that a number that several countries may have is offered as one of the country
// where the page's language is spoken.
func TestPageOffersCountryOfLanguage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "DEFAULT_REGION=DE")...)
		b := open(t, s.URL+"/?lang=fa", v)
		b.write("#phone", "0912 123 4567")
		b.click("#send")
		b.until(`document.querySelector("#message button")`)
		b.click("#message button")
		b.step("code")
		b.is(`document.querySelector("#code-phone").textContent === "+98 912 123 4567"`)
	})
}

// TestPageReadsPasted checks that a number that was pasted with its calling code but no plus is sent as it is meant,
// and that both fields read the digits of other scripts.
func TestPageReadsPasted(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "DEFAULT_REGION=ID")...)
		b := openLogin(t, s, v)
		const paste = `(field => {
			field.value = "6281234567890"
			field.dispatchEvent(new InputEvent("input", { inputType: "insertFromPaste" }))
			return field.value
		})`
		if got := b.text(paste + `(document.querySelector("#phone"))`); got != "812-3456-7890" {
			t.Errorf("the pasted number is shown as %s", got)
		}
		b.write("#phone", "०८१२३४५६७८९०")
		b.click("#send")
		b.step("code")
		b.is(`document.querySelector("#code-phone").textContent === "+62 812-3456-7890"`)
		code := s.ShownCode("+6281234567890")
		var devanagari string
		for _, digit := range code {
			devanagari += string('०' + digit - '0')
		}
		b.write("#code", devanagari)
		b.step("account")
	})
}

// TestPageLogsTestNumberIn checks that the number of a reviewer, which libphonenumber does not know, can log in.
func TestPageLogsTestNumberIn(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "OTP_TEST_NUMBERS=+15550001111:123456")...)
		b := openLogin(t, s, v)
		b.write("#phone", "+1 555 000 1111")
		b.click("#send")
		b.step("code")
		b.write("#code", "123456")
		b.step("account")
	})
}
