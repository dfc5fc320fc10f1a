package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
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
	Secret      []byte            // at least 32 bytes
	Policy      Policy            // the same as the Store's
	Regions     []string          // ISO 3166 codes that may receive messages; "*" = all
	TestNumbers map[string]string // E.164 number to its fixed code: no message, no limit of messages
}

// A Service sends codes and checks them. It is safe for use by many goroutines. Its messages go out while Deliver
// runs, here or in another copy.
type Service struct {
	store   Store
	router  Router
	texts   Texts
	metrics Metrics
	log     *slog.Logger
	tracer  *trace.Tracer
	keys    keys
	policy  Policy
	regions map[string]bool
	tests   map[string]string
	leases  chan Lease // for the couriers of this copy
}

// New gives a service.
func New(o Options) (*Service, error) {
	if len(o.Secret) < 32 {
		return nil, errors.New("otp: the secret is shorter than 32 bytes")
	}
	s := &Service{
		store: o.Store, router: o.Router, texts: o.Texts, metrics: o.Metrics, log: o.Log, tracer: o.Tracer, keys: deriveKeys(o.Secret),
		policy: o.Policy, regions: make(map[string]bool), tests: o.TestNumbers, leases: make(chan Lease, waiting),
	}
	for _, r := range o.Regions {
		s.regions[r] = true
	}
	return s, nil
}

// A Request asks for a message with a code.
type Request struct {
	Phone    phone.Number
	Purpose  Purpose
	Address  netip.Addr // the client's
	Channel  string     // empty: sms, or what there is
	Locale   string     // a BCP 47 tag, or empty
	Accepted string     // the client's Accept-Language
}

// An Accepted is what became of a Request. Its message is queued.
type Accepted struct {
	Channel   string
	ExpiresIn time.Duration
	ResendIn  time.Duration // until the phone's own limits allow the next message; 0 = at once
	Length    int           // digits of the code
	Ticket    string        // for Status
}

// Request has the phone sent its code: a new one, or the live one again. Its errors are ErrRegion, ErrChannel,
// *ThrottledError and ErrUnavailable.
func (s *Service) Request(ctx context.Context, r Request) (Accepted, error) {
	accepted, err := s.request(ctx, r)
	result := "accepted"
	if err != nil {
		result = outcome(err)
	} else if _, isTest := s.tests[r.Phone.E164()]; isTest {
		result = "test_number"
	}
	s.metrics.CountRequest(result, r.Phone.Region())
	return accepted, err
}

