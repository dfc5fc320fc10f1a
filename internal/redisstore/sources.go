package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/otp"
)

// rules are the limits of a place, as the policy and the kind of the place determine them.
type rules struct {
	resendAfter time.Duration
	sends       int // within the window of Policy.PerPhone; 0 = any number
	daily       int // wrong attempts in a day that close the place; 0 = any number
	longAfter   int // wrong attempts in a row that make its codes longer; 0 = never
}

// rules returns the rules of a place. The wrong attempts at a change of phone close no place, because they count
// against the user: see sources.
func (s *Codes) rules(at otp.Place) rules {
	r := rules{resendAfter: s.policy.ResendAfter, sends: s.policy.PerPhone.Max}
	switch {
	case at.Device != "":
		r.daily = s.policy.DailyAttempts
	case at.Purpose == otp.ForLogin:
		r.daily, r.longAfter = otp.MaxDailyAttempts, s.policy.DailyAttempts
	default:
		r.longAfter = s.policy.DailyAttempts
	}
	return r
}

// A source is a list of the times at which an address, its network or a user asked for a message or tried a wrong code.
type source struct {
	key, name string
	limit     otp.Limit
}

// asked is the name of a source that is only asked whether it has room.
const asked = "daily"

// Sources count together.
type sources []source

// sources returns the sources that count what is asked for in a place: the kind is sends or wrong. A known device has
// none. The sources of an address share a slot of a cluster, and so do those of a user.
func (s *Codes) sources(at otp.Place, a otp.Address, kind string) (all sources) {
	if at.Device != "" {
		return nil
	}
	perAddress, perUser := s.policy.PerAddress, s.policy.PerPhone
	tries := otp.Limit{Max: s.policy.DailyAttempts, Window: day}
	if kind == "wrong" {
		perAddress, perUser = s.policy.TriesPerAddress, tries
	}
	add := func(key, name string, l otp.Limit) {
		if l.Max > 0 {
			all = append(all, source{key, name, l})
		}
	}
	if a.Wide != "" {
		wide := s.client.prefix + "{" + string(a.Wide) + "}:"
		add(wide+string(a.Narrow)+":"+kind, "address", perAddress)
		perAddress.Max *= otp.WideFactor
		add(wide+kind, "network", perAddress)
	} else if a.Narrow != "" {
		add(s.client.prefix+"{"+string(a.Narrow)+"}:"+kind, "address", perAddress)
	}
	if at.Purpose != otp.ForLogin {
		user := s.client.prefix + "{" + string(at.Purpose) + "}:"
		add(user+kind, "user", perUser)
		if kind == "sends" { // a user without attempts needs no code
			add(user+"wrong", asked, tries)
		}
	}
	return all
}

// keys returns the keys of a script, with those of the sources behind them.
func (all sources) keys(first []string) []string {
	for _, one := range all {
		first = append(first, one.key)
	}
	return first
}

// args returns the arguments of a script, with the limits of the sources behind them.
func (all sources) args(first []any) []any {
	for _, one := range all {
		first = append(first, one.name, one.limit.Max, us(one.limit.Window))
	}
	return first
}

// bySlot divides the sources into those of one slot of a cluster each.
func (all sources) bySlot() (groups []sources) {
	for i, one := range all {
		if i == 0 || hashTag(one.key) != hashTag(all[i-1].key) {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], one)
	}
	return groups
}

// taken is the result of counting sources on a cluster.
type taken struct {
	time     string    // at which they were counted
	receipts []receipt // of those that were counted
	name     string    // of the source that refused; then none was counted
	wait     time.Duration
}

// take counts an event in sources that live in other slots than the phone, all slots at the same time.
func (s *Codes) take(ctx context.Context, all sources) (t taken, err error) {
	groups := all.bySlot()
	results, errs := make([]taken, len(groups)), make([]error, len(groups))
	var running sync.WaitGroup
	for i, group := range groups {
		running.Go(func() { results[i], errs[i] = s.scripts.take.run(ctx, group.keys(nil), group.args(nil)...) })
	}
	running.Wait()
	for i, group := range groups {
		if errs[i] == nil && results[i].name == "" {
			t.receipts = append(t.receipts, group.receipts(results[i].time)...)
		}
		if results[i].wait > t.wait {
			t.name, t.wait = results[i].name, results[i].wait
		}
	}
	err = errors.Join(errs...)
	if err == nil && t.name == "" {
		return t, nil
	}
	if failure := s.refund(ctx, t.receipts); err == nil {
		err = failure
	}
	t.receipts = nil
	return t, err
}

// receipts returns the receipts of sources that were counted at that time.
func (all sources) receipts(time string) (receipts []receipt) {
	for _, one := range all {
		if one.name != asked {
			receipts = append(receipts, receipt{one.key, time})
		}
	}
	return receipts
}

// checkOnCluster counts a wrong attempt in the sources while the code is compared, because they live in other slots:
// the answer waits for one round trip, as on a single Redis. If a source has no attempts left, what the comparison
// found is not revealed; a wrong attempt counts all the same. The sources get the attempt back if it was not a wrong
// one. Nobody waits for that after a right code: Close and Release do it.
func (s *Codes) checkOnCluster(ctx context.Context, a otp.Attempt, all sources) (m otp.Match, err error) {
	var t taken
	var failure error
	var running sync.WaitGroup
	running.Go(func() { t, failure = s.take(ctx, all) })
	m, err = s.check(ctx, a, nil, rand.Text())
	running.Wait()
	switch {
	case failure != nil:
		return otp.Match{}, failure
	case t.name != "":
		return otp.Match{}, &otp.ThrottledError{Reason: triesReasons[t.name], RetryAfter: t.wait}
	case err == nil:
		for _, r := range t.receipts {
			m.Charged = append(m.Charged, otp.Receipt(r.String()))
		}
		return m, nil
	case errors.Is(err, otp.ErrWrong):
		return otp.Match{}, err
	default:
		return otp.Match{}, cmp.Or(s.refund(ctx, t.receipts), err)
	}
}

// refund removes receipts from the lists of their sources. It is for a cluster only: elsewhere the scripts do it.
func (s *Codes) refund(ctx context.Context, receipts []receipt) error {
	return s.giveBack(ctx, receipts, nil, 0)
}

// giveBack removes receipts from the lists of their sources, and then as many of the newest wrong attempts from those
// of others. It is for a cluster only. It is not repeated if there are attempts: a second time would remove more, and
// an attempt that is not given back costs its source little.
func (s *Codes) giveBack(ctx context.Context, receipts []receipt, attempts sources, tries int) error {
	if len(receipts)+len(attempts) == 0 {
		return nil
	}
	run := s.client.try
	if len(attempts) > 0 {
		run = s.client.tryOnce
	}
	err := run(ctx, func(ctx context.Context) error {
		_, err := s.client.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, r := range receipts {
				p.LRem(ctx, r.key, 1, r.time)
			}
			for _, one := range attempts {
				p.LTrim(ctx, one.key, int64(tries), -1)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}
