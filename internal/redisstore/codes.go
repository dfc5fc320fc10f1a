package redisstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

// errFull means that the partition's outbox holds as many messages as it may.
var errFull = errors.New("the outbox is full")

// day is the interval of Policy.DailyAttempts.
const day = 24 * time.Hour

// reasons are the refusals of the scripts.
var reasons = map[string]error{
	"resend":  otp.ErrResendTooSoon,
	"phone":   otp.ErrPhoneLimit,
	"address": otp.ErrAddressLimit,
	"daily":   otp.ErrDailyLimit,
	"none":    otp.ErrNotLive,
	"wrong":   otp.ErrWrong,
	"burnt":   otp.ErrBurnt,
	"closed":  otp.ErrClosed,
	"lost":    otp.ErrLost,
	"late":    otp.ErrExpired,
}

// Codes is an otp.Store.
type Codes struct {
	client     *Client
	scripts    scripts
	policy     otp.Policy
	partitions uint32
	outboxMax  int // messages that wait in one partition; more requests are refused
}

var _ otp.Store = (*Codes)(nil)

// NewCodes gives the store on a connection. Every copy must have the same number of partitions: phones move when it
// changes, and leave their challenges and limits behind.
func NewCodes(c *Client, p otp.Policy, partitions int) *Codes {
	return &Codes{client: c, scripts: newScripts(c), policy: p, partitions: uint32(partitions), outboxMax: 4096}
}

// Open implements otp.CodeStore.
func (s *Codes) Open(ctx context.Context, o otp.Opening) (otp.Challenge, error) {
	perPhone, perAddress, resendAfter := s.policy.PerPhone, s.policy.PerAddress, s.policy.ResendAfter
	if len(o.Letter) == 0 {
		perPhone, perAddress, resendAfter = otp.Limit{}, otp.Limit{}, 0
	}
	tag := s.tag(o.Phone)
	keys := []string{tag.code(o.Phone, o.Purpose), tag.sends(o.Phone), tag.wrong(o.Phone), tag.outbox()}
	var taken addressReceipt
	switch {
	case perAddress.Max == 0:
	case s.client.cluster:
		var err error
		if taken, err = s.take(ctx, addressKey(o.Address), perAddress); err != nil {
			return otp.Challenge{}, err
		}
	default:
		keys = append(keys, addressKey(o.Address))
	}
	until := time.Now().Add(trusted)
	reply, err := s.run(ctx, s.scripts.open, keys,
		o.ID.String(), string(o.Digest), us(s.policy.TTL), s.policy.MaxAttempts, us(resendAfter),
		perPhone.Max, us(perPhone.Window), s.policy.DailyAttempts, us(day),
		perAddress.Max, us(perAddress.Window), taken.String(), o.Letter, s.outboxMax, us(s.outboxLife()))
	if err != nil {
		return otp.Challenge{}, err
	}
	if refused(reply) {
		if err := s.remove(ctx, taken); err != nil {
			return otp.Challenge{}, err
		}
		if reply[1] == "full" {
			return otp.Challenge{}, unavailable(errFull)
		}
		return otp.Challenge{}, &otp.ThrottledError{Reason: reason(reply), RetryAfter: duration(reply[2])}
	}
	id, err := uuid.Parse(reply[1].(string))
	if err != nil {
		return otp.Challenge{}, unavailable(err)
	}
	c := otp.Challenge{ID: id, Send: int(reply[2].(int64)), ResendIn: duration(reply[4])}
	entry := reply[6].(string)
	if entry == "" {
		return c, nil
	}
	c.Lease = otp.Lease{ID: c.ID, Send: c.Send, Letter: o.Letter, Until: until, Ref: slip{
		outbox: keys[3], entry: entry, lease: 1, key: keys[0],
		time: reply[3].(string), receipt: readReceipt(otp.Receipt(reply[5].(string))),
	}}
	return c, nil
}

// outboxLife is longer than that of any message in it.
func (s *Codes) outboxLife() time.Duration { return 2*s.policy.TTL + time.Minute }

// take counts a send against an address on a cluster.
func (s *Codes) take(ctx context.Context, key string, l otp.Limit) (addressReceipt, error) {
	reply, err := s.run(ctx, s.scripts.take, []string{key}, l.Max, us(l.Window))
	if err != nil {
		return addressReceipt{}, err
	}
	if refused(reply) {
		return addressReceipt{}, &otp.ThrottledError{Reason: otp.ErrAddressLimit, RetryAfter: duration(reply[1])}
	}
	return addressReceipt{key, reply[1].(string)}, nil
}

