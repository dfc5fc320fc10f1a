package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// with is what a call sends beside the phone and the code.
type with map[string]any

// post sends an object with the phone and more.
func post(s *servicetest.Service, path, phone string, more with, headers ...string) servicetest.Answer {
	object := maps.Clone(more)
	if object == nil {
		object = make(with)
	}
	object["phone"] = phone
	text, _ := json.Marshal(object)
	return s.Call("POST", path, string(text), headers...)
}

// ask requests a code for a login.
func ask(s *servicetest.Service, phone string, more with, headers ...string) servicetest.Answer {
	return post(s, "/otp/request", phone, more, headers...)
}

// try answers with a code.
func try(s *servicetest.Service, phone, code string, more with, headers ...string) servicetest.Answer {
	more = maps.Clone(more)
	if more == nil {
		more = make(with)
	}
	more["code"] = code
	return post(s, "/otp/verify", phone, more, headers...)
}

// miss answers n times with a code that is not the given one.
func miss(t *testing.T, s *servicetest.Service, n int, phone, code string, more with, headers ...string) {
	t.Helper()
	for range n {
		s.Want(try(s, phone, servicetest.WrongCode(code), more, headers...), 401, "")
	}
}

// isLive reports whether the code is live for the request that was answered with accepted.
func isLive(t *testing.T, s *servicetest.Service, accepted servicetest.Answer) bool {
	t.Helper()
	a := s.Call("GET", "/otp/status?request_id="+accepted.Text("request_id"), "")
	if a.Status == 404 {
		s.Want(a, 404, "not_found")
		return false
	}
	s.Want(a, 200, "")
	return true
}

// answers returns what a client sends that knows the request alone.
func answers(accepted servicetest.Answer) with {
	return with{"request_id": accepted.Text("request_id")}
}

// TestAttemptsOfRequests checks that wrong attempts burn a code for the request that they come with, or for all
// attempts without one, and for no other.
func TestAttemptsOfRequests(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		stranger := s.Want(ask(s, phone, nil), 202, "")
		owner := s.Want(ask(s, phone, nil), 202, "")
		code := s.ShownCode(phone)

		miss(t, s, 5, phone, code, answers(stranger))
		s.Want(try(s, phone, code, answers(stranger)), 401, "")
		if isLive(t, s, stranger) || !isLive(t, s, owner) {
			t.Error("five wrong attempts with a request have not burnt the code for it alone")
		}
		miss(t, s, 5, phone, code, nil)
		s.Want(try(s, phone, code, nil), 401, "")
		miss(t, s, 4, phone, code, answers(owner))
		if !isLive(t, s, owner) {
			t.Error("the code is burnt for a request that has an attempt left")
		}
		s.Want(try(s, phone, code, answers(owner)), 201, "")

		// The shared attempts are used up by themselves as well, and a request that is burnt has no part in them.
		next := s.Want(ask(s, phone, nil), 202, "")
		code = s.ShownCode(phone)
		miss(t, s, 5, phone, code, answers(next))
		s.Want(try(s, phone, code, answers(next)), 401, "")
		s.Want(try(s, phone, code, nil), 200, "")
	})
}

// TestNewCodeBesideAnOldOne checks that a request gets a new code once the shared attempts are used up, and that the
// old code goes on for the request that it was sent to.
func TestNewCodeBesideAnOldOne(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "OTP_RESEND_AFTER=10m")...)
		owner := s.Want(ask(s, phone, nil), 202, "")
		old := s.ShownCode(phone)
		s.Want(ask(s, phone, nil), 429, "resend_too_soon")
		miss(t, s, 5, phone, old, nil)
		stranger := s.Want(ask(s, phone, nil), 202, "") // without a pause
		fresh := s.ShownCode(phone)
		if fresh == old {
			t.Errorf("the code after the shared attempts are used up is %s again", fresh)
		}
		s.Want(try(s, phone, old, nil), 401, "")
		s.Want(try(s, phone, old, answers(stranger)), 401, "")
		s.Want(try(s, phone, fresh, answers(owner)), 401, "") // each of the two counts once
		if !isLive(t, s, owner) || !isLive(t, s, stranger) {
			t.Error("one of the two codes is dead")
		}
		s.Want(try(s, phone, old, answers(owner)), 201, "")
		s.Want(try(s, phone, fresh, answers(stranger)), 200, "")
	})
}

