// Package failover tests what people notice when the stores fail over, on real servers that the tests start and kill: a
// Redis cluster, Sentinel, a Postgres primary with a standby, and PgBouncer.
//
// A story is one fault under load. People request codes, read them in their messages and log in, through copies of the
// service that are called in turn, as a balancer calls them. Meanwhile plain clients of the stores write to them
// without the service in between, and so know when a store served. A story ends with a report: what was lost or
// admitted twice, and how long after the store served again the service still answered 5xx.
package failover

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestMain(m *testing.M) {
	logging.Disable() // the calls of the plain clients return the same errors
	servicetest.Main(m, servicetest.Options{Race: true})
}
