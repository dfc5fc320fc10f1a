package otp

import (
	"context"
	"errors"
	"time"
)

// A Status is what the store knows of a message while its code is live.
type Status struct {
	State     State
	ResendIn  time.Duration // until the phone's limits allow the next message; 0 = at once
	Provider  string        // accepted the message; empty if none has, or if a later message was sent
	Wrong     int           // attempts at the code, whoever made them
	ExpiresIn time.Duration // life of the code
}

// Status returns the state of the message that a Request queued, by its ticket. The errors are ErrUnknown and
// ErrUnavailable.
func (s *Service) Status(ctx context.Context, ticket string) (Status, error) {
	t, ok := s.keys.readTicket(ticket)
	if !ok {
		return Status{}, ErrUnknown
	}
	return s.store.Status(ctx, t.Place, t.id, t.send)
}

// A Lookup is what the service can tell of a message by its ticket alone, for a person who runs the service. It names
// neither a phone nor a code.
type Lookup struct {
	Message  string    // its identifier in the log, and at providers that know one
	Send     int       // number of the message in its challenge, from 1
	Purpose  string    // login or phone_change
	OpenedAt time.Time // when the challenge was opened, by the clock of the copy that opened it
	Live     *Status   // nil once the code was used or burnt, or has expired, and if the store cannot tell
}

// LookUp reads a ticket, however old it is. The error is ErrUnknown for what is no ticket of this service, and
// ErrUnavailable if the store could not tell whether the code is live.
func (s *Service) LookUp(ctx context.Context, text string) (Lookup, error) {
	t, ok := s.keys.readTicket(text)
	if !ok {
		return Lookup{}, ErrUnknown
	}
	id := messageID(t.id, t.send)
	found := Lookup{Message: id, Send: t.send, Purpose: t.Purpose.Name(), OpenedAt: t.opened()}
	status, err := s.store.Status(ctx, t.Place, t.id, t.send)
	if errors.Is(err, ErrUnknown) {
		return found, nil
	}
	if err == nil {
		found.Live = &status
	}
	return found, err
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
