// Package delivery tests what becomes of accepted messages: providers, reports, and copies that are killed or stopped.
package delivery

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m, servicetest.Options{Race: true}) }
