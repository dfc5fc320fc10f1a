package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

const (
	// day is the window of Policy.DailyAttempts.
	day = 24 * time.Hour
	// outboxMax is the most messages that wait in one partition. Further requests are refused.
	outboxMax = 4096
	// touchLife is how long the key lives that Touch writes.
	touchLife = time.Minute
)

// CodesOptions are the inputs of NewCodes.
type CodesOptions struct {
	Policy otp.Policy
	// Partitions must be the same number in every copy. If it changes, phones move to other partitions and leave their
	// challenges and limits behind.
	Partitions int
	Observer   Observer // nil: calls are not observed
}

// Codes is an otp.Store.
type Codes struct {
	client     *Client
	scripts    scripts
	policy     otp.Policy
	partitions []partition
	outboxMax  int
	observer   Observer
}

var _ otp.Store = (*Codes)(nil)

// NewCodes returns the store on a connection.
func NewCodes(c *Client, o CodesOptions) *Codes {
	return &Codes{
		client:     c,
		scripts:    newScripts(c),
		policy:     o.Policy,
		partitions: partitions(c, o.Partitions),
		outboxMax:  outboxMax,
		observer:   o.Observer,
	}
}

// Open implements otp.CodeStore.
func (s *Codes) Open(ctx context.Context, o otp.Opening) (_ otp.Challenge, err error) {
	defer s.observe(ctx, "open", time.Now(), &err)
	policy := s.policy
	if len(o.Letter) == 0 {
		policy.PerPhone, policy.PerAddress, policy.ResendAfter, policy.DailyAttempts = otp.Limit{}, otp.Limit{}, 0, 0
	}
	p := s.partition(o.Phone)
	keys := []string{p.challenge(o.Phone, o.Purpose), p.sends(o.Phone), p.wrong(o.Phone), p.outbox()}
	var taken receipt
	switch {
	case policy.PerAddress.Max == 0:
	case s.client.cluster:
		if taken, err = s.take(ctx, s.address(o.Address), policy.PerAddress); err != nil {
			return otp.Challenge{}, err
		}
	default:
		keys = append(keys, s.address(o.Address))
	}
	until := time.Now().Add(trusted)
	opened, err := s.scripts.open.run(ctx, keys,
		o.ID.String(), string(o.Digest), us(policy.TTL),
		policy.MaxAttempts, us(policy.ResendAfter),
		policy.PerPhone.Max, us(policy.PerPhone.Window), policy.DailyAttempts, us(day),
		policy.PerAddress.Max, us(policy.PerAddress.Window),
		taken.String(), o.Letter, s.outboxMax, us(s.outboxLife()), us(otp.MaxLife), us(policy.LeastLife()))
	if errors.Is(err, otp.ErrThrottled) || errors.Is(err, errFull) {
		if err := s.refund(ctx, taken); err != nil {
			return otp.Challenge{}, err
		}
	}
	if err != nil {
		return otp.Challenge{}, err
	}
	c := opened.challenge
	if opened.entry == "" {
		return c, nil
	}
	c.Lease = otp.Lease{
		ID:     c.ID,
		Send:   c.Send,
		Letter: o.Letter,
		Life:   c.ExpiresIn,
		Until:  until,
		Ref: leaseRef{
			outbox:    keys[3],
			entry:     opened.entry,
			number:    1,
			challenge: keys[0],
			time:      opened.time,
			receipt:   opened.receipt,
		},
	}
	return c, nil
}

// outboxLife is longer than the life of any message in an outbox.
func (s *Codes) outboxLife() time.Duration { return 2*s.policy.TTL + time.Minute }

// take counts a send against an address on a cluster.
func (s *Codes) take(ctx context.Context, address string, l otp.Limit) (receipt, error) {
	time, err := s.scripts.take.run(ctx, []string{address}, l.Max, us(l.Window))
	return receipt{address, time}, err
}

// Check implements otp.CodeStore.
func (s *Codes) Check(
	ctx context.Context, phone otp.Pseudonym, purpose otp.Purpose, d otp.Digest,
) (_ otp.Match, err error) {
	defer s.observe(ctx, "check", time.Now(), &err)
	p := s.partition(phone)
	return s.scripts.check.run(ctx, []string{p.challenge(phone, purpose), p.wrong(phone)},
		string(d), s.policy.MaxAttempts, s.policy.DailyAttempts, us(day), rand.Text())
}

// Close implements otp.CodeStore.
func (s *Codes) Close(ctx context.Context, phone otp.Pseudonym, purpose otp.Purpose, m otp.Match) (err error) {
	defer s.observe(ctx, "close", time.Now(), &err)
	keys, args := []string{s.partition(phone).challenge(phone, purpose)}, []any{m.ID.String()}
	for _, text := range m.Receipts {
		r, err := parseReceipt(string(text))
		if err != nil {
			return unavailable(err)
		}
		if s.client.cluster {
			if err := s.refund(ctx, r); err != nil {
				return err
			}
			continue
		}
		keys, args = append(keys, r.key), append(args, r.time)
	}
	_, err = s.scripts.close.run(ctx, keys, args...)
	return err
}

// Status implements otp.CodeStore.
func (s *Codes) Status(
	ctx context.Context, phone otp.Pseudonym, purpose otp.Purpose, id otp.ChallengeID, send int,
) (_ otp.Status, err error) {
	defer s.observe(ctx, "status", time.Now(), &err)
	p := s.partition(phone)
	return s.scripts.status.run(ctx, []string{p.challenge(phone, purpose), p.sends(phone)},
		id.String(), send, s.policy.MaxAttempts,
		us(s.policy.ResendAfter), s.policy.PerPhone.Max, us(s.policy.PerPhone.Window))
}

// Forget implements otp.CodeStore.
func (s *Codes) Forget(ctx context.Context, phone otp.Pseudonym) (err error) {
	defer s.observe(ctx, "forget", time.Now(), &err)
	p := s.partition(phone)
	err = s.client.try(ctx, func(ctx context.Context) error {
		return s.client.redis.Del(ctx, p.challenge(phone, otp.ForLogin), p.wrong(phone)).Err()
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// Unlock implements otp.CodeStore.
func (s *Codes) Unlock(ctx context.Context, phone otp.Pseudonym) (_ otp.Unlocked, err error) {
	defer s.observe(ctx, "unlock", time.Now(), &err)
	p := s.partition(phone)
	return s.scripts.unlock.run(ctx, []string{p.wrong(phone), p.sends(phone)})
}

// refund removes a send from an address's list. It is for a cluster only: elsewhere the scripts do it.
func (s *Codes) refund(ctx context.Context, r receipt) error {
	if r.key == "" {
		return nil
	}
	err := s.client.try(ctx, func(ctx context.Context) error {
		return s.client.redis.LRem(ctx, r.key, 1, r.time).Err()
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// touch writes by a script, because a user who may write and not run scripts is of no use.
const touch = "return redis.call('set', KEYS[1], 1, 'px', ARGV[1])"

// Touch writes to Redis, and returns nil if Redis took it. On a cluster it writes to every partition, in one round trip
// a master, and every master has to take its writes.
func (s *Codes) Touch(ctx context.Context) error {
	touched := s.partitions
	if !s.client.cluster {
		touched = touched[:1]
	}
	err := s.client.try(ctx, func(ctx context.Context) error {
		_, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, part := range touched {
				p.Eval(ctx, touch, []string{part.health()}, touchLife.Milliseconds())
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: redis: %w", otp.ErrUnavailable, refusal(err))
	}
	return nil
}

func us(d time.Duration) int64 { return d.Microseconds() }