// flipped returns a text of URL-safe base64 with one bit of it changed.
func flipped(text string, at int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at = (at + len(text)) % len(text)
	// The last character may have bits that mean nothing; its highest bit always means something.
	changed := alphabet[strings.IndexByte(alphabet, text[at])^32]
	return text[:at] + string(changed) + text[at+1:]
}

// forgeries returns values that are no valid token, although they may resemble this one.
func forgeries(token string) map[string]any {
	all := map[string]any{
		"null":             nil,
		"a number":         7,
		"true":             true,
		"a list":           []string{token},
		"an object":        with{"device_token": token},
		"empty":            "",
		"not base64":       "!" + token[1:],
		"cut":              token[:len(token)-4],
		"longer":           token + "AAAA",
		"after a space":    " " + token,
		"padded":           token + "==",
		"very long":        strings.Repeat("A", 1500),
		"characters":       strings.Repeat("é", 100),
		"another alphabet": strings.Repeat("+/", 40),
	}
	for at := -1; at < len(token)-1; at += 13 {
		all[fmt.Sprintf("flipped at %d", at)] = flipped(token, at)
	}
	return all
}

// TestForeignRequests checks that a request_id which is not one of a live code of that phone and purpose is as if it
// were missing: the attempts count against those without one.
func TestForeignRequests(t *testing.T) {
	const target, bystander = "+989121234580", "+989121234581"
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		elsewhere := servicetest.Start(t, nil, servicetest.Unlimited...)
		user := s.Login(phone)
		used := s.Want(ask(s, target, nil), 202, "")
		s.Want(try(s, target, s.ShownCode(target), answers(used)), 201, "")
		other := s.Want(ask(s, bystander, nil), 202, "")
		change := s.Want(changePhone(s, user, target), 202, "")
		foreign := forgeries(used.Text("request_id"))
		foreign["another phone's"] = other.Text("request_id")
		foreign["of another phone's known device"] = s.Want(ask(s, phone, knownBy(user)), 202, "").Text("request_id")
		foreign["of a change of phone"] = change.Text("request_id")
		foreign["of a used code"] = used.Text("request_id")
		foreign["of another secret"] = elsewhere.Want(ask(elsewhere, target, nil), 202, "").Text("request_id")
		for name, id := range foreign {
			mine := s.Want(ask(s, target, nil), 202, "")
			code := s.ShownCode(target)
			miss(t, s, 5, target, code, with{"request_id": id})
			if a := try(s, target, code, nil); a.Status != 401 {
				t.Errorf("%s: after 5 wrong codes a right one is answered %d; want 401", name, a.Status)
			}
			s.Want(try(s, target, code, answers(mine)), 200, "")
			s.Want(s.Call("POST", "/users/unlock", servicetest.JSON("phone", target), servicetest.Admin), 204, "")
		}
		s.Want(try(s, bystander, s.ShownCode(bystander), answers(other)), 201, "")
	})
}

// TestRequestsOfChanges checks that a change of phone has its own requests.
func TestRequestsOfChanges(t *testing.T) {
	const next = "+989121234582"
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		user := s.Login(phone)
		prove := func(code string, id any) servicetest.Answer {
			return post(s, "/me/phone/verify", next, with{"code": code, "request_id": id}, servicetest.Bearer(user))
		}
		login := s.Want(ask(s, next, nil), 202, "").Text("request_id")
		loginCode := s.ShownCode(next)
		first := s.Want(changePhone(s, user, next), 202, "").Text("request_id")
		second := s.Want(changePhone(s, user, next), 202, "").Text("request_id")
		code := s.ShownCode(next)
		for range 5 {
			s.Want(prove(servicetest.WrongCode(code), first), 401, "")
		}
		s.Want(prove(code, first), 401, "")
		for range 5 {
			s.Want(prove(servicetest.WrongCode(code), login), 401, "")
		}
		s.Want(prove(code, login), 401, "")
		s.Want(prove(code, nil), 401, "")
		changed := s.Want(prove(code, second), 200, "")
		s.Want(try(s, next, loginCode, with{"request_id": login}), 200, "")

		// The request of a login on a known device is none of a change to the same phone either.
		device := s.Want(ask(s, next, knownBy(changed)), 202, "").Text("request_id")
		mine := s.Want(changePhone(s, user, next), 202, "").Text("request_id")
		code = s.ShownCode(next)
		for range 5 {
			s.Want(prove(servicetest.WrongCode(code), device), 401, "")
		}
		s.Want(prove(code, nil), 401, "")
		changed = s.Want(prove(code, mine), 200, "")

		// The device has proved the new phone, and is known for it.
		token := changed.Text("device_token")
		asked := s.Want(ask(s, next, with{"device_token": token}), 202, "")
		own := s.ShownCode(next)
		miss(t, s, 5, next, own, nil)
		s.Want(try(s, next, own, with{"device_token": token, "request_id": asked.Text("request_id")}), 200, "")
	})
}

