package sms

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

// asked returns a message to one of many phones that one of many client addresses asked for.
func asked(to, from int) otp.Message {
	return altered(func(m *otp.Message) {
		m.To = phone.Stored(fmt.Sprintf("+4915120%06d", to))
		m.From = otp.Pseudonym(fmt.Sprintf("address %d", from))
	})
}

// sendAll sends n messages at once, each of which calls the first provider at most once, and waits for them.
func (y *fakeRouter) sendAll(t *testing.T, n int, message func(i int) otp.Message) {
	t.Helper()
	var sending sync.WaitGroup
	for i := range n {
		sending.Go(func() {
			calls := 0
			_, _ = y.Send(t.Context(), message(i), func() error { // fails where the first provider does
				if calls++; calls > len(y.fakes) {
					return errDown
				}
				return nil
			})
		})
	}
	sending.Wait()
}

var errPause = &Failure{Status: 429, RetryAfter: time.Minute}

// TestStrangerRestsNoProvider checks that someone who knows numbers to which a provider answers 5xx, or is slow, does
// not keep it from the messages of others.
func TestStrangerRestsNoProvider(t *testing.T) {
	for name, message := range map[string]func(i int) otp.Message{
		"one phone":                        func(int) otp.Message { return asked(1, 1) },
		"one phone from many addresses":    func(i int) otp.Message { return asked(1, i) },
		"few phones from many addresses":   func(i int) otp.Message { return asked(i%(restPhones-1), i) },
		"many phones from one address":     func(i int) otp.Message { return asked(i, 1) },
		"many phones from a few addresses": func(i int) otp.Message { return asked(i, i%(restAddresses-1)) },
	} {
		for _, failure := range []error{&Failure{Status: 503}, errHangs, errPause} {
			t.Run(fmt.Sprint(name, ", ", failure), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					y := newFakeRouter(sms(failure), sms())
					for round := range 4 {
						for range round {
							y.sendAll(t, 10, message)
							time.Sleep(restFor)
						}
						y.sendAll(t, 20, message)
						y.fakes[0].set(nil, failure)
						got, err := y.Send(t.Context(), asked(1000, 1000), always)
						if got.Provider != "a" || err != nil {
							t.Errorf("round %d: Send for another person = %+v, %v; want a", round, got, err)
						}
					}
				})
			})
		}
	}
}

// TestDeadProviderRests checks that a provider that answers no one rests, wherever the messages come from, and that one
// message at a time tests it afterwards.
func TestDeadProviderRests(t *testing.T) {
	for name, message := range map[string]func(i int) otp.Message{
		"many addresses":                  func(i int) otp.Message { return asked(i, i) },
		"as few addresses as count":       func(i int) otp.Message { return asked(i, i%restAddresses) },
		"one address, that of a backend":  func(i int) otp.Message { return asked(i, 1) },
		"no address, of an older version": func(i int) otp.Message { m := asked(i, 1); m.From = ""; return m },
	} {
		for _, failure := range []error{&Failure{Status: 503}, errHangs} {
			t.Run(fmt.Sprint(name, ", ", failure), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					y := newFakeRouter(sms(failure), sms())
					next := 0
					send := func(want string) time.Duration {
						t.Helper()
						began := time.Now()
						got, err := y.Send(t.Context(), message(next), always)
						if next++; got.Provider != want || err != nil {
							t.Fatalf("Send = %+v, %v; want %s", got, err, want)
						}
						return time.Since(began)
					}
					for range restPhones {
						send("b")
					}
					took, n := send("b"), y.fakes[0].called()
					if took != 0 || n != restPhones {
						t.Fatalf("called %d times, and not for %v; want %d times and then a rest", n, took, restPhones)
					}
					for _, rests := range y.Resting {
						if !rests {
							t.Error("the metric shows no rest")
						}
						break
					}
					time.Sleep(restFor)
					y.fakes[0].set(errHangs)
					before := y.fakes[0].called()
					y.sendAll(t, 5, func(i int) otp.Message { return message(next + i) })
					if n := y.fakes[0].called() - before; n != 1 {
						t.Errorf("called %d times after the rest; want once, by one of five messages", n)
					}
					time.Sleep(restFor)
					y.fakes[0].set(nil)
					next += 5
					send("a")
					send("a")
					if log := y.log.String(); !strings.Contains(log, "provider rests") {
						t.Errorf("logged %s; want that the provider rests", log)
					}
				})
			})
		}
	}
}

