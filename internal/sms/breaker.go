package sms

import (
	"hash/maphash"
	"sync"
	"time"

	"dekamond-otp/internal/otp"
)

// A provider rests once calls have failed for so many phones that the numbers cannot be the cause: some providers
// answer 5xx to certain numbers, which a stranger can find and ask codes for.
const (
	restPhones    = 5               // Different phones whose calls failed, with no call in between that succeeded.
	restAddresses = 3               // Different client addresses that asked for them, to rest for everyone.
	restWindow    = time.Minute     // In which these failures count together.
	restFor       = 5 * time.Second // Until a single message is sent through a resting provider again.

	// maxSources bounds the memory of a breaker: the addresses with failures that are remembered one by one, and the
	// phones and addresses of all failures together. Those beyond are not remembered.
	maxSources = 1024
)

// A breaker decides when a provider rests. It counts failures twice: those of all messages, and those of the messages
// that one client address asked for.
//
// The provider rests for everyone after failures for restPhones phones from restAddresses addresses, and for the
// messages of one address after failures for restPhones phones from it. So a dead provider rests soon, also for a
// backend whose users all share its address. A stranger with one phone rests it for no one, and one with many phones
// and a few addresses for the messages of these addresses alone. A call that succeeds clears both counts.
//
// A pause that the provider asks for is kept for the address of the message at once, and for everyone once it rests for
// everyone: some providers ask for one that is meant for a number alone.
//
// It keeps digests of phones and addresses, under a key of this process, for restWindow.
type breaker struct {
	seed   maphash.Seed
	rested func(everyone bool) // Is called when the provider begins to rest, with mu held.
	back   func()              // Is called when it no longer rests for everyone, with mu held.

	mu     sync.Mutex // Guards the fields below.
	all    rest
	byFrom map[source]*rest // By client address.
}

func newBreaker(rested func(everyone bool), back func()) *breaker {
	return &breaker{seed: maphash.MakeSeed(), rested: rested, back: back, byFrom: make(map[source]*rest)}
}

// A source is the digest of a phone or of a client address.
type source uint64

func (b *breaker) source(text string) source { return source(maphash.String(b.seed, text)) }

// A rest is the failures of a provider since the last success, and whether it rests for them.
type rest struct {
	phones, addresses map[source]time.Time // When their last call failed.
	until             time.Time            // The zero time if the provider works.
	testing           bool                 // Whether a message tests the provider after its rest.
}

// admits reports whether a message may be sent now, and whether it would test the provider.
func (r *rest) admits(now time.Time) (ok, tests bool) {
	if r == nil || r.until.IsZero() {
		return true, false
	}
	return !r.testing && !now.Before(r.until), true
}

// blame remembers a failure, and forgets those of restWindow ago. It reports whether the address had failed before.
// No more than most phones and addresses are remembered.
func (r *rest) blame(phone, address source, most int, now time.Time) (known bool) {
	_, known = r.addresses[address]
	r.phones = remember(r.phones, phone, most, now)
	r.addresses = remember(r.addresses, address, most, now)
	return known
}

func remember(m map[source]time.Time, s source, most int, now time.Time) map[source]time.Time {
	for other, at := range m {
		if now.Sub(at) >= restWindow {
			delete(m, other)
		}
	}
	if m == nil {
		m = make(map[source]time.Time)
	}
	if _, known := m[s]; known || len(m) < most {
		m[s] = now
	}
	return m
}

// A pass is the permission to call the provider for one message. Its outcome has to be told to worked, failed or
// dropped.
type pass struct {
	phone, from             source
	testsAll, testsFromOnly bool
}

// ask returns a pass for a message, or reports that the provider rests.
func (b *breaker) ask(m otp.Message, now time.Time) (pass, bool) {
	p := pass{phone: b.source(m.To.E164()), from: b.source(string(m.From))}
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byFrom[p.from]
	var okAll, okOne bool
	okAll, p.testsAll = b.all.admits(now)
	okOne, p.testsFromOnly = one.admits(now)
	if !okAll || !okOne {
		return pass{}, false
	}
	if p.testsAll {
		b.all.testing = true
	}
	if p.testsFromOnly {
		one.testing = true
	}
	return p, true
}

// dropped returns a pass whose call says nothing about the provider.
func (b *breaker) dropped(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endTest(p)
}

func (b *breaker) endTest(p pass) {
	if p.testsAll {
		b.all.testing = false
	}
	if one := b.byFrom[p.from]; one != nil && p.testsFromOnly {
		one.testing = false
	}
}

// worked takes note of a call that showed that the provider works.
func (b *breaker) worked(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endTest(p)
	if !b.all.until.IsZero() {
		b.back()
	}
	b.all = rest{}
	delete(b.byFrom, p.from)
}

// failed takes note of a call that failed, and of the pause that the provider asked for, 0 for none.
func (b *breaker) failed(p pass, pause time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endTest(p)
	known := b.all.blame(p.phone, p.from, maxSources, now)
	if p.testsAll || len(b.all.addresses) >= restAddresses && len(b.all.phones) >= restPhones {
		// That an address fails again says nothing new: then the next message tests the provider, without a rest.
		b.all.begin(p.testsAll && !known, pause, now, func() { b.rested(true) })
	}
	one := b.byFrom[p.from]
	if one == nil {
		if one = b.newRest(now); one == nil {
			return
		}
		b.byFrom[p.from] = one
	}
	one.blame(p.phone, p.from, restPhones, now)
	one.begin(p.testsFromOnly, pause, now, func() {
		if b.all.until.IsZero() {
			b.rested(false)
		}
	})
}

// begin begins a rest if enough phones have failed, the test after a rest has failed, or the provider asked for a
// pause.
func (r *rest) begin(failedTest bool, pause time.Duration, now time.Time, began func()) {
	tired := failedTest || r.until.IsZero() && len(r.phones) >= restPhones
	if !tired && pause == 0 {
		return
	}
	if tired {
		pause = max(pause, restFor)
	}
	if until := now.Add(pause); until.After(r.until) {
		r.until = until
	}
	if tired {
		began()
	}
}

// newRest returns a rest for another address, or nil if there is no room.
func (b *breaker) newRest(now time.Time) *rest {
	if len(b.byFrom) >= maxSources {
		for from, one := range b.byFrom {
			if one.isOver(now) {
				delete(b.byFrom, from)
			}
		}
	}
	if len(b.byFrom) >= maxSources {
		return nil
	}
	return new(rest)
}

// isOver reports whether nothing has failed for restWindow, and no message tests the provider.
func (r *rest) isOver(now time.Time) bool {
	for _, at := range r.phones {
		if now.Sub(at) < restWindow {
			return false
		}
	}
	return !r.testing
}

// restsFor reports whether the provider must not be called now for a message.
func (b *breaker) restsFor(m otp.Message, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.byFrom[b.source(string(m.From))]
	return now.Before(b.all.until) || one != nil && now.Before(one.until)
}

// rests reports whether the provider rests for everyone, or for an address while no message of any other was accepted.
func (b *breaker) rests(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.all.until) {
		return true
	}
	if len(b.all.phones) < restPhones {
		return false
	}
	for _, one := range b.byFrom {
		if now.Before(one.until) {
			return true
		}
	}
	return false
}
