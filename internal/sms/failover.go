package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"dekamond-otp/internal/otp"
)

var errNotTaken = errors.New("sms: no provider took the message")

// A Named is a provider and what the log calls it.
type Named struct {
	Name string
	otp.Sender
}

// Failover delivers each message through the first provider that takes it. It is safe for use by many
// goroutines if its providers are.
type Failover struct {
	log       *slog.Logger
	providers []Named
}

// NewFailover gives a failover over the providers, the preferred one first.
func NewFailover(log *slog.Logger, providers ...Named) *Failover {
	return &Failover{log: log, providers: providers}
}

// Send asks each provider once, until one takes the message or ctx is done. The providers share the
// deadline of ctx: one that uses it all up leaves nothing to the next. A failure is logged when the
// message is handed over; the error wraps every provider's, and that of ctx when it ended the round.
func (f *Failover) Send(ctx context.Context, m otp.Message) error {
	var err error
	failed := errNotTaken
	for i, p := range f.providers {
		if ctx.Err() != nil {
			return fmt.Errorf("%w; %w", failed, ctx.Err())
		}
		if i > 0 {
			f.log.WarnContext(ctx, "message handed over to the next provider",
				"provider", f.providers[i-1].Name, "next", p.Name, "phone", m.To, "error", err.Error())
		}
		if err = p.Send(ctx, m); err == nil {
			return nil
		}
		failed = fmt.Errorf("%w; %s: %w", failed, p.Name, err)
	}
	return failed
}
