package api

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// TestSendLimits checks the wait before a resend and the limit of a phone. The limits are so long that the calls
// between two waits fit into them. A try for which the machine is too slow is repeated with another phone.
func TestSendLimits(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		t.Parallel()
		s := servicetest.Start(t, stores, "OTP_RESEND_AFTER=6s", "OTP_LIMIT_PHONE=3/24s", "OTP_LIMIT_IP=off")
		for i := range 10 {
			if inTime := reachLimits(t, s, fmt.Sprintf("+98912123450%d", i)); inTime {
				return
			}
		}
		t.Skip("this machine is too slow")
	})
}

// reachLimits checks the limits of TestSendLimits for a phone. It reports whether its calls were in time.
func reachLimits(t *testing.T, s *servicetest.Service, phone string) (inTime bool) {
	t.Helper()
	const resendAfter, window = 6, 24 // in seconds
	began := time.Now()
	code := s.Code(phone)
	second := s.Request(phone)
	if time.Since(began) >= resendAfter*time.Second {
		return false
	}
	awaitRetry(t, s, phone, s.Want(second, 429, "resend_too_soon"), resendAfter)
	if again := s.ShownCode(phone); again != code {
		t.Errorf("the code of the resend is %s; want %s again", again, code)
	}
	time.Sleep(resendAfter * time.Second)
	third, fourth := s.Request(phone), s.Request(phone)
	if time.Since(began) >= (window-resendAfter)*time.Second {
		return false
	}
	s.Want(third, 202, "")
	if third.Field("resend_in").(float64) <= resendAfter {
		t.Errorf("the third message: %s; want resend_in by the phone's limit", third.Body)
	}
	awaitRetry(t, s, phone, s.Want(fourth, 429, "too_many_requests"), window)
	return true
}

// awaitRetry waits for as long as a 429 has in Retry-After, and checks that the next request is accepted.
func awaitRetry(t *testing.T, s *servicetest.Service, phone string, a servicetest.Answer, atMost int) {
	t.Helper()
	header := a.Header.Get("Retry-After")
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 1 || seconds > atMost || a.Field("retry_after") != float64(seconds) {
		t.Fatalf("Retry-After %q with %s; want the same number from 1 to %d", header, a.Body, atMost)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	s.Want(s.Request(phone), 202, "")
}

func TestAddressLimit(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off", "OTP_LIMIT_IP=4/1h",
			"TRUSTED_PROXIES=127.0.0.0/8")
		for range 4 {
			s.Want(s.Request(phone), 202, "")
		}
		const other = "+989121234501"
		const elsewhere = "X-Forwarded-For: 203.0.113.9, 2001:db8:1:2:3:4:5:6"
		s.Want(s.Request(other), 429, "too_many_requests")
		s.Want(s.Verify(other, "000000"), 401, "") // the refused request has opened no challenge
		s.Want(s.Request(other, elsewhere), 202, "")
		s.Want(s.Verify(phone, s.ShownCode(phone)), 201, "") // refunds the messages
		s.Want(s.Request("+989121234502"), 202, "")
	})
}

// TestAttemptLimit checks that wrong attempts burn a code for clients that send the phone and the code alone, and that
// they get a new one at once.
func TestAttemptLimit(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=10m", "OTP_MAX_ATTEMPTS=2")
		code := s.Code(phone)
		for range 2 {
			s.Want(s.Verify(phone, servicetest.WrongCode(code)), 401, "")
		}
		s.Want(s.Verify(phone, code), 401, "") // the code is burnt
		fresh := s.Code(phone)                 // without a pause
		if fresh == code {
			t.Errorf("the code after the burnt one is %s again", fresh)
		}
		s.Want(s.Verify(phone, servicetest.WrongCode(fresh)), 401, "")
		s.Want(s.Verify(phone, fresh), 201, "")
	})
}
