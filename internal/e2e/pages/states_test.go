package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestStates takes pictures of every state of the login page, in all browsers, for people to look at. It writes them to
// the folder that TEST_PICTURES names; no test compares them, because no two machines draw letters alike.
func TestStates(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("TEST_PICTURES")
	if folder == "" {
		t.Skip("TEST_PICTURES names no folder for the pictures")
	}
	for name, look := range map[string]struct {
		language string
		view     view
	}{
		"light": {"en", view{Width: 1280, Height: 800}},
		"dark":  {"en", view{Width: 1280, Height: 800, Dark: true}},
		"phone": {"de", view{Width: 390, Height: 844}},
		"rtl":   {"fa", view{Width: 390, Height: 844, Dark: true}},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, v view) {
				prefix := filepath.Join(folder, name+"-"+strings.ToLower(string(v.Browser)))
				takeStates(t, sized(v, look.view), look.language, prefix)
			})
		})
	}
}

// takeStates logs in in a language and takes a picture of every state on the way.
func takeStates(t *testing.T, v view, language, prefix string) {
	t.Helper()
	s := servicetest.Start(t, nil, append(servicetest.Unlimited, "APP_NAME=Orders", "DEFAULT_REGION=IR")...)
	b := open(t, s.URL+"/?lang="+language, v)
	b.step("phone")
	take := func(state string) {
		t.Helper()
		b.until(`document.fonts.status === "loaded"`)
		if err := os.WriteFile(prefix+"-"+state+".png", b.Picture(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	take("1-phone")
	b.write("#phone", "+1 202")
	b.click("#send")
	b.until(message)
	take("2-error")
	b.ask(phone)
	b.until(`document.querySelector("#messages li button")`)
	take("3-code")
	b.press(servicetest.WrongCode(s.ShownCode(phone)))
	b.until(message)
	b.step("code")
	take("4-wrong")
	b.sleep(10 * time.Minute)
	b.until(`document.querySelector("#code").disabled || !document.querySelector("#code").checkVisibility()`)
	take("5-expired")
	b.click("#resend")
	b.until(`document.querySelectorAll("#messages li").length === 2`)
	b.step("code")
	b.press(s.ShownCode(phone))
	b.step("account")
	take("6-account")
}