// Check implements otp.CodeStore.
func (s *Codes) Check(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, d otp.Digest) (otp.Match, error) {
	tag := s.tag(phone)
	reply, err := s.run(ctx, s.scripts.check, []string{tag.code(phone, p), tag.wrong(phone)},
		string(d), s.policy.MaxAttempts, s.policy.DailyAttempts, us(day))
	if err != nil {
		return otp.Match{}, err
	}
	if refused(reply) {
		return otp.Match{}, reason(reply)
	}
	id, err := uuid.Parse(reply[1].(string))
	if err != nil {
		return otp.Match{}, unavailable(err)
	}
	match := otp.Match{ID: id, Provider: reply[3].(string)}
	for line := range strings.SplitSeq(reply[2].(string), "\n") {
		if line != "" {
			match.Receipts = append(match.Receipts, otp.Receipt(line))
		}
	}
	return match, nil
}

// Close implements otp.CodeStore.
func (s *Codes) Close(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, m otp.Match) error {
	keys, args := []string{s.tag(phone).code(phone, p)}, []any{m.ID.String()}
	for _, r := range m.Receipts {
		taken := readReceipt(r)
		if s.client.cluster {
			if err := s.remove(ctx, taken); err != nil {
				return err
			}
			continue
		}
		keys, args = append(keys, taken.key), append(args, taken.time)
	}
	_, err := s.run(ctx, s.scripts.close, keys, args...)
	return err
}

// Status implements otp.CodeStore.
func (s *Codes) Status(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, id otp.ChallengeID, send int) (otp.Status, error) {
	tag := s.tag(phone)
	reply, err := s.run(ctx, s.scripts.status, []string{tag.code(phone, p), tag.sends(phone)},
		id.String(), send, s.policy.MaxAttempts, us(s.policy.ResendAfter), s.policy.PerPhone.Max, us(s.policy.PerPhone.Window))
	if err != nil {
		return otp.Status{}, err
	}
	if refused(reply) {
		return otp.Status{}, otp.ErrUnknown
	}
	return otp.Status{State: otp.State(reply[1].(string)), ResendIn: duration(reply[2])}, nil
}

// Forget implements otp.CodeStore.
func (s *Codes) Forget(ctx context.Context, phone otp.Pseudonym) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	tag := s.tag(phone)
	if err := s.client.redis.Del(ctx, tag.code(phone, otp.ForLogin), tag.wrong(phone)).Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// An addressReceipt is one send in an address's window. The zero addressReceipt is none.
type addressReceipt struct{ key, time string }

func (r addressReceipt) String() string {
	if r.key == "" {
		return ""
	}
	return r.key + " " + r.time
}

func readReceipt(r otp.Receipt) addressReceipt {
	key, time, _ := strings.Cut(string(r), " ")
	return addressReceipt{key, time}
}

func (s *Codes) remove(ctx context.Context, r addressReceipt) error {
	if r.key == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	if err := s.client.redis.LRem(ctx, r.key, 1, r.time).Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

func (s *Codes) run(ctx context.Context, script *script, keys []string, args ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	reply, err := script.run(ctx, keys, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	values, _ := reply.([]any)
	return values, nil
}

func refused(reply []any) bool      { return reply[0].(int64) == 0 }
func reason(reply []any) error      { return reasons[reply[1].(string)] }
func us(d time.Duration) int64      { return d.Microseconds() }
func duration(us any) time.Duration { return time.Duration(us.(int64)) * time.Microsecond }
func unavailable(err error) error   { return fmt.Errorf("%w: redis: %w", otp.ErrUnavailable, err) }

// prefix begins every key. Tests that share a Redis with running services have one of their own.
var prefix = "otp:"

// A tag begins the keys of a partition of the phones and puts them into one slot.
type tag string

func (s *Codes) tag(phone otp.Pseudonym) tag {
	h := fnv.New32a()
	_, _ = io.WriteString(h, string(phone))
	return partition(h.Sum32() % s.partitions)
}

func partition(n uint32) tag { return tag(fmt.Sprintf("%s{%d}:", prefix, n)) }

func (t tag) outbox() string                   { return string(t) + "outbox" }
func (t tag) sends(phone otp.Pseudonym) string { return string(t) + string(phone) + ":sends" }
func (t tag) wrong(phone otp.Pseudonym) string { return string(t) + string(phone) + ":wrong" }

func (t tag) code(phone otp.Pseudonym, p otp.Purpose) string {
	key := string(t) + string(phone) + ":code"
	if p != otp.ForLogin {
		key += ":" + string(p)
	}
	return key
}

func addressKey(address otp.Pseudonym) string { return prefix + "{" + string(address) + "}:sends" }