// TestSuccessEndsRest checks that failures count together only without a success in between, and within restWindow.
func TestSuccessEndsRest(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, y *fakeRouter){
		"a success": func(t *testing.T, y *fakeRouter) {
			y.fakes[0].set(nil, errDown)
			if got, err := y.Send(t.Context(), asked(100, 1), always); got.Provider != "a" || err != nil {
				t.Fatalf("Send = %+v, %v; want a", got, err)
			}
		},
		"time": func(*testing.T, *fakeRouter) { time.Sleep(restWindow) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newFakeRouter(sms(errDown), sms())
				for range 3 {
					y.sendAll(t, restPhones-1, func(i int) otp.Message { return asked(i, 1) })
					between(t, y)
					y.sendAll(t, restPhones-1, func(i int) otp.Message { return asked(10+i, i) })
					between(t, y)
				}
				if log := y.log.String(); strings.Contains(log, "provider rests") {
					t.Errorf("logged %s; want no rest", log)
				}
			})
		})
	}
}

// TestKnownStrangerTestsInVain checks that a provider that has recovered is not rested again by the failures of an
// address that has failed before, and that the next message may use it.
func TestKnownStrangerTestsInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newFakeRouter(sms(errDown), sms())
		y.sendAll(t, restPhones, func(i int) otp.Message { return asked(i, i) })
		time.Sleep(restFor)
		if got, _ := y.Send(t.Context(), asked(500, 1), always); got.Provider != "b" {
			t.Fatalf("Send = %+v; want b", got)
		}
		y.fakes[0].set(nil)
		if got, err := y.Send(t.Context(), asked(600, 600), always); got.Provider != "a" || err != nil {
			t.Errorf("Send for another person = %+v, %v; want a", got, err)
		}
		if log := y.log.String(); !strings.Contains(log, "provider is back") {
			t.Errorf("logged %s; want that the provider is back", log)
		}
	})
}

// TestBreakerIsBounded checks that the memory of a breaker has a bound, and that it keeps no phone as text.
func TestBreakerIsBounded(t *testing.T) {
	b := newBreaker(func(bool) {}, func() {})
	now := time.Unix(0, 0)
	for i := range 5 * maxSources {
		m := asked(i, i)
		p := pass{phone: b.source(m.To.E164()), from: b.source(string(m.From))}
		b.failed(p, 0, now.Add(time.Duration(i)*time.Millisecond))
	}
	for i := range 5 * restPhones {
		p := pass{phone: source(i), from: b.source(string(asked(1, 1).From))}
		b.failed(p, 0, now)
	}
	for what, n := range map[string]int{
		"addresses":        len(b.byFrom),
		"phones of all":    len(b.all.phones),
		"addresses of all": len(b.all.addresses),
	} {
		if n == 0 || n > maxSources {
			t.Errorf("%d %s; want %d at most", n, what, maxSources)
		}
	}
	if n := len(b.byFrom[b.source(string(asked(1, 1).From))].phones); n != restPhones {
		t.Errorf("%d phones of one address; want %d", n, restPhones)
	}
	later := now.Add(time.Hour)
	b.failed(pass{phone: 1, from: 2}, 0, later)
	if n := len(b.byFrom); n != 1 {
		t.Errorf("%d addresses are remembered after an hour; want one", n)
	}
}
