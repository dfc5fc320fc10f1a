package redisstore

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

//go:embed lua/*.lua
var luaFiles embed.FS

var (
	openScript     = script("open")
	takeScript     = script("take")
	checkScript    = script("check")
	closeScript    = script("close")
	giveBackScript = script("giveback")
)

func script(name string) *redis.Script {
	var text []byte
	for _, file := range []string{"prelude", name} {
		b, err := luaFiles.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err)
		}
		text = append(text, b...)
	}
	return redis.NewScript(string(text))
}

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
}

// Codes is an otp.CodeStore.
type Codes struct {
	client *Client
	policy otp.Policy
}

var _ otp.CodeStore = (*Codes)(nil)

// NewCodes gives the code store on a connection.
func NewCodes(c *Client, p otp.Policy) *Codes { return &Codes{client: c, policy: p} }

// Open implements otp.CodeStore.
func (s *Codes) Open(ctx context.Context, o otp.Opening) (otp.Challenge, error) {
	perPhone, perAddress, resendAfter := s.policy.PerPhone, s.policy.PerAddress, s.policy.ResendAfter
	if o.Exempt {
		perPhone, perAddress, resendAfter = otp.Limit{}, otp.Limit{}, 0
	}
	keys := []string{codeKey(o.Phone, o.Purpose), sendsKey(o.Phone), wrongKey(o.Phone)}
	var taken addressReceipt
	switch {
	case perAddress.Max == 0:
	case s.client.cluster:
		var err error
		if taken, err = s.take(ctx, sendsKey(o.Address), perAddress); err != nil {
			return otp.Challenge{}, err
		}
	default:
		keys = append(keys, sendsKey(o.Address))
	}
	reply, err := s.run(ctx, openScript, keys,
		o.ID.String(), string(o.Digest), us(s.policy.TTL), s.policy.MaxAttempts, us(resendAfter),
		perPhone.Max, us(perPhone.Window), s.policy.DailyAttempts, us(day),
		perAddress.Max, us(perAddress.Window), taken.String())
	if err != nil {
		return otp.Challenge{}, err
	}
	if refused(reply) {
		if err := s.remove(ctx, taken); err != nil {
			return otp.Challenge{}, err
		}
		return otp.Challenge{}, &otp.ThrottledError{Reason: reason(reply), RetryAfter: duration(reply[2])}
	}
	id, err := uuid.Parse(reply[1].(string))
	if err != nil {
		return otp.Challenge{}, unavailable(err)
	}
	time := reply[3].(string)
	if taken.key == "" && perAddress.Max > 0 {
		taken = addressReceipt{sendsKey(o.Address), time}
	}
	return otp.Challenge{
		ID: id, Send: int(reply[2].(int64)), ResendIn: duration(reply[4]),
		Receipt: otp.Receipt(time + " " + taken.String()),
	}, nil
}

// take counts a send against an address on a cluster.
func (s *Codes) take(ctx context.Context, key string, l otp.Limit) (addressReceipt, error) {
	reply, err := s.run(ctx, takeScript, []string{key}, l.Max, us(l.Window))
	if err != nil {
		return addressReceipt{}, err
	}
	if refused(reply) {
		return addressReceipt{}, &otp.ThrottledError{Reason: otp.ErrAddressLimit, RetryAfter: duration(reply[1])}
	}
	return addressReceipt{key, reply[1].(string)}, nil
}

// Check implements otp.CodeStore.
func (s *Codes) Check(ctx context.Context, phone otp.Key, p otp.Purpose, d otp.Digest) (otp.Match, error) {
	reply, err := s.run(ctx, checkScript, []string{codeKey(phone, p), wrongKey(phone)},
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
	match := otp.Match{ID: id}
	for line := range strings.SplitSeq(reply[2].(string), "\n") {
		if line != "" {
			match.Receipts = append(match.Receipts, otp.Receipt(line))
		}
	}
	return match, nil
}

// Close implements otp.CodeStore.
func (s *Codes) Close(ctx context.Context, phone otp.Key, p otp.Purpose, m otp.Match) error {
	keys, args := []string{codeKey(phone, p)}, []any{m.ID.String()}
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
	_, err := s.run(ctx, closeScript, keys, args...)
	return err
}

// GiveBack implements otp.CodeStore.
func (s *Codes) GiveBack(ctx context.Context, o otp.Opening, c otp.Challenge) error {
	time, address, _ := strings.Cut(string(c.Receipt), " ")
	taken := readReceipt(otp.Receipt(address))
	keys := []string{codeKey(o.Phone, o.Purpose), sendsKey(o.Phone)}
	switch {
	case taken.key == "":
	case s.client.cluster:
		if err := s.remove(ctx, taken); err != nil {
			return err
		}
	default:
		keys = append(keys, taken.key)
	}
	_, err := s.run(ctx, giveBackScript, keys, c.ID.String(), time)
	return err
}

// Forget implements otp.CodeStore.
func (s *Codes) Forget(ctx context.Context, phone otp.Key) error {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	if err := s.client.redis.Del(ctx, codeKey(phone, otp.ForLogin), wrongKey(phone)).Err(); err != nil {
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

func (s *Codes) run(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	reply, err := script.Run(ctx, s.client.redis, keys, args...).Slice()
	if err != nil {
		return nil, unavailable(err)
	}
	return reply, nil
}

func refused(reply []any) bool      { return reply[0].(int64) == 0 }
func reason(reply []any) error      { return reasons[reply[1].(string)] }
func sendsKey(k otp.Key) string     { return "otp:{" + string(k) + "}:sends" }
func wrongKey(k otp.Key) string     { return "otp:{" + string(k) + "}:wrong" }
func us(d time.Duration) int64      { return d.Microseconds() }
func duration(us any) time.Duration { return time.Duration(us.(int64)) * time.Microsecond }
func unavailable(err error) error   { return fmt.Errorf("%w: redis: %w", otp.ErrUnavailable, err) }

func codeKey(k otp.Key, p otp.Purpose) string {
	key := "otp:{" + string(k) + "}:code"
	if p != otp.ForLogin {
		key += ":" + string(p)
	}
	return key
}
