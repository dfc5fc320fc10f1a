// Package pages tests the service's pages in browsers, in which it uses them as a person does.
package pages

import (
	"testing"

	"dekamond-otp/internal/e2e/browser"
	"dekamond-otp/internal/e2e/servicetest"
)

// phone is the phone that most tests log in with.
const phone = servicetest.Phone

func TestMain(m *testing.M) { servicetest.Main(m, servicetest.Options{AtEnd: browser.Close}) }
