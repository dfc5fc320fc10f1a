// Package pages opens the service's pages in Chromium and uses them as a person does.
package pages

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m, func() { closeChromium() }) }
