// Package otp owns the one-time code: how it is made, how long it lives, who may request one, and which attempts count.
// It also owns the delivery of the message that carries the code. It leaves storage to a Store, the choice of a
// provider to a Router, and users and sessions to the caller of Verify.
//
// A code is never stored. It is derived from the service's secret, the challenge's identifier and the phone. A resend
// therefore repeats the same code, and a copy of the store's data does not let anyone log in.
//
// The store accepts a request in one step, which opens the challenge and queues the sealed message. A courier of this
// copy or of another one then delivers it, and renews its lease on the message as long as it works on it. If a copy
// dies, the lease runs out and another courier takes the message over. A crash therefore loses no message; it may cause
// one to be sent twice, with the same identifier.
package otp

import (
	"errors"
	"log/slog"
	"time"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/trace"
)

// Options are the inputs of New.
type Options struct {
	Store       Store
	Router      Router
	Texts       Texts
	Metrics     Metrics
	Log         *slog.Logger
	Tracer      *trace.Tracer     // nil: no spans
	Clock       *clock.Clock      // of the identifiers of challenges; nil: that of this machine
	Secret      []byte            // at least 32 bytes
	Policy      Policy            // must be the Store's
	DeviceTTL   time.Duration     // life of a device token; 0 = none are issued or accepted
	Regions     []string          // ISO 3166 codes of the regions that may receive messages; "*" = all
	TestNumbers map[string]string // E.164 numbers and their fixed codes; they get no message and have no message limits
}

// A Service sends codes and checks them. It is safe for concurrent use. Its messages are delivered while Deliver runs,
// in this copy or in another one.
type Service struct {
	store   Store
	router  Router
	texts   Texts
	metrics Metrics
	log     *slog.Logger
	tracer  *trace.Tracer
	clock   *clock.Clock
	keys    keys
	policy  Policy
	regions map[string]bool
	tests   map[string]string
	jobs    chan job // messages that wait for a courier of this copy

	deviceTTL time.Duration
}

// New returns a Service. It fails if the secret is shorter than 32 bytes.
func New(o Options) (*Service, error) {
	if len(o.Secret) < 32 {
		return nil, errors.New("otp: the secret is shorter than 32 bytes")
	}
	s := &Service{
		store:   o.Store,
		router:  o.Router,
		texts:   o.Texts,
		metrics: o.Metrics,
		log:     o.Log,
		tracer:  o.Tracer,
		clock:   o.Clock,
		keys:    deriveKeys(o.Secret),
		policy:  o.Policy,
		regions: make(map[string]bool),
		tests:   o.TestNumbers,
		jobs:    make(chan job, maxJobs),

		deviceTTL: o.DeviceTTL,
	}
	for _, r := range o.Regions {
		s.regions[r] = true
	}
	return s, nil
}
