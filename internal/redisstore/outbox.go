package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

const (
	abandoned = 6 * time.Second // after which a message that nobody has held again may be claimed
	trusted   = 4 * time.Second // of that, by the clock of the one who holds it
	reportFor = time.Hour       // that a provider has for its last word on a message
)

// A slip says where a message waits, and by which right its holder settles it. It is the Parcel's Slip.
type slip struct {
	outbox, entry string
	lease         int64
	key           string // the challenge
	time          string // of the send
	receipt       addressReceipt
}

// outboxes are the streams of all partitions, in an order of chance, as one call can reach them.
func (s *Codes) outboxes() (calls [][]string) {
	var all []string
	for _, n := range rand.Perm(int(s.partitions)) {
		all = append(all, partition(uint32(n)).outbox())
	}
	if !s.client.cluster {
		return [][]string{all}
	}
	for _, outbox := range all {
		calls = append(calls, []string{outbox})
	}
	return calls
}

// Claim implements otp.Outbox.
func (s *Codes) Claim(ctx context.Context, n int) (parcels []otp.Lease, err error) {
	for _, outboxes := range s.outboxes() {
		if n == len(parcels) {
			break
		}
		until := time.Now().Add(trusted)
		reply, err := s.run(ctx, s.scripts.claim, outboxes, abandoned.Milliseconds(), n-len(parcels), s.policy.MaxAttempts, us(s.outboxLife()), us(s.policy.TTL))
		if err != nil {
			return parcels, err
		}
		for _, claimed := range reply {
			c := claimed.([]any)
			text := func(i int) string { return c[i].(string) }
			id, idErr := uuid.Parse(text(4))
			send, sendErr := strconv.Atoi(text(5))
			if idErr != nil || sendErr != nil {
				return parcels, unavailable(fmt.Errorf("an entry of %s is unreadable", outboxes[c[0].(int64)-1]))
			}
			slip := slip{
				outbox: outboxes[c[0].(int64)-1], entry: text(1), lease: c[2].(int64), key: text(3),
				time: text(6), receipt: readReceipt(otp.Receipt(text(7))),
			}
			parcels = append(parcels, otp.Lease{ID: id, Send: send, Letter: []byte(text(8)), Until: until, Expired: text(9) == "late", Ref: slip})
		}
	}
	return parcels, nil
}

// Backlog tells how many messages are queued or in hand, over all partitions, and how old the oldest is.
func (s *Codes) Backlog(ctx context.Context) (messages int, oldest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	var lengths []*redis.IntCmd
	var firsts []*redis.XMessageSliceCmd
	now, err := s.client.redis.Time(ctx).Result()
	if err != nil {
		return 0, 0, unavailable(err)
	}
	if _, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range s.partitions {
			outbox := partition(n).outbox()
			lengths = append(lengths, p.XLen(ctx, outbox))
			firsts = append(firsts, p.XRangeN(ctx, outbox, "-", "+", 1))
		}
		return nil
	}); err != nil {
		return 0, 0, unavailable(err)
	}
	for i := range lengths {
		messages += int(lengths[i].Val())
		for _, first := range firsts[i].Val() {
			ms, _, _ := strings.Cut(first.ID, "-") // an entry's identifier begins with its time
			if at, err := strconv.ParseInt(ms, 10, 64); err == nil {
				oldest = max(oldest, now.Sub(time.UnixMilli(at)))
			}
		}
	}
	return messages, oldest, nil
}

// Hold implements otp.Outbox.
func (s *Codes) Renew(ctx context.Context, p otp.Lease) (until time.Time, err error) {
	slip, ok := p.Ref.(slip)
	if !ok {
		return time.Time{}, otp.ErrLost
	}
	until = time.Now().Add(trusted)
	reply, err := s.run(ctx, s.scripts.hold, []string{slip.outbox, slip.key},
		slip.entry, slip.lease, p.ID.String(), s.policy.MaxAttempts, slip.time, us(s.policy.TTL))
	if err == nil && refused(reply) {
		err = reason(reply)
	}
	return until, err
}

// Settle implements otp.Outbox.
func (s *Codes) Settle(ctx context.Context, p otp.Lease, o otp.Outcome) error {
	slip, ok := p.Ref.(slip)
	if !ok {
		return otp.ErrLost
	}
	if o.ID != "" {
		ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
		defer cancel()
		// Where this fails, the report is lost. The message must be settled all the same, or it would be sent again.
		s.client.redis.Set(ctx, reportKey(o.Handoff), fmt.Sprintf("%s %s %d %s", slip.key, p.ID, p.Send, o.Region), reportFor)
	}
	phone, _, _ := strings.Cut(slip.key, ":code")
	keys, back := []string{slip.outbox, slip.key, phone + ":sends"}, ""
	if o.Refund {
		back = slip.time
		if slip.receipt.key != "" && !s.client.cluster {
			keys = append(keys, slip.receipt.key)
		}
	}
	reply, err := s.run(ctx, s.scripts.settle, keys, slip.entry, slip.lease, p.ID.String(), p.Send, string(o.State), o.Provider, back)
	switch {
	case err != nil:
		return err
	case refused(reply):
		return reason(reply)
	case o.Refund && s.client.cluster:
		return s.remove(ctx, slip.receipt)
	}
	return nil
}

func reportKey(c otp.Handoff) string { return prefix + "report:{" + c.Provider + ":" + c.ID + "}" }

// Report implements otp.Outbox.
func (s *Codes) Report(ctx context.Context, c otp.Handoff, delivered bool) (message, region string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	text, err := s.client.redis.Get(ctx, reportKey(c)).Result()
	if errors.Is(err, redis.Nil) {
		return "", "", otp.ErrUnknown
	}
	if err != nil {
		return "", "", unavailable(err)
	}
	f := strings.Split(text, " ")
	if len(f) != 4 {
		return "", "", otp.ErrUnknown
	}
	state := otp.Failed
	if delivered {
		state = otp.Delivered
	}
	if _, err := s.run(ctx, s.scripts.report, f[:1], f[1], f[2], string(state)); err != nil {
		return "", "", err
	}
	first, err := s.client.redis.Del(ctx, reportKey(c)).Result() // last, so that a provider may call again after a failure
	if err != nil {
		return "", "", unavailable(err)
	}
	if first == 0 {
		return "", "", otp.ErrUnknown
	}
	return f[1] + "-" + f[2], f[3], nil
}
