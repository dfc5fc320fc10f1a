// Package operation tests what those who run the service see: settings, commands, doctor, metrics, traces, and the
// programs and collections that its documents offer.
package operation

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m) }