func (s *Service) request(ctx context.Context, r Request) (Accepted, error) {
	fixed, isTest := s.tests[r.Phone.E164()]
	if !isTest && !s.regions["*"] && !s.regions[r.Phone.Region()] {
		return Accepted{}, ErrRegion
	}
	channel, err := s.channel(r)
	if err != nil {
		return Accepted{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Accepted{}, fmt.Errorf("otp: new challenge: %w", err)
	}
	opening := Opening{Phone: s.keys.phone(r.Phone), Address: s.keys.address(r.Address), Purpose: r.Purpose, ID: id}
	code := fixed
	letter := letter{To: r.Phone.E164(), Region: r.Phone.Region(), Channel: channel, Purpose: r.Purpose, Asked: r.Locale}
	if !isTest {
		code = s.keys.code(id, r.Phone, s.policy.Length)
		letter.Locale = s.texts.Locale(r.Locale, r.Accepted, letter.Region)
		letter.Parent, letter.State = trace.Headers(ctx)
		if opening.Letter, err = s.keys.seal(letter); err != nil {
			return Accepted{}, fmt.Errorf("otp: seal: %w", err)
		}
	}
	opening.Digest = s.keys.digest(r.Phone, code)
	c, err := s.store.Open(ctx, opening)
	if err != nil {
		if errors.Is(err, ErrThrottled) {
			s.log.InfoContext(ctx, "code refused to the phone", "phone", r.Phone, "purpose", r.Purpose.Name(), "reason", outcome(err))
		}
		return Accepted{}, err
	}
	if isTest {
		s.log.InfoContext(ctx, "test number asked for its code", "phone", r.Phone, "purpose", r.Purpose.Name())
	} else {
		c.Lease.opened, c.Lease.request = &letter, context.WithoutCancel(ctx)
		s.hand(c.Lease)
	}
	return Accepted{
		Channel: channel, ExpiresIn: s.policy.TTL, ResendIn: c.ResendIn, Length: s.policy.Length,
		Ticket: s.keys.ticket(ticket{opening.Phone, r.Purpose, c.ID, c.Send}),
	}, nil
}

// channel gives the one asked for, if there is a provider for it; without one, sms or else the first.
func (s *Service) channel(r Request) (string, error) {
	channels := s.router.Channels(r.Phone.Region())
	if slices.Contains(channels, cmp.Or(r.Channel, SMS)) {
		return cmp.Or(r.Channel, SMS), nil
	}
	if r.Channel != "" || len(channels) == 0 {
		return "", ErrChannel
	}
	return channels[0], nil
}

// Status tells what became of the message of a Request, by its ticket. Its errors are ErrUnknown and
// ErrUnavailable.
func (s *Service) Status(ctx context.Context, ticket string) (Status, error) {
	t, ok := s.keys.readTicket(ticket)
	if !ok {
		return Status{}, ErrUnknown
	}
	return s.store.Status(ctx, t.phone, t.purpose, t.id, t.send)
}

// Report takes what a provider says of a message. What is not known any more is ignored. Its error is
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

// An Answer is what a person sends back.
type Answer struct {
	Phone   phone.Number
	Code    Code
	Purpose Purpose
}

// Verify checks the code and, if it is right, calls redeem with the challenge it answers. The code
// store only proposes: redeem decides, for it may run more than once for one challenge and must let
// just one of those runs log in. It returns spent = true when the challenge can log nobody in any
// more, whether by this run or by an earlier one; while it is false the same code goes on working.
//
// The errors are redeem's, ErrUnavailable, and those that wrap ErrInvalidCode.
func (s *Service) Verify(ctx context.Context, a Answer, redeem func(context.Context, ChallengeID) (spent bool, err error)) error {
	key := s.keys.phone(a.Phone)
	match, err := s.store.Check(ctx, key, a.Purpose, s.keys.digest(a.Phone, a.Code.digits))
	if err != nil {
		if errors.Is(err, ErrInvalidCode) {
			s.log.InfoContext(ctx, "code refused", "phone", a.Phone, "purpose", a.Purpose.Name(), "reason", outcome(err))
		}
		s.metrics.CountAttempt(outcome(err), a.Phone.Region())
		return err
	}
	spent, err := redeem(ctx, match.ID)
	if err == nil {
		s.countVerified(a.Phone, match)
		s.log.InfoContext(ctx, "code accepted", "phone", a.Phone, "purpose", a.Purpose.Name())
	} else {
		result := "unavailable"
		if spent {
			result = "refused"
		}
		s.metrics.CountAttempt(result, a.Phone.Region())
		s.log.InfoContext(ctx, "code not redeemed", "phone", a.Phone, "purpose", a.Purpose.Name(), "reason", err.Error())
	}
	if spent {
		// A challenge that stays behind is harmless: redeem refuses it, and it is closed again then.
		if err := s.store.Close(context.WithoutCancel(ctx), key, a.Purpose, match); err != nil {
			s.log.WarnContext(ctx, "challenge not closed", "phone", a.Phone, "error", err.Error())
		}
	}
	return err
}

func (s *Service) countVerified(p phone.Number, m Match) {
	s.metrics.CountAttempt("verified", p.Region())
	if _, isTest := s.tests[p.E164()]; isTest {
		return
	}
	provider := cmp.Or(m.Provider, "none")
	s.metrics.CountMessage("verified", provider, p.Region())
	opened := time.Unix(m.ID.Time().UnixTime()) // a UUIDv7 begins with its time (RFC 9562 §5.7)
	s.metrics.ObserveDelay(provider, time.Since(opened))
}

// Forget removes what is kept of a phone, but for the times of its messages: they are what the limits of
// messages count, under a digest of the number, and are gone when they count no more. Without them a person
// could have messages sent without end by an account that is made and deleted. Its error is ErrUnavailable.
func (s *Service) Forget(ctx context.Context, p phone.Number) error {
	return s.store.Forget(ctx, s.keys.phone(p))
}
