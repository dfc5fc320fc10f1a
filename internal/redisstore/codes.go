package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

const (
	// day is the window of the wrong attempts of a day.
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
		scripts:    newScripts(c, o.Policy),
		policy:     o.Policy,
		partitions: partitions(c, o.Partitions),
		outboxMax:  outboxMax,
		observer:   o.Observer,
	}
}

// Open implements otp.CodeStore.
func (s *Codes) Open(ctx context.Context, o otp.Opening) (_ otp.Challenge, err error) {
	defer s.observe(ctx, "open", time.Now(), &err)
	var counted sources
	if len(o.Letter) > 0 { // not a test number
		counted = s.sources(o.Place, o.Address, "sends")
	}
	var t taken
	if s.client.cluster {
		if t, err = s.take(ctx, counted); err != nil {
			return otp.Challenge{}, err
		}
		counted = nil
	}
	keys, args := s.callOpen(o, t)
	until := time.Now().Add(trusted)
	opened, err := s.scripts.open.run(ctx, counted.keys(keys), counted.args(args)...)
	if errors.Is(err, otp.ErrThrottled) || errors.Is(err, errFull) {
		if err := s.refund(ctx, t.receipts); err != nil {
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
		Length: c.Length,
		Letter: o.Letter,
		Life:   c.ExpiresIn,
		Until:  until,
		Ref: leaseRef{
			outbox:    s.partition(o.Phone).outbox(),
			entry:     opened.entry,
			number:    1,
			challenge: keys[0],
			time:      opened.time,
			receipts:  opened.receipts,
		},
	}
	return c, nil
}

// callOpen returns the keys and the arguments of open.lua, up to those of the sources.
func (s *Codes) callOpen(o otp.Opening, t taken) (keys []string, args []any) {
	var rules rules // a test number has none
	if len(o.Letter) > 0 {
		rules = s.rules(o.Place)
	}
	p := s.partition(o.Phone)
	sends, tally := p.sends(o.Place), p.tally(o.Place)
	keys = []string{
		p.challenge(o.Place), sends[0], tally.day, tally.short, tally.row, p.outbox(), p.others(o.Place),
	}
	if o.Device != "" {
		keys = append(keys, p.challenge(o.Open()), sends[1])
	}
	return keys, []any{
		o.ID.String(), string(o.Digest), string(o.LongDigest),
		us(rules.resendAfter), rules.sends, rules.daily, rules.longAfter, string(o.Device),
		lines(t.receipts), t.name, us(t.wait), o.Letter, s.outboxMax,
	}
}

// outboxLife is longer than the life of any message in an outbox.
func outboxLife(p otp.Policy) time.Duration { return 2*p.TTL + time.Minute }

// Check implements otp.CodeStore.
func (s *Codes) Check(ctx context.Context, a otp.Attempt) (_ otp.Match, err error) {
	defer s.observe(ctx, "check", time.Now(), &err)
	sources := s.sources(a.Place, a.Address, "wrong")
	if !s.client.cluster {
		return s.check(ctx, a, sources, rand.Text())
	}
	return s.checkOnCluster(ctx, a, sources)
}

// check runs check.lua, with the sources that the script counts. The id identifies the attempt.
func (s *Codes) check(ctx context.Context, a otp.Attempt, counted sources, id string) (otp.Match, error) {
	rules, p := s.rules(a.Place), s.partition(a.Phone)
	tally := p.tally(a.Place)
	keys, address := []string{p.challenge(a.Open()), tally.day, tally.short, tally.row}, a.Address.Narrow
	if a.Device != "" {
		keys, address = append(keys, p.challenge(a.Place)), ""
	}
	request := ""
	if a.Request != uuid.Nil {
		request = a.Request.String()
	}
	found, err := s.scripts.check.run(ctx, counted.keys(keys), counted.args([]any{
		string(a.Digest), a.Length, rules.daily, rules.longAfter, id,
		string(a.Device), request, a.Send, string(address),
	})...)
	if err != nil {
		return otp.Match{}, err
	}
	m := found.match
	if m.Place = a.Open(); found.isOwn {
		m.Place = a.Place
	}
	return m, nil
}

// Close implements otp.CodeStore.
func (s *Codes) Close(ctx context.Context, a otp.Attempt, m otp.Match) (err error) {
	defer s.observe(ctx, "close", time.Now(), &err)
	p := s.partition(m.Phone)
	receipts, err := receiptsOf(m.Receipts, m.Charged)
	if err != nil {
		return err
	}
	var attempts sources
	if m.Tries > 0 {
		attempts = s.sources(a.Place, a.Address, "wrong")
	}
	keys := []string{p.challenge(m.Place), p.tally(m.Open()).row}
	if s.client.cluster {
		removed, err := s.scripts.close.run(ctx, keys, m.ID.String(), 0, 0)
		if err != nil {
			return err
		}
		if !removed {
			attempts = nil
		}
		return s.giveBack(ctx, receipts, attempts, m.Tries)
	}
	args := []any{m.ID.String(), len(receipts), m.Tries}
	for _, r := range receipts {
		keys, args = append(keys, r.key), append(args, r.time)
	}
	_, err = s.scripts.close.run(ctx, attempts.keys(keys), args...)
	return err
}

// Release implements otp.CodeStore.
func (s *Codes) Release(ctx context.Context, m otp.Match) (err error) {
	defer s.observe(ctx, "release", time.Now(), &err)
	receipts, err := receiptsOf(m.Charged)
	if err != nil {
		return err
	}
	return s.refund(ctx, receipts)
}

// Status implements otp.CodeStore.
func (s *Codes) Status(
	ctx context.Context, at otp.Place, id otp.ChallengeID, send int,
) (_ otp.Status, err error) {
	defer s.observe(ctx, "status", time.Now(), &err)
	p := s.partition(at.Phone)
	return s.scripts.status.run(ctx, []string{p.challenge(at), p.sends(at)[0]},
		id.String(), send)
}

// Forget implements otp.CodeStore.
func (s *Codes) Forget(ctx context.Context, phone otp.Pseudonym) (err error) {
	defer s.observe(ctx, "forget", time.Now(), &err)
	login := otp.Place{Phone: phone, Purpose: otp.ForLogin}
	p := s.partition(phone)
	tally := p.tally(login)
	_, err = s.scripts.forget.run(ctx,
		[]string{p.challenge(login), tally.day, tally.short, tally.row, p.others(login)})
	return err
}

// Unlock implements otp.CodeStore.
func (s *Codes) Unlock(ctx context.Context, phone otp.Pseudonym) (_ otp.Unlocked, err error) {
	defer s.observe(ctx, "unlock", time.Now(), &err)
	login := otp.Place{Phone: phone, Purpose: otp.ForLogin}
	p := s.partition(phone)
	tally := p.tally(login)
	return s.scripts.unlock.run(ctx, []string{tally.day, tally.short, tally.row, p.sends(login)[0]})
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
