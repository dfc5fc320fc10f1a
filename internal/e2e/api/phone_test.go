package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/e2e/servicetest"
)

// changePhone asks for the code with which a user proves a new phone.
func changePhone(s *servicetest.Service, login servicetest.Answer, next string) servicetest.Answer {
	body := servicetest.JSON("phone", next, "locale", "en")
	return s.Call("POST", "/me/phone/request", body, servicetest.Bearer(login))
}

// provePhone answers with the code that was sent to a new phone.
func provePhone(
	s *servicetest.Service, login servicetest.Answer, next, code string, headers ...string,
) servicetest.Answer {
	body := servicetest.JSON("phone", next, "code", code)
	return s.Call("POST", "/me/phone/verify", body, append(headers, servicetest.Bearer(login))...)
}

// TestPhoneInTokens checks that access tokens have the user's phone with TOKEN_PHONE=true alone, and the new one from
// the refresh after a change of phone on.
func TestPhoneInTokens(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		const next = "+989121234568"
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "TOKEN_PHONE=true")...)
		want := func(a servicetest.Answer, number any) servicetest.Answer {
			t.Helper()
			claims := servicetest.Claims(a)
			if claims["phone_number"] != number || claims["phone_number_verified"] != true {
				t.Errorf("the claims are %v; want the verified phone %v", claims, number)
			}
			return a
		}
		login := want(s.Login(phone), phone)
		refreshed := want(s.Refresh(login.Text("refresh_token")), phone)
		s.Want(changePhone(s, refreshed, next), 202, "")
		s.Want(provePhone(s, refreshed, next, s.ShownCode(next)), 200, "")
		want(s.Refresh(refreshed.Text("refresh_token")), next)
	})
	silent := servicetest.Start(t, nil, servicetest.Unlimited...)
	login := silent.Login(phone)
	for _, a := range []servicetest.Answer{login, silent.Refresh(login.Text("refresh_token"))} {
		if claims := servicetest.Claims(a); claims["sub"] == "" || claims["phone_number"] != nil {
			t.Errorf("by default the claims are %v; want the user and no phone", claims)
		}
	}
}

func TestPhoneChange(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		const next, taken = "+989121234568", "+989121234569"
		a, b := s.Login(phone), s.Login(phone)
		other := s.Login(taken)
		s.Want(s.Call("POST", "/me/phone/request", servicetest.JSON("phone", next)), 401, "invalid_token")
		s.Want(changePhone(s, a, "x"), 422, "invalid_phone")
		s.Want(changePhone(s, a, next), 202, "")
		code := s.ShownCode(next)
		if !strings.Contains(s.Stdout.String(), code+" is the code to move an account to this number") {
			t.Error("the message does not name its purpose")
		}

		// A code works for its own purpose and its own user alone.
		s.Want(s.Verify(next, code), 401, "")
		s.Want(provePhone(s, other, next, code), 401, "")
		s.Want(s.Request(next), 202, "")
		loginCode := s.ShownCode(next)
		s.Want(provePhone(s, a, next, loginCode), 401, "")
		s.Want(provePhone(s, a, phone, code), 401, "")

		changed := s.Want(provePhone(s, a, next, code), 200, "")
		if changed.Text("phone") != next || changed.Text("id") != a.Text("user", "id") {
			t.Errorf("change: %s; want the user with the new phone", changed.Body)
		}
		s.Want(provePhone(s, a, next, code), 401, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(b)), 401, "invalid_token")
		s.Want(s.Refresh(b.Text("refresh_token")), 401, "invalid_refresh_token")
		s.Want(s.Refresh(a.Text("refresh_token")), 200, "")
		if again := s.Want(s.Verify(next, loginCode), 200, ""); again.Text("user", "id") != a.Text("user", "id") {
			t.Errorf("login with the new phone: %s; want the same user", again.Body)
		}

		// A user's own phone is no change: it ends no session and leaves no event.
		c := s.Login(next)
		s.Want(changePhone(s, a, next), 202, "")
		s.Want(provePhone(s, a, next, s.ShownCode(next)), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(c)), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 200, "")
		audit := s.Want(s.Call("GET", "/audit?action=phone_change", "", servicetest.Admin), 200, "")
		list := audit.Field("events").([]any)
		detail := fmt.Sprint(list[0].(map[string]any)["detail"])
		if len(list) != 1 || detail != "map[from:+98912•••67 to:+98912•••68]" {
			t.Errorf("audit: %s; want one change, with masked phones", audit.Body)
		}
		for _, phone := range []string{"1234567", "1234568"} {
			if strings.Contains(audit.Body, phone) {
				t.Errorf("audit: %s; want no phone in it", audit.Body)
			}
		}
	})
}

