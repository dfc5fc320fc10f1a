package redisstore

import (
	"testing"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/otp/otptest"
)

func TestAttacksEmbedded(t *testing.T)  { attacks(t, "embedded") }
func TestAttacksOnRedis(t *testing.T)   { attacks(t, "single") }
func TestAttacksOnCluster(t *testing.T) { attacks(t, "cluster") }

func TestRandomAttacks(t *testing.T) {
	t.Parallel()
	otptest.TestRandomAttacks(t, attacked("embedded"))
}

// attacks runs while those on other servers run.
func attacks(t *testing.T, kind string) {
	t.Parallel()
	otptest.TestAttacks(t, attacked(kind))
}

// attacked returns what opens the stores of the attacks.
func attacked(kind string) func(t *testing.T, p otp.Policy) otptest.Store {
	return func(t *testing.T, p otp.Policy) otptest.Store {
		return newTested(t, kind, p).Store
	}
}
