package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// Options are the inputs of New.
type Options struct {
	Codes       CodeStore
	Sender      Sender
	Log         *slog.Logger
	Secret      []byte            // at least 32 bytes
	Policy      Policy            // the same as the CodeStore's
	Regions     []string          // ISO 3166 codes that may receive messages; "*" = all
	TestNumbers map[string]string // E.164 number to its fixed code: no message, no limit of messages
}

// A Service sends codes and checks them. It is safe for use by many goroutines.
type Service struct {
	codes   CodeStore
	sender  Sender
	log     *slog.Logger
	keys    keys
	policy  Policy
	regions map[string]bool
	tests   map[string]string
}

// New gives a service.
func New(o Options) (*Service, error) {
	if len(o.Secret) < 32 {
		return nil, errors.New("otp: the secret is shorter than 32 bytes")
	}
	s := &Service{
		codes: o.Codes, sender: o.Sender, log: o.Log, keys: deriveKeys(o.Secret),
		policy: o.Policy, regions: make(map[string]bool), tests: o.TestNumbers,
	}
	for _, r := range o.Regions {
		s.regions[r] = true
	}
	return s, nil
}

// A Request asks for a message with a code.
type Request struct {
	Phone   phone.Number
	Purpose Purpose
	Address netip.Addr // the client's
	Channel string
	Locale  string
}

// Sent tells what became of a Request.
type Sent struct {
	ExpiresIn time.Duration
	ResendIn  time.Duration // until the phone's own limits allow the next message; 0 = at once
	Length    int           // digits of the code
}

// Request sends the phone its code: a new one, or the live one again. When it returns, a provider has
// accepted the message. Its errors are ErrRegion, *ThrottledError, ErrNotDelivered and ErrUnavailable.
func (s *Service) Request(ctx context.Context, r Request) (Sent, error) {
	fixed, isTest := s.tests[r.Phone.E164()]
	if !isTest && !s.regions["*"] && !s.regions[r.Phone.Region()] {
		return Sent{}, ErrRegion
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Sent{}, fmt.Errorf("otp: new challenge: %w", err)
	}
	code := fixed
	if !isTest {
		code = s.keys.code(id, r.Phone, s.policy.Length)
	}
	opening := Opening{
		Phone: s.keys.phone(r.Phone), Address: s.keys.address(r.Address),
		Purpose: r.Purpose, ID: id, Digest: s.keys.digest(r.Phone, code), Exempt: isTest,
	}
	c, err := s.codes.Open(ctx, opening)
	if err != nil {
		if errors.Is(err, ErrThrottled) {
			s.log.InfoContext(ctx, "code not sent", "phone", r.Phone, "purpose", r.Purpose.Name(), "reason", err.Error())
		}
		return Sent{}, err
	}
	if !isTest {
		if c.ID != id { // the live challenge's code goes out again
			code = s.keys.code(c.ID, r.Phone, s.policy.Length)
		}
		err := s.sender.Send(ctx, Message{
			ID: fmt.Sprintf("%s-%d", c.ID, c.Send), To: r.Phone, Channel: r.Channel, Purpose: r.Purpose,
			Code: code, Text: text(code, r.Purpose, s.policy.TTL), Locale: r.Locale,
		})
		if err != nil {
			s.giveBack(ctx, opening, c)
			return Sent{}, fmt.Errorf("%w: %w", ErrNotDelivered, err)
		}
	}
	s.log.InfoContext(ctx, "code sent", "phone", r.Phone, "purpose", r.Purpose.Name(), "send", c.Send, "test_number", isTest)
	return Sent{ExpiresIn: s.policy.TTL, ResendIn: c.ResendIn, Length: s.policy.Length}, nil
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
	match, err := s.codes.Check(ctx, key, a.Purpose, s.keys.digest(a.Phone, a.Code.digits))
	if err != nil {
		if errors.Is(err, ErrInvalidCode) {
			s.log.InfoContext(ctx, "code refused", "phone", a.Phone, "purpose", a.Purpose.Name(), "reason", err.Error())
		}
		return err
	}
	spent, err := redeem(ctx, match.ID)
	if err == nil {
		s.log.InfoContext(ctx, "code accepted", "phone", a.Phone, "purpose", a.Purpose.Name())
	} else {
		s.log.InfoContext(ctx, "code not redeemed", "phone", a.Phone, "purpose", a.Purpose.Name(), "reason", err.Error())
	}
	if spent {
		// A challenge that stays behind is harmless: redeem refuses it, and it is closed again then.
		if err := s.codes.Close(context.WithoutCancel(ctx), key, a.Purpose, match); err != nil {
			s.log.WarnContext(ctx, "challenge not closed", "phone", a.Phone, "error", err.Error())
		}
	}
	return err
}

// Forget removes what is kept of a phone, but for the times of its messages: they are what the limits of
// messages count, under a digest of the number, and are gone when they count no more. Without them a person
// could have messages sent without end by an account that is made and deleted. Its error is ErrUnavailable.
func (s *Service) Forget(ctx context.Context, p phone.Number) error {
	return s.codes.Forget(ctx, s.keys.phone(p))
}

func (s *Service) giveBack(ctx context.Context, o Opening, c Challenge) {
	if err := s.codes.GiveBack(context.WithoutCancel(ctx), o, c); err != nil {
		s.log.WarnContext(ctx, "send not given back", "error", err.Error())
	}
}