// TestPhoneOfAnother checks that a phone that belongs to another user is answered as a wrong code is, so that nothing
// can be learned of it.
func TestPhoneOfAnother(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "OTP_RESEND_AFTER=10m")...)
		const taken, free = "+989121234569", "+989121234560"
		a, other := s.Login(phone), s.Login(taken)
		asked, fresh := s.Want(changePhone(s, a, taken), 202, ""), s.Want(changePhone(s, a, free), 202, "")
		plain := strings.NewReplacer(taken, "", free, "", asked.Text("request_id"), "", fresh.Text("request_id"), "")
		if got, want := plain.Replace(asked.Body), plain.Replace(fresh.Body); got != want {
			t.Errorf("a taken phone: %s; a free one: %s", got, want)
		}
		code := s.ShownCode(taken)
		for _, accept := range []string{"Accept: */*", "Accept: application/json"} {
			right := provePhone(s, a, taken, code, accept)
			wrong := provePhone(s, a, taken, servicetest.WrongCode(code), accept)
			for _, answer := range []*servicetest.Answer{&right, &wrong} {
				answer.Body = strings.ReplaceAll(answer.Body, answer.Header.Get("X-Request-Id"), "")
				answer.Header.Del("X-Request-Id")
				answer.Header.Del("Date")
			}
			if right.Status != 401 || fmt.Sprint(right) != fmt.Sprint(wrong) {
				t.Errorf("a right code for a taken phone: %v; a wrong one: %v", right, wrong)
			}
		}
		s.Want(changePhone(s, a, taken), 429, "resend_too_soon") // as after a wrong code
		if me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 200, ""); me.Text("phone") != phone {
			t.Errorf("me: %s; want the phone as it was", me.Body)
		}
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 200, "")
		s.WantEvents("action=phone_change")
	})
}

// TestDormant checks that a phone whose user has not logged in for DORMANT_AFTER becomes that of a new user at the next
// login.
func TestDormant(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		t.Parallel()
		const dormantAfter = 10 * time.Second
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "DORMANT_AFTER="+dormantAfter.String())...)
		old := s.Login(phone)
		time.Sleep(dormantAfter + time.Second)
		began := time.Now()
		fresh := s.Want(s.Verify(phone, s.Code(phone)), 201, "")
		if fresh.Text("user", "id") == old.Text("user", "id") {
			t.Errorf("login: %s; want a new user", fresh.Body)
		}
		again := s.Login(phone)
		for again.Status == 201 && time.Since(began) >= dormantAfter { // the user was dormant again
			began = time.Now()
			fresh, again = s.Login(phone), s.Login(phone)
		}
		s.Want(again, 200, "")
		if again.Text("user", "id") != fresh.Text("user", "id") {
			t.Errorf("login: %s; want the new user", again.Body)
		}
		if me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(old)), 200, ""); me.Field("phone") != nil {
			t.Errorf("the old user: %s; want no phone", me.Body)
		}
		s.WantEvents("user_id="+old.Text("user", "id"), "phone_lost", "signup")
		s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "")
		s.Want(s.Call("DELETE", "/users/"+old.Text("user", "id"), "", servicetest.Admin), 204, "")
	})
}

// TestHousekeeping fills the database with old rows and checks that the next copy that starts deletes them and logs it.
func TestHousekeeping(t *testing.T) {
	stores := servicetest.RealStores(t)
	settings := append(servicetest.Unlimited, "JWT_SECRET="+servicetest.JWTSecret)
	s := servicetest.Start(t, stores, settings...)
	s.Login(phone)
	kept := s.Login(phone)
	_, url, _ := strings.Cut(stores[0], "=")
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	const oldSessions = `
		insert into sessions
			(id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at)
		select
			gen_random_uuid(), (select id from users), gen_random_uuid(), '', '', '',
			now() - interval '40 days', now() - interval '10 days'
		from generate_series(1, 1200)`
	const oldEvents = `
		insert into audit (id, at, action, actor, ip, user_agent, detail)
		select
			('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, now(), 'login', 'user', '', '', '{}'
		from generate_series(1, 700) n`
	for _, statement := range []string{oldSessions, oldEvents} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	next := servicetest.Start(t, stores, settings...)
	servicetest.Eventually(t, "the log reports the housekeeping", func() bool {
		return strings.Contains(next.Log.String(), "msg=housekeeping sessions_deleted=1200 audit_deleted=700")
	})
	next.Want(next.Call("GET", "/me", "", "Authorization: Bearer x"), 401, "invalid_token")
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(kept)), 200, "")
	s.WantEvents("", "login", "signup")
}
