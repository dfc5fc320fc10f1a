package api

import (
	"fmt"
	"regexp"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// crowd is how many addresses a stranger has.
const crowd = 200

// member returns the header of one of the stranger's addresses, which are of both kinds.
func member(i int) string {
	if i%2 == 0 {
		return from(fmt.Sprintf("198.51.100.%d", i))
	}
	return from(fmt.Sprintf("2001:db8:%x::1", i))
}

var countedAttempt = regexp.MustCompile(`msg="attempt refused" .*known_device=false reason=wrong`)

// TestAttackFromManyAddresses checks that a stranger with many addresses keeps the owner of a phone out neither on a
// known device nor on a new one that has its code, and has exactly as many guesses as the code's requests allow.
func TestAttackFromManyAddresses(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=3/24h",
			"OTP_LIMIT_TRIES_IP=20/24h", "TRUSTED_PROXIES=127.0.0.0/8")
		login := s.Want(try(s, phone, s.Code(phone), nil), 201, "")
		newDevice := s.Want(ask(s, phone, nil), 202, "")
		code := s.ShownCode(phone)
		foreign := s.Want(ask(s, "+989121234599", nil), 202, "")
		hands := []with{
			nil,
			{"request_id": "forged"},
			answers(foreign),
			{"device_token": "forged"},
			{"device_token": flipped(login.Text("device_token"), 20)},
		}
		attack := func(want int) {
			t.Helper()
			wrong := servicetest.WrongCode(s.ShownCode(phone))
			before := len(countedAttempt.FindAllString(s.Log.String(), -1))
			statuses := s.AtOnce(crowd, func(i int) servicetest.Answer {
				hand := hands[i%len(hands)]
				return s.Insist(func() servicetest.Answer { return try(s, phone, wrong, hand, member(i)) })
			})
			counted := len(countedAttempt.FindAllString(s.Log.String(), -1)) - before
			// A batch of attempts whose reply was late is sent again, and then the log has fewer wrong ones.
			if statuses[401] != crowd || counted > want {
				t.Errorf("of %d wrong codes at once %v, %d counted; want all 401, %d", crowd, statuses, counted, want)
			}
		}
		attack(5)
		s.Want(try(s, phone, code, nil), 401, "") // the shared attempts are used up
		own := answers(s.Want(ask(s, phone, nil, member(0)), 202, ""))
		hands = append(hands, own)
		attack(5 + 5) // at a code of the stranger's own
		for _, hand := range []with{nil, own} {
			s.Want(try(s, phone, s.ShownCode(phone), hand), 401, "")
		}
		for i := range crowd {
			s.Want(ask(s, phone, hands[i%len(hands)], member(i)), 429, "too_many_requests")
		}
		s.Want(try(s, phone, code, answers(newDevice)), 200, "")
		for range 3 {
			attack(0)
			s.Want(ask(s, phone, knownBy(login), member(0)), 202, "")
			login = s.Want(try(s, phone, s.ShownCode(phone), knownBy(login), member(0)), 200, "")
		}
	})
}
