// Package operation tests what an operator of the service sees: settings, commands, doctor, metrics, traces, and the
// programs and collections that its documents offer.
package operation

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// phone is the phone that most tests log in with.
const phone = servicetest.Phone

func TestMain(m *testing.M) { servicetest.Main(m, servicetest.Options{Race: true}) }
