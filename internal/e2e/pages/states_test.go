package pages

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// states are the looks at the login page of which pictures are taken.
var states = map[string]struct {
	language string
	view     view
	settings []string
}{
	"light":     {"en", view{Width: 1280, Height: 800}, nil},
	"dark":      {"en", view{Width: 1280, Height: 800, Dark: true}, nil},
	"phone":     {"de", view{Width: 390, Height: 844}, nil},
	"rtl":       {"fa", view{Width: 390, Height: 844, Dark: true}, nil},
	"narrow":    {"ru", view{Width: 320, Height: 568}, nil},
	"landscape": {"fr", view{Width: 667, Height: 375}, nil},
	"own":       {"en", view{Width: 390, Height: 844}, operatorsLook},
	"own-dark":  {"ar", view{Width: 1280, Height: 800, Dark: true}, operatorsLook},
}

// operatorsLook has a colour and small print of the operator. TestStates adds a logo.
var operatorsLook = []string{
	"APP_COLOR=#0a7d4f",
	"TERMS_URL=https://example.com/terms",
	"PRIVACY_URL=https://example.com/privacy",
	"SMS_NOTICE=true",
}

// TestStates takes pictures of every state of the login page, in all browsers, for people to look at. It writes them to
// the folder that TEST_PICTURES names; no test compares them, because no two machines draw letters alike.
func TestStates(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("TEST_PICTURES")
	if folder == "" {
		t.Skip("TEST_PICTURES names no folder for the pictures")
	}
	for name, look := range states {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, v view) {
				settings := slices.Concat(servicetest.Unlimited, look.settings, []string{
					"APP_NAME=Orders",
					"DEFAULT_REGION=IR",
				})
				if look.settings != nil {
					settings = append(settings, "APP_LOGO="+writeLogo(t, "logo.svg", script))
				}
				s := servicetest.Start(t, nil, settings...)
				b := open(t, s.URL+"/?lang="+look.language, sized(v, look.view))
				prefix := filepath.Join(folder, name+"-"+strings.ToLower(string(v.Browser)))
				b.takeLogin(s, prefix)
				b.takeAccount(s, prefix)
				settings = append(settings, "OTP_LIMIT_PHONE=2/10m", "OTP_LIMIT_TRIES_IP=3/10m", "OTP_DAILY_ATTEMPTS=1")
				takeGuessed(t, settings, look.language, sized(v, look.view), prefix)
			})
		})
	}
}

// takeState takes a picture of the window, and of the rest of the form if the window is too low for it.
func (b *tab) takeState(prefix, state string) {
	b.t.Helper()
	b.until(`document.fonts.status === "loaded"`)
	write := func(name string) {
		b.t.Helper()
		if err := os.WriteFile(name+".png", b.Picture(), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.text(`scrollTo(0, 0), ""`)
	write(prefix + "-" + state)
	b.text(`document.querySelector("main").scrollIntoView({block: "end", behavior: "instant"}), ""`)
	if b.text(`scrollY > 0 ? "low" : ""`) != "" {
		write(prefix + "-" + state + "-end")
	}
}

// takeLogin logs in and takes a picture of every state on the way.
func (b *tab) takeLogin(s *servicetest.Service, prefix string) {
	b.t.Helper()
	b.step("phone")
	b.takeState(prefix, "01-phone")
	b.write("#phone", "+1 202")
	b.click("#send")
	b.until(message)
	b.takeState(prefix, "02-error")
	b.ask(phone)
	b.until(`document.querySelector("#messages li button")`)
	b.takeState(prefix, "03-code")
	b.press(servicetest.WrongCode(s.ShownCode(phone)))
	b.until(message)
	b.step("code")
	b.takeState(prefix, "04-wrong")
	b.sleep(10 * time.Minute)
	b.until(`document.querySelector("#code").disabled || !document.querySelector("#code").checkVisibility()`)
	b.takeState(prefix, "05-expired")
	b.click("#resend")
	b.until(`document.querySelectorAll("#messages li").length === 2`)
	b.step("code")
	b.press(s.ShownCode(phone))
	b.step("account")
	b.takeState(prefix, "06-account")
}

// takeAccount takes a picture of every state of what the account offers, and removes the account.
func (b *tab) takeAccount(s *servicetest.Service, prefix string) {
	b.t.Helper()
	s.Login(phone, "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Safari/604.1")
	b.Reload()
	b.step("account")
	b.takeState(prefix, "07-devices")
	b.click("#logout-all")
	b.takeState(prefix, "08-logout-all")
	b.click("#logout-all-ask .no")
	b.click("#renumber")
	b.step("phone")
	b.takeState(prefix, "09-change")
	b.ask(newPhone)
	b.until(`document.querySelectorAll("#messages li").length === 4`)
	b.takeState(prefix, "10-change-code")
	b.press(s.ShownCode(newPhone))
	b.step("account")
	b.until(message)
	b.takeState(prefix, "11-changed")
	b.click("#remove")
	b.takeState(prefix, "12-remove")
	b.click("#remove-yes")
	b.step("code")
	b.press(s.ShownCode(newPhone))
	b.takeState(prefix, "13-remove-code")
	b.click("#verify")
	b.step("phone")
	b.until(message)
	b.takeState(prefix, "14-removed")
}

// takeGuessed takes pictures of the states of a page whose number strangers guess at.
func takeGuessed(t *testing.T, settings []string, language string, window view, prefix string) {
	s := servicetest.Start(t, nil, settings...)
	b := open(t, s.URL+"/?lang="+language, window)
	b.step("phone")
	s.Verify(phone, servicetest.WrongCode(s.Code(phone)))
	s.Want(s.Request(phone), 202, "")
	b.ask(phone)
	b.until(message)
	b.takeState(prefix, "15-live")
	b.press("1234")
	b.takeState(prefix, "16-long")
	for range 2 {
		b.write("#code", servicetest.WrongCode(s.ShownCode(phone)))
		b.until(`document.querySelector("#code").value === "" && !document.body.dataset.busy`)
	}
	b.press(s.ShownCode(phone))
	b.until(`document.querySelector("#left")`)
	b.takeState(prefix, "17-tries")
}
