// Package api tests the HTTP interface: logins, sessions, users, keys, and input of every kind.
package api

import (
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) { servicetest.Main(m, servicetest.Options{Race: true}) }
