package pgstore

import (
	"testing"
	"time"

	"dekamond-otp/internal/pgstore/pgtest"
)

func TestClock(t *testing.T) {
	a := open(t, pgtest.NewDatabase(t))
	latency, skew, err := a.Clock(t.Context())
	if err != nil || skew.Abs() > 30*time.Second || latency <= 0 {
		t.Errorf("Clock of a Postgres on this machine: %v, %v, %v", skew, latency, err)
	}
}
