package otp

import (
	"context"
	"time"
)

// A State is what has become of a message. A message that Failed may still become Sent, if a courier whose lease was
// lost reports that a provider accepted it. A provider's report is final.
type State string

// The states of a message.
const (
	Queued    State = "queued"    // waits for a courier or is being delivered
	Sent      State = "sent"      // was accepted by a provider
	Failed    State = "failed"    // was accepted by no provider, or reported as not delivered
	Delivered State = "delivered" // was reported as received by the phone
)

// A Lease is the right of one courier to deliver a queued message.
type Lease struct {
	ID      ChallengeID
	Send    int
	Length  int           // digits of the code; 0 if a copy before version 1.3 queued the message
	Letter  []byte        // the sealed message
	Life    time.Duration // of the code, when the lease was granted
	Until   time.Time     // no other courier takes the message over before, by this process's clock
	Expired bool          // the code has expired: the message must be reported as Failed and not be sent
	Ref     any           // belongs to the store; nil in a Lease that was not granted
}

// An Outcome is how the delivery of a message ended.
type Outcome struct {
	State   State // Sent or Failed
	Refund  bool  // whether the limits no longer count this send
	Handoff       // only if Sent
	Region  string
}

// A Handoff names the provider that accepted a message, and the identifier that it returned.
type Handoff struct {
	Provider string
	ID       string // empty if the provider will not report on the message
}

// An Outbox keeps accepted messages until they are settled. It drops a message whose code has been used or burnt.
type Outbox interface {
	// Claim returns leases on up to n messages whose earlier leases have run out.
	Claim(ctx context.Context, n int) ([]Lease, error)
	// Renew extends the lease and returns its new end. It fails with ErrLost if the lease no longer holds, with
	// ErrExpired if the code has expired, and with ErrNotLive if the code was used or burnt, in which case Renew has
	// dropped the message.
	Renew(ctx context.Context, l Lease) (until time.Time, err error)
	// Settle records the outcome. Only the current holder may report Failed; anyone else gets ErrLost. Sent is accepted
	// from anyone, because the message is already out. Settle is idempotent.
	Settle(ctx context.Context, l Lease, o Outcome) error
	// Report records a provider's final word on a message that was settled as Sent, and returns the message's
	// identifier and region. It fails with ErrUnknown if no such message is known, or if it was reported before.
	Report(ctx context.Context, h Handoff, delivered bool) (message, region string, err error)
}