// wantLive checks what a 429 says of a live code: its length, or 0 if it must not say that there is one.
func wantLive(t *testing.T, s *servicetest.Service, a servicetest.Answer, code string, length int) {
	t.Helper()
	s.Want(a, 429, code)
	if length == 0 {
		for _, member := range []string{"code_live", "expires_in", "code_length"} {
			if a.Field(member) != nil {
				t.Errorf("%s; want no %s", a.Body, member)
			}
		}
		return
	}
	expires, _ := a.Field("expires_in").(float64)
	if a.Field("code_live") != true || a.Field("code_length") != float64(length) || expires < 1 || expires > 600 {
		t.Errorf("%s; want a live code of %d digits that expires within 600 seconds", a.Body, length)
	}
}

// TestRefusalsTellOfLiveCodes checks that a refusal says whether a code works that was sent before.
func TestRefusalsTellOfLiveCodes(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_TTL=10m", "OTP_RESEND_AFTER=10m", "OTP_LIMIT_PHONE=2/24h",
			"OTP_LIMIT_IP=3/24h", "TRUSTED_PROXIES=127.0.0.0/8")
		const other, silent = "+989121234583", "+989121234584"
		const elsewhere = "X-Forwarded-For: 198.51.100.7"
		s.Want(ask(s, phone, nil), 202, "")
		wantLive(t, s, ask(s, phone, nil), "resend_too_soon", 6)
		wantLive(t, s, ask(s, phone, nil, elsewhere), "resend_too_soon", 6) // alike for everyone
		s.Want(try(s, phone, s.ShownCode(phone), nil), 201, "")
		s.Want(ask(s, phone, nil, elsewhere), 202, "")
		s.Want(try(s, phone, s.ShownCode(phone), nil, elsewhere), 200, "")
		wantLive(t, s, ask(s, phone, nil), "too_many_requests", 0) // the code is used

		asked := s.Want(ask(s, other, nil), 202, "")
		code := s.ShownCode(other)
		miss(t, s, 5, other, code, nil, elsewhere)
		s.Want(ask(s, other, nil), 202, "") // the shared attempts are used up: no pause
		wantLive(t, s, ask(s, other, nil), "too_many_requests", 6)
		code = s.ShownCode(other)
		miss(t, s, 5, other, code, nil, elsewhere)
		if !isLive(t, s, asked) {
			t.Error("the first code is dead for its request")
		}
		wantLive(t, s, ask(s, other, nil), "too_many_requests", 0) // nothing that works without a request

		s.Want(ask(s, silent, nil), 202, "")
		wantLive(t, s, ask(s, silent, nil), "too_many_requests", 6)          // by address, with a live code
		wantLive(t, s, ask(s, "+989121234585", nil), "too_many_requests", 0) // by address, without one
	})
}

// TestChangesTellOfLiveCodes checks the same for changes of phone, whose codes are not those of logins.
func TestChangesTellOfLiveCodes(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_TTL=10m", "OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=2/24h", "OTP_LIMIT_IP=off")
	const next = "+989121234586"
	user := s.Login(phone)
	s.Want(ask(s, next, nil), 202, "")
	s.Want(ask(s, next, nil), 202, "")
	wantLive(t, s, changePhone(s, user, next), "too_many_requests", 0)
	const free = "+989121234587"
	s.Want(changePhone(s, user, free), 202, "")
	s.Want(changePhone(s, user, free), 202, "")
	wantLive(t, s, changePhone(s, user, free), "too_many_requests", 6)
	wantLive(t, s, ask(s, free, nil), "too_many_requests", 0)
}

