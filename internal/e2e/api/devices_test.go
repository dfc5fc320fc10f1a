package api

import (
	"maps"
	"regexp"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// knownBy returns what a client sends that has logged in with the answer before.
func knownBy(login servicetest.Answer) with { return with{"device_token": login.Text("device_token")} }

// and returns the members of both.
func (w with) and(others with) with {
	all := maps.Clone(w)
	maps.Copy(all, others)
	return all
}

var deviceToken = regexp.MustCompile(`^[A-Za-z0-9_-]{60,90}$`)

// TestStrangersDoNotReachKnownDevices checks that a person on a device that has logged in before notices nothing of an
// attack: the first code works at once.
func TestStrangersDoNotReachKnownDevices(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_LIMIT_PHONE=2/24h", "OTP_LIMIT_IP=2/24h",
			"OTP_LIMIT_TRIES_IP=5/24h", "OTP_DAILY_ATTEMPTS=5", "TRUSTED_PROXIES=127.0.0.0/8")
		const stranger = "X-Forwarded-For: 198.51.100.7"
		login := s.Want(try(s, phone, s.Code(phone), nil), 201, "")
		if !deviceToken.MatchString(login.Text("device_token")) {
			t.Errorf("login: %s; want a device_token of about 70 URL-safe characters", login.Body)
		}
		open := s.Want(ask(s, phone, nil, stranger), 202, "")
		code := s.ShownCode(phone)
		miss(t, s, 5, phone, code, nil, stranger)
		s.Want(ask(s, phone, nil, stranger), 429, "too_many_requests")
		s.Want(try(s, phone, code, answers(open), stranger), 429, "too_many_requests")

		// The person may even have the stranger's address: mobile networks share theirs among many.
		for range 2 {
			s.Want(ask(s, phone, knownBy(login), stranger), 202, "")
			login = s.Want(try(s, phone, s.ShownCode(phone), knownBy(login), stranger), 200, "")
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
		}
	})
}

// TestForgedDevices checks that a device_token which was not issued for this phone counts as none, for messages and for
// attempts.
func TestForgedDevices(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=3/24h",
			"OTP_LIMIT_IP=off", "OTP_LIMIT_TRIES_IP=off", "OTP_MAX_ATTEMPTS=1", "OTP_DAILY_ATTEMPTS=100")
		elsewhere := servicetest.Start(t, nil, servicetest.Unlimited...)
		login := s.Want(try(s, phone, s.Code(phone), nil), 201, "")
		token := login.Text("device_token")
		forged := forgeries(token)
		forged["of another secret"] = elsewhere.Login(phone).Text("device_token")
		forged["another phone's"] = s.Login("+989121234588").Text("device_token")
		forged["a request"] = s.Want(ask(s, phone, nil), 202, "").Text("request_id")
		forged["an access token"] = login.Text("access_token")

		// One attempt with a forged token burns the open code, and not that of the device.
		open := s.Want(ask(s, phone, nil), 202, "") // the last one that the limit allows
		code := s.ShownCode(phone)
		own := s.Want(ask(s, phone, with{"device_token": token}), 202, "")
		miss(t, s, 1, phone, code, with{"device_token": forged["another phone's"]})
		s.Want(try(s, phone, code, nil), 401, "")
		if !isLive(t, s, open) || !isLive(t, s, own) {
			t.Error("an attempt with a forged token has burnt more than the code without a request")
		}
		for name, value := range forged {
			forgery := with{"device_token": value}
			if a := ask(s, phone, forgery); a.Status != 429 || a.Text("code") != "too_many_requests" {
				t.Errorf("a request, %s: %d %s; want 429 as without a token", name, a.Status, a.Body)
			}
			if a := try(s, phone, code, forgery); a.Status != 401 || a.Body != "no no no" {
				t.Errorf("an attempt, %s: %d %s; want 401 as without a token", name, a.Status, a.Body)
			}
		}
		s.Want(ask(s, phone, with{"device_token": token}), 202, "")
		s.Want(try(s, phone, s.ShownCode(phone), with{"device_token": token}), 200, "")
	})
}

// TestExpiredDevices checks that a token counts as none once DEVICE_TTL is over, and that each login renews it.
func TestExpiredDevices(t *testing.T) {
	stores := []string{"OTP_SECRET=" + servicetest.OTPSecret}
	limits := []string{"OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=1/24h"}
	brief := servicetest.Start(t, stores, append(limits, "DEVICE_TTL=1s")...)
	lasting := servicetest.Start(t, stores, limits...)
	old := brief.Want(try(brief, phone, brief.Code(phone), nil), 201, "")
	fresh := lasting.Want(try(lasting, phone, lasting.Code(phone), nil), 201, "")
	time.Sleep(time.Second) // the end of a token is a whole second
	for _, s := range []*servicetest.Service{brief, lasting} {
		s.Want(ask(s, phone, knownBy(old)), 429, "too_many_requests")
	}
	// The token of the other service is as good, because it has the same secret: what is good is in the token.
	brief.Want(ask(brief, phone, knownBy(fresh)), 202, "")
	brief.Want(try(brief, phone, brief.ShownCode(phone), knownBy(fresh)), 200, "")
	lasting.Want(ask(lasting, phone, knownBy(fresh)), 202, "")
	renewed := lasting.Want(try(lasting, phone, lasting.ShownCode(phone), knownBy(fresh)), 200, "")
	if renewed.Text("device_token") == fresh.Text("device_token") {
		t.Error("a login with a token returns the same one; want a fresh one")
	}
	wantLive(t, lasting, ask(lasting, phone, knownBy(renewed)), "too_many_requests", 0) // it is the same device
}

