package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

// A StoreObserver counts and times the calls of a store, and adds a span of each to the trace that the call is part of.
type StoreObserver struct {
	calls       *prometheus.HistogramVec
	unavailable error
	system      string
}

// Redis returns the observer of the code store.
func (m *Metrics) Redis() *StoreObserver {
	return &StoreObserver{m.redis, otp.ErrUnavailable, "redis"}
}

// Database returns the observer of the account store. The system is a db.system.name of OpenTelemetry's conventions.
func (m *Metrics) Database(system string) *StoreObserver {
	return &StoreObserver{m.database, account.ErrUnavailable, system}
}

// ObserveCall implements the Observer of every store. The result of a call is "error" if the store is unavailable;
// every other error is an answer of the store, and the call is "ok".
func (o *StoreObserver) ObserveCall(ctx context.Context, call string, began time.Time, err error) {
	span := trace.Ended(ctx, trace.Client, call, o.system, began)
	span.Set("db.system.name", o.system)
	span.Set("db.operation.name", call)
	result := "ok"
	if err != nil && errors.Is(err, o.unavailable) {
		result = "error"
		span.Fail("unavailable")
	}
	span.End()
	o.calls.WithLabelValues(call, result).Observe(time.Since(began).Seconds())
}
