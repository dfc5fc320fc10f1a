package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/requestid"
	"dekamond-otp/internal/trace"
)

// A Request asks for a message with a code.
type Request struct {
	Phone          phone.Number
	Purpose        Purpose
	Address        netip.Addr // the client's
	Device         string     // the client's device token; one that is not valid counts as none
	Channel        string     // empty: sms if available, or else the preferred channel
	Locale         string     // a BCP 47 tag, or empty
	AcceptLanguage string     // the header of that name
}

// An Accepted is the answer to a Request whose message has been queued.
type Accepted struct {
	Channel   string
	Channels  []string // that are available for the phone, the preferred one first; Channel is one of them
	ExpiresIn time.Duration
	ResendIn  time.Duration // until the phone's limits allow the next message; 0 = at once
	Length    int           // digits of the code
	Ticket    string        // for Status
}

// Request sends the phone its code: a new one, or the live one again. The errors are ErrRegion, ErrChannel,
// *ThrottledError and ErrUnavailable.
func (s *Service) Request(ctx context.Context, r Request) (Accepted, error) {
	accepted, err := s.request(ctx, r)
	result := "accepted"
	if err != nil {
		result = outcome(err)
	} else if s.isTest(r.Phone) {
		result = "test_number"
	}
	s.metrics.CountRequest(result, r.Phone.Region())
	return accepted, err
}

func (s *Service) request(ctx context.Context, r Request) (Accepted, error) {
	isTest := s.isTest(r.Phone)
	if !isTest && !s.allows(r.Phone.Region()) {
		return Accepted{}, ErrRegion
	}
	channels := s.router.Channels(r.Phone.Region())
	channel, err := choose(channels, r.Channel)
	if err != nil {
		return Accepted{}, err
	}
	opening, letter, err := s.opening(ctx, r, channel)
	if err != nil {
		return Accepted{}, err
	}
	c, err := s.store.Open(ctx, opening)
	if opening.Device != "" && errors.Is(err, ErrDailyLimit) { // its own attempts are used up: it counts as none
		opening.Device = ""
		c, err = s.store.Open(ctx, opening)
	}
	if err != nil {
		if errors.Is(err, ErrThrottled) {
			s.log.InfoContext(ctx, "request for a code refused",
				"phone", r.Phone,
				"purpose", r.Purpose.Name(),
				"known_device", opening.Device != "",
				"reason", outcome(err))
		}
		return Accepted{}, err
	}
	if isTest {
		s.log.InfoContext(ctx, "test number asked for its code", "phone", r.Phone, "purpose", r.Purpose.Name())
	}
	s.enqueue(c.Lease, letter)
	return Accepted{
		Channel:   channel,
		Channels:  channels,
		ExpiresIn: c.ExpiresIn,
		ResendIn:  c.ResendIn,
		Length:    c.Length,
		Ticket:    s.keys.ticket(ticket{opening.Place, c.ID, c.Send}),
	}, nil
}

// opening returns what the store needs to open a challenge. The letter is nil for a test number.
func (s *Service) opening(ctx context.Context, r Request, channel string) (Opening, *letter, error) {
	id, err := s.clock.NewID()
	if err != nil {
		return Opening{}, nil, fmt.Errorf("otp: new challenge: %w", err)
	}
	o := Opening{
		Place:   Place{Phone: s.keys.phone(r.Phone), Purpose: r.Purpose},
		Address: s.keys.address(r.Address),
		ID:      id,
	}
	if r.Purpose == ForLogin {
		o.Device = s.device(r.Phone, r.Device)
	}
	if s.isTest(r.Phone) {
		o.Digest = s.keys.digest(r.Phone, s.tests[r.Phone.E164()])
		return o, nil, nil
	}
	l := &letter{
		To:        r.Phone.E164(),
		Region:    r.Phone.Region(),
		Channel:   channel,
		Purpose:   r.Purpose,
		Asked:     r.Locale,
		Locale:    s.texts.Locale(r.Locale, r.AcceptLanguage, r.Phone.Region()),
		RequestID: requestid.From(ctx),
		From:      o.Address.Narrow,
	}
	l.Parent, l.State = trace.Headers(ctx)
	if o.Letter, err = s.keys.seal(l); err != nil {
		return Opening{}, nil, fmt.Errorf("otp: seal: %w", err)
	}
	o.Digest = s.keys.digest(r.Phone, s.keys.code(id, r.Phone, s.policy.Length))
	o.LongDigest = s.keys.digest(r.Phone, s.keys.code(id, r.Phone, s.policy.LongLength()))
	return o, l, nil
}

func (s *Service) isTest(p phone.Number) bool {
	_, ok := s.tests[p.E164()]
	return ok
}

func (s *Service) allows(region string) bool { return s.regions["*"] || s.regions[region] }

// choose returns the channel that the client asked for, if it is available. If the client asked for none, choose
// returns sms, or the preferred channel where sms is not available. The error is ErrChannel.
func choose(available []string, asked string) (string, error) {
	wanted := cmp.Or(asked, SMS)
	if slices.Contains(available, wanted) {
		return wanted, nil
	}
	if asked != "" || len(available) == 0 {
		return "", ErrChannel
	}
	return available[0], nil
}