// TestLongerCodes checks that wrong attempts in a row make the next codes of a phone longer, and that a login ends the
// row.
func TestLongerCodes(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "OTP_DAILY_ATTEMPTS=4")...)
		wantLength := func(a servicetest.Answer, digits int) string {
			t.Helper()
			s.Want(a, 202, "")
			code := s.ShownCode(phone)
			if a.Field("code_length") != float64(digits) || len(code) != digits {
				t.Errorf("%s with the code %s; want %d digits", a.Body, code, digits)
			}
			return code
		}
		s.Want(try(s, phone, "00000000", nil), 422, "invalid_code_format") // no code is live
		first := s.Want(ask(s, phone, nil), 202, "")
		code := wantLength(first, 6)
		for range 9 {
			s.Want(try(s, phone, code+"00", nil), 422, "invalid_code_format") // costs nothing
		}
		miss(t, s, 3, phone, code, nil)
		wantLength(ask(s, phone, nil), 6)
		miss(t, s, 1, phone, code, nil)
		s.Want(try(s, phone, code, nil), 401, "") // the shorter code has ended for attempts without a request
		second := ask(s, phone, nil)
		long := wantLength(second, 8)
		for range 9 {
			s.Want(try(s, phone, long[:6], nil), 401, "") // costs nothing
		}
		miss(t, s, 4, phone, long, nil)
		if !isLive(t, s, first) {
			t.Error("the shorter code is dead for the request that it was sent to")
		}
		s.Want(try(s, phone, long, answers(second)), 201, "")
		code = wantLength(ask(s, phone, nil), 6)
		s.Want(try(s, phone, long, nil), 422, "invalid_code_format")
		s.Want(try(s, phone, code, nil), 200, "")
	})
}

// TestClosed checks that 100 wrong attempts in a day close a phone to all but its known devices.
func TestClosed(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "OTP_MAX_ATTEMPTS=10")...)
		token := s.Login(phone).Text("device_token")
		known := with{"device_token": token}
		var last servicetest.Answer
		for n := 0; n < 100; n += 10 {
			last = s.Want(ask(s, phone, nil), 202, "")
			miss(t, s, 10, phone, s.ShownCode(phone), answers(last))
		}
		shown := s.ShownCode(phone)
		s.Want(try(s, phone, shown, nil), 401, "")
		a := ask(s, phone, nil)
		wantLive(t, s, a, "too_many_requests", 0)
		if seconds := a.Field("retry_after").(float64); seconds < 80000 || seconds > 86400 {
			t.Errorf("the phone is closed for %v s; want a day", seconds)
		}
		for range 2 { // a login does not open the phone for others
			asked := s.Want(ask(s, phone, known), 202, "")
			if asked.Field("code_length") != 6.0 {
				t.Errorf("for a known device: %s; want 6 digits", asked.Body)
			}
			s.Want(try(s, phone, s.ShownCode(phone), known), 200, "")
			wantLive(t, s, ask(s, phone, nil), "too_many_requests", 0)
		}
		s.Want(s.Call("POST", "/users/unlock", servicetest.JSON("phone", phone), servicetest.Admin), 204, "")
		s.Want(ask(s, phone, nil), 202, "")
	})
}

// TestTestNumbersStayOpen checks that no number of wrong attempts closes a test number, or counts by address.
func TestTestNumbersStayOpen(t *testing.T) {
	const test = "+15550001111"
	s := servicetest.Start(t, nil, "OTP_TTL=10m", "OTP_TEST_NUMBERS="+test+":123456", "OTP_DAILY_ATTEMPTS=1",
		"OTP_LIMIT_TRIES_IP=1/24h", "OTP_LIMIT_IP=1/24h")
	for range 21 {
		if a := s.Want(ask(s, test, nil), 202, ""); a.Field("code_length") != 6.0 {
			t.Fatalf("a test number: %s; want the length of its code", a.Body)
		}
		miss(t, s, 5, test, "123456", nil)
		s.Want(try(s, test, "123456", nil), 401, "")
	}
	asked := s.Want(ask(s, test, nil), 202, "")
	s.Want(try(s, test, "123456", answers(asked)), 201, "")
	s.Want(ask(s, phone, nil), 202, "") // the address has used nothing up
	miss(t, s, 1, phone, s.ShownCode(phone), nil)
}
