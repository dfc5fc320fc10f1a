package redisstore

import (
	"context"
	"time"
)

// An Observer receives every call of otp.Store. It is safe for concurrent use.
type Observer interface {
	// ObserveCall receives a call that has just ended: its name, when it began, and its error, which is nil or one of
	// package otp's. ctx is that of the call.
	ObserveCall(ctx context.Context, call string, began time.Time, err error)
}

// observe reports a call that ends now. Every method of otp.Store defers it.
func (s *Codes) observe(ctx context.Context, call string, began time.Time, err *error) {
	if s.observer != nil {
		s.observer.ObserveCall(ctx, call, began, *err)
	}
}
