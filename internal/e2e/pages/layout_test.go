package pages

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// low is an expression of the buttons that cannot be pressed without scrolling.
const low = `(scrollTo(0, 0), [...document.querySelectorAll("main button.main")].filter(e => e.checkVisibility())
	.filter(e => e.getBoundingClientRect().bottom > innerHeight).map(e => e.id).join())`

// TestPageFold checks that the button of both steps is in sight on a phone that lies on its side, in every language.
func TestPageFold(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, append(servicetest.Unlimited, "APP_NAME="+strings.Repeat("Name ", 8)[:39])...)
		b := openLogin(t, s, sized(v, windows[1]))
		for n, language := range languages(t) {
			b.text(`sessionStorage.clear(), ""`)
			b.speak(s, language)
			b.is(low + ` === ""`)
			b.write("#phone", "+1")
			b.click("#send")
			b.until(message)
			b.is(low + ` === ""`)
			to := fmt.Sprintf("+98912123456%d", n)
			b.ask(to)
			b.is(low + ` === ""`)
			b.press(servicetest.WrongCode(s.ShownCode(to)))
			b.until(message)
			b.is(low + ` === ""`)
		}
	})
}

// TestPageMagnified uses the page at 200 %, which leaves a desktop half of its pixels, and on the smallest phone.
func TestPageMagnified(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		for _, window := range []view{{Width: 640, Height: 400, Scale: 2}, smallest} {
			b := openLogin(t, s, sized(v, window))
			for _, language := range []string{"en", "de", "fa"} {
				b.text(`sessionStorage.clear(), ""`)
				b.speak(s, language)
				b.is(`document.documentElement.scrollWidth <= innerWidth`)
				b.wantTargets(language + ", the phone step")
				b.ask(phone)
				b.is(`document.documentElement.scrollWidth <= innerWidth`)
				b.wantTargets(language + ", the code step")
				b.sleep(10 * time.Minute)
				b.until(message)
				b.is(`document.documentElement.scrollWidth <= innerWidth`)
				b.wantTargets(language + ", after the code expired")
			}
		}
	})
}

// small is an expression of the controls that are smaller than a finger needs, except links within a sentence.
const small = `[...document.querySelectorAll("button, select, input, summary")].filter(e => e.checkVisibility())
	.filter(e => e.getBoundingClientRect().height < 37.5 + 6.5 * !e.matches("#phone"))
	.map(e => e.id || e.outerHTML).join()`

// wantTargets checks that every control is at least 44 pixels high. The field of the number is part of a larger frame.
func (b *tab) wantTargets(state string) {
	b.t.Helper()
	if found := b.text(small); found != "" {
		b.t.Errorf("%s: %s is too small for a finger", state, found)
	}
}

// covered is an expression of the controls of the form that the drawer covers, after they were scrolled into sight.
const covered = `[...document.querySelectorAll("main :is(button, input, select, a)")].filter(e => e.checkVisibility())
	.filter(e => {
		e.scrollIntoView({block: "nearest", behavior: "instant"})
		const box = e.getBoundingClientRect()
		const found = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
		return found?.closest("#drawer") || !found?.closest("main")
	}).map(e => e.id || e.outerHTML).join()`

// apart is an expression that reports whether the drawer and the form have no common point.
const apart = `(([a, b]) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top)(
	["main", "#drawer"].map(e => document.querySelector(e).getBoundingClientRect()))`

// TestPageDrawer checks that the drawer covers nothing, in any window, and has all messages at every step.
func TestPageDrawer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		for _, language := range []string{"en", "fa"} {
			b := openLogin(t, s, v)
			for _, window := range slices.Concat(windows, []view{
				smallest,
				{Width: 768, Height: 800},
				{Width: 1000, Height: 800},
				{Width: 1100, Height: 800},
			}) {
				b.resize(window)
				b.text(`sessionStorage.clear(), ""`)
				b.speak(s, language)
				where := fmt.Sprintf("%s, %d × %d", language, window.Width, window.Height)
				wantFree := func(step string) {
					t.Helper()
					if found := b.text(covered); found != "" {
						t.Errorf("%s, %s: the drawer covers %s", where, step, found)
					}
					b.is(apart)
				}
				wantFree("the phone step")
				b.ask(phone)
				b.until(`document.querySelector("#messages li button")`)
				wantFree("the code step")
				b.sleep(10 * time.Minute)
				b.until(message)
				wantFree("after the code expired")
			}
		}
	})
}

// TestPageDrawerIsFull checks that the messages stay in the drawer after a login, a reload and a logout.
func TestPageDrawerIsFull(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, v view) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		b := openLogin(t, s, v)
		const messages = `document.querySelectorAll("#messages li").length === 1`
		b.login(s, phone)
		b.until(messages)
		b.Reload()
		b.step("account")
		b.until(messages)
		b.click("#logout")
		b.step("phone")
		b.until(messages)
		b.is(`document.querySelector("#messages li button").disabled`) // because there is no field for its code
		b.Reload()
		b.step("phone")
		b.until(messages)
	})
}