// TestWithoutDevices checks that DEVICE_TTL=off issues no tokens and accepts none.
func TestWithoutDevices(t *testing.T) {
	const next = "+989121234589"
	stores := []string{"OTP_SECRET=" + servicetest.OTPSecret}
	limits := []string{"OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=1/24h"}
	token := knownBy(servicetest.Start(t, stores, limits...).Login(phone))
	s := servicetest.Start(t, stores, append(limits, "DEVICE_TTL=off")...)
	login := s.Login(phone)
	s.Want(changePhone(s, login, next), 202, "")
	changed := s.Want(provePhone(s, login, next, s.ShownCode(next)), 200, "")
	for _, a := range []servicetest.Answer{login, changed} {
		if a.Field("device_token") != nil {
			t.Errorf("%s; want no device_token", a.Body)
		}
	}
	s.Want(ask(s, phone, token), 429, "too_many_requests")
}

// TestLimitsOfDevices checks that each known device has messages and attempts of its own, and no more of them than
// others, so that a thief of a token gains little.
func TestLimitsOfDevices(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=3/24h",
			"OTP_LIMIT_IP=off", "OTP_LIMIT_TRIES_IP=off", "OTP_MAX_ATTEMPTS=2", "OTP_DAILY_ATTEMPTS=4")
		a := knownBy(s.Want(try(s, phone, s.Code(phone), nil), 201, ""))
		b := knownBy(s.Want(try(s, phone, s.Code(phone), nil), 200, ""))
		s.Want(ask(s, phone, nil), 202, "")
		open := s.ShownCode(phone)
		wantLive(t, s, ask(s, phone, nil), "too_many_requests", 6) // the open messages are used up

		// Two attempts burn the device's code, and its next request gets another one at once.
		const other = "+989121234520"
		c := knownBy(s.Want(try(s, other, s.Code(other), nil), 201, ""))
		s.Want(ask(s, other, c), 202, "")
		burnt := s.ShownCode(other)
		miss(t, s, 2, other, burnt, c)
		s.Want(try(s, other, burnt, c), 401, "")
		s.Want(ask(s, other, c), 202, "")
		s.Want(try(s, other, burnt, c), 401, "")
		s.Want(try(s, other, s.ShownCode(other), c), 200, "")

		// A burns its own code with two attempts, and uses up its day with two more at its next one.
		for range 2 {
			asked := s.Want(ask(s, phone, a), 202, "")
			code := s.ShownCode(phone)
			if code == open {
				t.Fatal("the device has the code of all others")
			}
			miss(t, s, 2, phone, code, a)
			if isLive(t, s, asked) {
				t.Error("two wrong attempts have not burnt the code for the device")
			}
		}
		wantLive(t, s, ask(s, phone, a), "too_many_requests", 6) // as without a token: the open messages are used up

		// B notices nothing, and neither do those without a token.
		for n := range 3 {
			s.Want(ask(s, phone, b), 202, "")
			if n == 0 {
				miss(t, s, 1, phone, s.ShownCode(phone), b)
			}
		}
		wantLive(t, s, ask(s, phone, b), "too_many_requests", 6)
		own := s.ShownCode(phone)
		s.Want(try(s, phone, own, nil), 401, "") // the code of B is B's alone
		s.Want(try(s, phone, own, b), 200, "")
		s.Want(try(s, phone, open, a), 200, "") // with its day used up, A is as without a token
	})
}

// TestDevicesAnswerWithAnyCode checks that a known device may answer with its own code and with that of all others, and
// that the request_id of its own request makes an answer its own.
func TestDevicesAnswerWithAnyCode(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		device := knownBy(s.Login(phone))
		open := s.Want(ask(s, phone, nil), 202, "")
		openCode := s.ShownCode(phone)
		own := s.Want(ask(s, phone, device), 202, "")
		ownCode := s.ShownCode(phone)
		if own.Field("code_length") != 6.0 || openCode == ownCode {
			t.Errorf("%s with the code %s; want one of its own", own.Body, ownCode)
		}
		s.Want(try(s, phone, ownCode, answers(open)), 401, "")
		s.Want(try(s, phone, ownCode, nil), 401, "")
		s.Want(try(s, phone, openCode, device.and(answers(own))), 200, "")
		s.Want(try(s, phone, openCode, device), 401, "") // it is used
		s.Want(try(s, phone, ownCode, answers(own)), 200, "")
		if isLive(t, s, own) {
			t.Error("the code of the device is live after its login")
		}
	})
}
