package otp

import (
	"context"
	"errors"
	"time"
)

// A Status is what a person who waits for a message is shown.
type Status struct {
	State    State
	ResendIn time.Duration // until the phone's limits allow the next message; 0 = at once
}

// Status returns the state of the message that a Request queued, by its ticket. The errors are ErrUnknown and
// ErrUnavailable.
func (s *Service) Status(ctx context.Context, ticket string) (Status, error) {
	t, ok := s.keys.readTicket(ticket)
	if !ok {
		return Status{}, ErrUnknown
	}
	return s.store.Status(ctx, t.phone, t.purpose, t.id, t.send)
}

// A Callback is a call by which a provider reports on messages. None of its fields has been checked.
type Callback struct {
	URL         string // the one that the provider was given: PUBLIC_URL, the path and the query
	Secret      string // the part of the path after the provider's name; often empty
	ContentType string
	Header      func(name string) string
	Query       string // without the question mark
	Body        []byte
}

// A Report is a provider's final word on a message that it accepted.
type Report struct {
	ID        string // the identifier that the provider returned for the message
	Delivered bool   // false: it will never be delivered
}

// Report records a provider's report. A report on a message that is no longer known is ignored. The only error is
// ErrUnavailable.
func (s *Service) Report(ctx context.Context, provider string, r Report) error {
	message, region, err := s.store.Report(ctx, Handoff{provider, r.ID}, r.Delivered)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	event := Failed
	if r.Delivered {
		event = Delivered
	}
	s.metrics.CountMessage(string(event), provider, region)
	s.log.InfoContext(ctx, "message reported", "message", message, "provider", provider, "state", event)
	return nil
}
