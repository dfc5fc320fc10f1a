package api

import (
	"fmt"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// from returns the header by which a trusted proxy names a client.
func from(address string) string { return "X-Forwarded-For: " + address }

// TestNetworkLimits checks that an IPv6 address counts by its /64 and by its /48, with ten times the figure, for
// messages and for wrong attempts, and that a login gives back what it took.
func TestNetworkLimits(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off",
			"OTP_LIMIT_IP=1/24h", "OTP_LIMIT_TRIES_IP=1/24h", "TRUSTED_PROXIES=127.0.0.0/8")
		const last, beyond = "+989121234510", "+989121234511"
		number := func(n int) string { return fmt.Sprintf("+98912123450%d", n) }
		network := func(n int) string { return from(fmt.Sprintf("2001:db8:1:%x:aaaa::1", n)) }
		for n := range 10 {
			s.Want(ask(s, number(n), nil, network(n)), 202, "")
		}
		s.Want(ask(s, last, nil, from("2001:db8:1:3:bbbb::2")), 429, "too_many_requests") // the /64
		s.Want(ask(s, last, nil, network(10)), 429, "too_many_requests")                  // the /48
		s.Want(ask(s, last, nil, from("2001:db8:2:3:bbbb::2")), 202, "")
		s.Want(ask(s, beyond, nil, from("192.0.2.1")), 202, "")

		for n := range 10 {
			asked := s.Want(ask(s, last, nil, from(fmt.Sprint("192.0.2.", 10+n))), 202, "")
			miss(t, s, 1, last, s.ShownCode(last), answers(asked), network(n))
		}
		right := s.ShownCode(last)
		s.Want(try(s, last, right, nil, from("2001:db8:1:3:bbbb::2")), 429, "too_many_requests")
		s.Want(try(s, last, right, nil, network(10)), 429, "too_many_requests")
		s.Want(try(s, last, right, nil, from("2001:db8:2:4:bbbb::2")), 201, "")

		s.Want(try(s, number(0), s.ShownCode(number(0)), nil, from("192.0.2.99")), 201, "")
		s.Want(ask(s, beyond, nil, network(10)), 202, "") // the login gave the message back, to both networks
		s.Want(ask(s, beyond, nil, network(11)), 429, "too_many_requests")
	})
}

// TestAttemptsOfAddresses checks that an address with too many wrong attempts learns nothing of a code, that a login
// gives back the attempts at its own code, and that a known device is not concerned.
func TestAttemptsOfAddresses(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off",
			"OTP_LIMIT_IP=off", "OTP_LIMIT_TRIES_IP=3/24h", "TRUSTED_PROXIES=127.0.0.0/8")
		const other = "+989121234512"
		own, elsewhere := from("192.0.2.1"), from("192.0.2.2")
		for range 3 { // each login gives back its two wrong attempts
			asked := s.Want(ask(s, phone, nil, own), 202, "")
			miss(t, s, 2, phone, s.ShownCode(phone), answers(asked), own)
			a := try(s, phone, s.ShownCode(phone), answers(asked), own)
			if a.Status != 201 && a.Status != 200 {
				t.Fatalf("login: %d %s", a.Status, a.Body)
			}
		}
		login := s.Login(phone, own)

		asked := s.Want(ask(s, other, nil, own), 202, "")
		code := s.ShownCode(other)
		miss(t, s, 1, other, code, answers(asked), own)
		miss(t, s, 2, other, code, nil, own)
		for _, answer := range []string{code, servicetest.WrongCode(code)} {
			a := s.Want(try(s, other, answer, answers(asked), own), 429, "too_many_requests")
			wantLive(t, s, a, "too_many_requests", 0)
			wait, _ := a.Field("retry_after").(float64)
			if header := a.Header.Get("Retry-After"); wait < 80000 || header != fmt.Sprint(wait) {
				t.Errorf("%s with Retry-After %q; want the rest of a day", a.Body, header)
			}
		}
		s.Want(changePhone(s, login, "+989121234513"), 202, "")
		s.Want(provePhone(s, login, "+989121234513", "000000", own), 429, "too_many_requests")
		s.Want(ask(s, phone, knownBy(login), own), 202, "")
		s.Want(try(s, phone, s.ShownCode(phone), knownBy(login), own), 200, "")

		// The refused attempts have cost the request nothing. A login from elsewhere gives this address nothing back.
		miss(t, s, 2, other, code, answers(asked), elsewhere)
		s.Want(try(s, other, code, answers(asked), elsewhere), 201, "")
		s.Want(ask(s, other, nil, own), 202, "")
		s.Want(try(s, other, s.ShownCode(other), nil, own), 429, "too_many_requests")
	})
}

// TestChangesCountAgainstTheUser checks that requests and wrong attempts of changes of phone use up the user's own,
// over all numbers, and that the numbers log in as if nothing had happened.
func TestChangesCountAgainstTheUser(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=3/24h",
			"OTP_LIMIT_IP=off", "OTP_LIMIT_TRIES_IP=off", "OTP_MAX_ATTEMPTS=2", "OTP_DAILY_ATTEMPTS=4")
		const first, second, third, fourth = "+989121234514", "+989121234515", "+989121234516", "+989121234517"
		user := s.Login(phone)
		for _, next := range []string{first, second} {
			s.Want(changePhone(s, user, next), 202, "")
			code := s.ShownCode(next)
			for range 2 {
				s.Want(provePhone(s, user, next, servicetest.WrongCode(code)), 401, "")
			}
		}
		a := s.Want(provePhone(s, user, second, s.ShownCode(second)), 429, "too_many_requests")
		if wait, _ := a.Field("retry_after").(float64); wait < 80000 || wait > 86400 {
			t.Errorf("%s; want the rest of a day", a.Body)
		}
		s.Want(changePhone(s, user, third), 429, "too_many_requests")

		// Another user's change, and the logins with these numbers, have all that they had. The messages of a number
		// count together.
		other := s.Login("+989121234518")
		s.Want(changePhone(s, other, first), 202, "")
		code := s.ShownCode(first)
		asked := s.Want(ask(s, first, nil), 202, "")
		if asked.Field("code_length") != 6.0 {
			t.Errorf("%s; want the usual length", asked.Body)
		}
		s.Want(try(s, first, s.ShownCode(first), nil), 201, "")
		s.Want(ask(s, first, nil), 429, "too_many_requests")
		s.Want(provePhone(s, other, first, code), 401, "") // it belongs to another user by now

		// A user may ask for as many codes as one phone may receive, over all numbers.
		for _, next := range []string{third, fourth} {
			s.Want(changePhone(s, other, next), 202, "")
		}
		s.Want(changePhone(s, other, "+989121234519"), 429, "too_many_requests")
		s.Want(ask(s, "+989121234519", nil), 202, "")
		s.Want(provePhone(s, other, fourth, s.ShownCode(fourth)), 200, "")
	})
}
