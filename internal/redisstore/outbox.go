package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

const (
	// abandoned is how long a lease lasts after it was granted or renewed, by the clock of Redis. Then another courier
	// may claim the message.
	abandoned = 6 * time.Second
	// How long a holder may rely on its lease, by its own clock; shorter than abandoned, to allow for delay.
	trusted = 4 * time.Second
	// reportFor is how long after a message was sent a provider's report on it is accepted.
	reportFor = time.Hour
)

// A leaseRef is the Ref of an otp.Lease: where the message waits, and the right of the holder to settle it.
type leaseRef struct {
	outbox, entry string
	number        int64  // of the lease, from 1
	challenge     string // the key
	time          string // of the send
	receipts      []receipt
}

// outboxes returns the outboxes of all partitions, divided into what one call can reach. Their order is random, so that
// couriers do not all claim from the same partition first.
func (s *Codes) outboxes() (calls [][]string) {
	var all []string
	for _, n := range rand.Perm(len(s.partitions)) {
		all = append(all, s.partitions[n].outbox())
	}
	if !s.client.cluster {
		return [][]string{all}
	}
	for _, outbox := range all {
		calls = append(calls, []string{outbox})
	}
	return calls
}

// Claim implements otp.Outbox. It goes on after a partition that fails, because the others may have another master.
func (s *Codes) Claim(ctx context.Context, n int) (leases []otp.Lease, err error) {
	defer s.observe(ctx, "claim", time.Now(), &err)
	for _, outboxes := range s.outboxes() {
		if n == len(leases) {
			break
		}
		until := time.Now().Add(trusted)
		claimed, failure := s.scripts.claim.run(ctx, outboxes, abandoned.Milliseconds(), n-len(leases))
		for _, l := range claimed {
			l.Until = until
			leases = append(leases, l)
		}
		err = cmp.Or(err, failure)
	}
	return leases, err
}

// Renew implements otp.Outbox.
func (s *Codes) Renew(ctx context.Context, l otp.Lease) (until time.Time, err error) {
	defer s.observe(ctx, "renew", time.Now(), &err)
	ref, ok := l.Ref.(leaseRef)
	if !ok {
		return time.Time{}, otp.ErrLost
	}
	until = time.Now().Add(trusted)
	_, err = s.scripts.renew.run(ctx, []string{ref.outbox, ref.challenge},
		ref.entry, ref.number, l.ID.String(), l.Send, ref.time)
	return until, err
}

// Settle implements otp.Outbox.
func (s *Codes) Settle(ctx context.Context, l otp.Lease, o otp.Outcome) (err error) {
	defer s.observe(ctx, "settle", time.Now(), &err)
	ref, ok := l.Ref.(leaseRef)
	if !ok {
		return otp.ErrLost
	}
	if o.ID != "" {
		s.expectReport(ctx, l, ref, o)
	}
	keys, refund := append([]string{ref.outbox, ref.challenge}, sendsOf(ref.challenge)...), ""
	if o.Refund {
		refund = ref.time
		if !s.client.cluster {
			for _, r := range ref.receipts {
				keys = append(keys, r.key)
			}
		}
	}
	if _, err := s.scripts.settle.run(ctx, keys,
		ref.entry, ref.number, l.ID.String(), l.Send, string(o.State), o.Provider, refund); err != nil {
		return err
	}
	if o.Refund && s.client.cluster {
		return s.refund(ctx, ref.receipts)
	}
	return nil
}

// expectReport stores for which message the provider's report will be. If that fails, the report will be lost; the
// message must be settled nevertheless, or it would be sent again.
func (s *Codes) expectReport(ctx context.Context, l otp.Lease, ref leaseRef, o otp.Outcome) {
	where := fmt.Sprintf("%s %s %d %s", ref.challenge, l.ID, l.Send, o.Region)
	_ = s.client.try(ctx, func(ctx context.Context) error {
		return s.client.redis.Set(ctx, s.handoff(o.Handoff), where, reportFor).Err()
	})
}

// Report implements otp.Outbox.
func (s *Codes) Report(ctx context.Context, h otp.Handoff, delivered bool) (message, region string, err error) {
	defer s.observe(ctx, "report", time.Now(), &err)
	var where string
	err = s.client.try(ctx, func(ctx context.Context) (err error) {
		where, err = s.client.redis.Get(ctx, s.handoff(h)).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", "", otp.ErrUnknown
	}
	if err != nil {
		return "", "", unavailable(err)
	}
	f := strings.Split(where, " ") // as expectReport wrote it
	if len(f) != 4 {
		return "", "", otp.ErrUnknown
	}
	challenge, id, send, region := f[0], f[1], f[2], f[3]
	state := otp.Failed
	if delivered {
		state = otp.Delivered
	}
	if _, err := s.scripts.report.run(ctx, []string{challenge}, id, send, string(state)); err != nil {
		return "", "", err
	}
	// The key is removed last, so that a provider can repeat a report that failed.
	var removed int64
	err = s.client.try(ctx, func(ctx context.Context) (err error) {
		removed, err = s.client.redis.Del(ctx, s.handoff(h)).Result()
		return err
	})
	if err != nil {
		return "", "", unavailable(err)
	}
	if removed == 0 {
		return "", "", otp.ErrUnknown
	}
	return id + "-" + send, region, nil
}

// Backlog returns how many messages wait or are being delivered, over all partitions, and the age of the oldest.
func (s *Codes) Backlog(ctx context.Context) (messages int, oldest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	now, err := s.client.redis.Time(ctx).Result()
	if err != nil {
		return 0, 0, unavailable(err)
	}
	var lengths []*redis.IntCmd
	var firsts []*redis.XMessageSliceCmd
	if _, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, partition := range s.partitions {
			lengths = append(lengths, p.XLen(ctx, partition.outbox()))
			firsts = append(firsts, p.XRangeN(ctx, partition.outbox(), "-", "+", 1))
		}
		return nil
	}); err != nil {
		return 0, 0, unavailable(err)
	}
	for i := range lengths {
		messages += int(lengths[i].Val())
		for _, first := range firsts[i].Val() {
			ms, _, _ := strings.Cut(first.ID, "-") // the identifier of an entry begins with its time
			if at, err := strconv.ParseInt(ms, 10, 64); err == nil {
				oldest = max(oldest, now.Sub(time.UnixMilli(at)))
			}
		}
	}
	return messages, oldest, nil
}
