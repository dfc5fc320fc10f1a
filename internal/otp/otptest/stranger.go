package otptest

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"dekamond-otp/internal/otp"
)

// A stranger knows the phone's number and nothing else. The story counts the stranger's guesses by itself: a guess is a
// wrong code in whose place the right one would have logged in.
type stranger struct {
	w         *town
	addresses []netip.Addr
	turn      int          // of the address that comes next
	tickets   []letter     // that the stranger's requests were answered with
	useless   []otp.Answer // with tickets and tokens that are not valid for the phone
	guesses   []guess
	pools     map[string]int // guesses, by challenge and by what they counted against
}

// A guess is a wrong code that was compared with a right one.
type guess struct {
	before, after time.Time // of the call, in driven time
	challenge     string
	digits        int
}

// newStranger returns a stranger with these addresses.
func (w *town) newStranger(addresses []netip.Addr) *stranger {
	w.t.Helper()
	return &stranger{w: w, addresses: addresses, pools: make(map[string]int)}
}

// addressesV4 returns n addresses.
func addressesV4(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
	}
	return all
}

// addressesV6 returns n addresses, each in a /48 of its own.
func addressesV6(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.MustParseAddr(fmt.Sprintf("2001:db8:%x::1", i)))
	}
	return all
}

// nearV6 returns n addresses in as many /64 of one /48.
func nearV6(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i)))
	}
	return all
}

func (s *stranger) address() netip.Addr {
	s.turn++
	return s.addresses[s.turn%len(s.addresses)]
}

// gather collects tickets and tokens that are not valid for the phone. It needs a request for the stranger's own phone.
func (s *stranger) gather() {
	s.w.t.Helper()
	own, err := s.w.request(otp.Request{Phone: s.w.other, Address: s.w.home})
	if err != nil {
		s.w.t.Fatal(err)
	}
	foreign, expired := s.w.DeviceToken(s.w.other, ""), s.w.expired.DeviceToken(s.w.phone, "")
	s.useless = []otp.Answer{
		{},
		{Ticket: "forged"},
		{Ticket: own.ticket},
		{Ticket: foreign},
		{Device: "forged"},
		{Device: foreign},
		{Device: expired},
		{Device: own.ticket},
		{Device: foreign[:len(foreign)-1] + "_"},
		{Device: expired, Ticket: own.ticket},
	}
}

// request asks for a code for the phone, with a token that is not valid for it, if there is one. It reports whether the
// limits let it through.
func (s *stranger) request() bool {
	s.w.t.Helper()
	r := otp.Request{Phone: s.w.phone, Address: s.address()}
	if len(s.useless) > 0 {
		r.Device = s.useless[s.turn%len(s.useless)].Device
	}
	l, err := s.w.request(r)
	if err != nil {
		if !errors.Is(err, otp.ErrThrottled) {
			s.w.t.Fatalf("Request: %v", err)
		}
		return false
	}
	s.w.newest = l
	s.tickets = append(s.tickets, l)
	return true
}

// guess tries a wrong code of so many digits, with what a has and from the stranger's next address. It reports whether
// it was compared. It does nothing if the code of the ticket is about to expire, so that it is not known which code the
// guess is compared with.
func (s *stranger) guess(a otp.Answer, digits int) (compared bool) {
	s.w.t.Helper()
	a.Phone, a.Address = s.w.phone, s.address()
	target, ok := s.target(a.Ticket)
	if !ok {
		return false
	}
	isRight := func() bool { return len(target.code) == digits && s.w.accepts(a, target.code) }
	began := s.w.now()
	near := isRight()
	before := s.w.now()
	err := s.w.answer(a, s.wrong(digits), false)
	after := s.w.now()
	switch {
	case errors.Is(err, otp.ErrWrong):
	case errors.Is(err, otp.ErrInvalidCode), errors.Is(err, otp.ErrThrottled), errors.Is(err, otp.ErrCodeFormat):
		// Time goes by between both attempts: what made the code right may have ended.
		if near && isRight() {
			s.w.t.Fatalf("a wrong code of %d digits is refused, %v, and the right one is not", digits, err)
		}
		return false
	default:
		s.w.t.Fatalf("a wrong code: %v", err)
	}
	if !near && !s.frees(began, after) {
		s.w.t.Fatalf("a wrong code of %d digits is counted, and the right one is refused", digits)
	}
	s.guesses = append(s.guesses, guess{before, after, target.challenge, digits})
	pool := target.challenge
	if target.ticket == a.Ticket {
		pool += a.Ticket
	}
	if s.pools[pool]++; s.pools[pool] > s.w.policy.MaxAttempts {
		s.w.t.Errorf("%d guesses count against the same requester; want %d", s.pools[pool], s.w.policy.MaxAttempts)
	}
	return true
}

// frees reports whether an earlier guess may have left the window of a limit between two times.
func (s *stranger) frees(from, to time.Time) bool {
	return slices.ContainsFunc(s.guesses, func(g guess) bool {
		for _, window := range []time.Duration{24 * time.Hour, s.w.policy.TriesPerAddress.Window} {
			if !g.after.Add(window).Before(from) && !g.before.Add(window).After(to) {
				return true
			}
		}
		return false
	})
}

// target returns the letter with whose code a guess is compared: that of the ticket while its code lives, or else the
// newest one. It is not ok if the code is about to expire.
func (s *stranger) target(ticket string) (target letter, ok bool) {
	l, own := s.letter(ticket)
	left := s.w.ends[l.challenge].Sub(s.w.now())
	switch {
	case !own || left < -slack:
		return s.w.newest, true
	case left > slack:
		return l, true
	default:
		return letter{}, false
	}
}

func (s *stranger) letter(ticket string) (letter, bool) {
	for _, l := range s.tickets {
		if l.ticket == ticket {
			return l, true
		}
	}
	return letter{}, false
}

// wrong returns a code of so many digits that is none of those which the stranger's guess may be compared with.
func (s *stranger) wrong(digits int) string {
	for n := s.turn; ; n++ {
		text := fmt.Sprintf("%0*d", digits, n)
		right := s.w.newest.code == text
		for _, l := range s.tickets {
			right = right || l.code == text
		}
		if !right {
			return text
		}
	}
}

// exhaust guesses with what a has until a guess is not compared. It returns how many were.
func (s *stranger) exhaust(a otp.Answer, digits int) (n int) {
	s.w.t.Helper()
	for s.guess(a, digits) {
		n++
	}
	return n
}

// check holds the guesses below the bounds: each code, and each 24 hours.
func (s *stranger) check() {
	s.w.t.Helper()
	codes := make(map[string]int)
	for _, g := range s.guesses {
		codes[g.challenge]++
	}
	for code, n := range codes {
		if most := s.w.policy.MaxAttempts * (1 + s.w.sends[code]); n > most {
			s.w.t.Errorf("%d guesses at a code with %d requests; want %d at most", n, s.w.sends[code], most)
		}
	}
	mostShort, mostLong := s.w.policy.DailyGuesses()
	for i := range s.guesses {
		short, long := s.day(i)
		odds := float64(short)/math.Pow10(s.w.policy.Length) + float64(long)/math.Pow10(s.w.policy.LongLength())
		if short > mostShort || short+long > mostShort+mostLong || odds > s.w.policy.DailyOdds()*(1+1e-9) {
			s.w.t.Errorf("%d guesses at %d digits in a day, %d at more, odds %.3g; want %d, %d together, odds %.3g",
				short, s.w.policy.Length, long, odds, mostShort, mostShort+mostLong, s.w.policy.DailyOdds())
			return
		}
	}
}

// day returns how many guesses were made in the 24 hours that end with guess i, without those of which the clock of the
// story cannot tell it.
func (s *stranger) day(i int) (short, long int) {
	for j := i; j >= 0 && s.guesses[i].after.Sub(s.guesses[j].before) < 24*time.Hour; j-- {
		if s.guesses[j].digits == s.w.policy.Length {
			short++
		} else {
			long++
		}
	}
	return short, long
}
