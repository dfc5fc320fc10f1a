package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestRefresh(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		login := s.Login(servicetest.Phone, "User-Agent: first")
		user := login.Text("user", "id")
		second := s.Want(s.Refresh(login.Text("refresh_token"), "User-Agent: second"), 200, "")
		if second.Text("refresh_token") == login.Text("refresh_token") || second.Text("access_token") == login.Text("access_token") ||
			second.Text("token_type") != "Bearer" || second.Field("expires_in") != 900.0 || second.Field("user") != nil {
			t.Errorf("refresh: %s; want a new pair", second.Body)
		}
		if left := second.Field("refresh_expires_in").(float64); left > 2592000 || left < 2592000-60 {
			t.Errorf("refresh: the session lives for %v s; want what is left of its 30 days", left)
		}
		for _, a := range []servicetest.Answer{login, second} {
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 200, "")
		}
		if lost := s.Refresh(login.Text("refresh_token"), "User-Agent: third"); lost.Status != 200 || lost.Body != second.Body {
			t.Errorf("the same token again: %d %s; want %s again", lost.Status, lost.Body, second.Body)
		}
		sessions := s.Want(s.Call("GET", "/me/sessions", "", servicetest.Bearer(second)), 200, "")
		if list := sessions.Field("sessions").([]any); len(list) != 1 || list[0].(map[string]any)["user_agent"] != "second" {
			t.Errorf("sessions: %s; want one, of the refresh", sessions.Body)
		}
		third := s.Want(s.Refresh(second.Text("refresh_token")), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(third)), 200, "")

		a := s.Want(s.Refresh(login.Text("refresh_token")), 401, "invalid_refresh_token") // spent long ago
		if !strings.Contains(a.Header.Get("Content-Type"), "problem+json") {
			t.Errorf("reuse: %v; want a problem", a.Header)
		}
		s.Want(s.Refresh(third.Text("refresh_token")), 401, "invalid_refresh_token")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(third)), 401, "invalid_token")
		s.WantEvents("user_id="+user, "refresh_reuse", "signup")
		if !strings.Contains(s.Log.String(), "used again") {
			t.Error("the log does not tell of the reuse")
		}
	})
}

func TestRefreshRefuses(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	login := s.Login(servicetest.Phone)
	token := login.Text("refresh_token")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 64 {
		t.Fatalf("refresh token %s, %v; want 64 bytes", token, err)
	}
	changed := func(i int) string {
		b := bytes.Clone(raw)
		b[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, token := range map[string]string{
		"empty": "", "no token": "x", "an access token": login.Text("access_token"), "short": token[:85], "long": token + "A",
		"of another session": changed(0), "of another family": changed(20), "padded": token[:85] + "=", "dots": strings.Repeat(".", 1500),
		"in standard base64": base64.StdEncoding.EncodeToString(raw), "zero bytes": strings.Repeat("A", 86), "control": "\x00",
	} {
		if a := s.Refresh(token); a.Status != 401 || a.Text("code") != "invalid_refresh_token" {
			t.Errorf("%s: %d %s; want 401", name, a.Status, a.Body)
		}
	}
	for body, code := range map[string]string{`{}`: "invalid_field", `{"refresh_token":1}`: "invalid_field", `{"refresh_token":null}`: "invalid_field", `{"refresh_token":["` + token + `"]}`: "invalid_field"} {
		s.Want(s.Call("POST", "/token/refresh", body), 422, code)
	}
	s.Want(s.Call("POST", "/token/refresh", "x"), 400, "invalid_json")
	s.Want(s.Call("POST", "/token/refresh", servicetest.JSON("refresh_token", strings.Repeat(".", 3000))), 413, "body_too_large")
	s.Want(s.Refresh(token), 200, "") // none of it harmed the session
	s.Want(s.Refresh(changed(63)), 401, "invalid_refresh_token")
	s.Want(s.Refresh(token), 401, "invalid_refresh_token") // a token of the family that never was is no accident
}

// TestRefreshRaces holds that one token has one successor, however many use it at once, on any copy.
func TestRefreshRaces(t *testing.T) {
	for name, algorithm := range map[string]string{"secret": "", "EdDSA": "EdDSA", "ES256": "ES256", "RS256": "RS256"} {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"OTP_SECRET=" + servicetest.OTPSecret, "JWT_SECRET=" + servicetest.JWTSecret}, append(servicetest.Unlimited, servicetest.RealStores(t)...)...)
			if algorithm != "" {
				folder := t.TempDir()
				servicetest.NewKey(t, folder, algorithm)
				env[1] = "JWT_KEYS=" + folder
			}
			copies := []*servicetest.Service{servicetest.Start(t, env), servicetest.Start(t, env)}
			token := copies[0].Login(servicetest.Phone).Text("refresh_token")
			for range 5 {
				token = fiftyUses(t, copies, token)
			}
			copies[0].Want(copies[0].Refresh(token), 200, "")
		})
	}
	t.Run("embedded", func(t *testing.T) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		fiftyUses(t, []*servicetest.Service{s}, s.Login(servicetest.Phone).Text("refresh_token"))
	})
}

// fiftyUses uses a token 50 times at once, holds that there is one answer, and gives the token in it.
func fiftyUses(t *testing.T, copies []*servicetest.Service, token string) string {
	t.Helper()
	var mu sync.Mutex
	bodies := make(map[string]string)
	got := copies[0].AtOnce(50, func(i int) servicetest.Answer {
		a := copies[i%len(copies)].Refresh(token)
		mu.Lock()
		defer mu.Unlock()
		bodies[a.Body] = a.Text("refresh_token")
		return a
	})
	if got[200] != 50 || len(bodies) != 1 {
		t.Fatalf("50 uses of one token: %v, %d different answers; want 50 equal ones", got, len(bodies))
	}
	for _, next := range bodies {
		token = next
	}
	return token
}

// TestDatabaseHoldsNoToken reads all of the database as a thief of its dump would.
func TestDatabaseHoldsNoToken(t *testing.T) {
	stores := servicetest.RealStores(t)
	s, embedded := servicetest.Start(t, stores, servicetest.Unlimited...), servicetest.Start(t, nil, servicetest.Unlimited...)
	for _, s := range []*servicetest.Service{s, embedded} {
		tokens := []servicetest.Answer{s.Login(servicetest.Phone)}
		for i := range 3 {
			tokens = append(tokens, s.Want(s.Refresh(tokens[i].Text("refresh_token")), 200, ""))
		}
		held := ""
		if s == embedded {
			for _, name := range []string{"otp.db", "otp.db-wal"} {
				text, err := os.ReadFile(filepath.Join(s.Dir, "data", name))
				if err != nil {
					t.Fatal(err)
				}
				held += string(text)
			}
		} else {
			held = servicetest.Dump(t, stores)
		}
		for i, a := range tokens {
			raw, err := base64.RawURLEncoding.DecodeString(a.Text("refresh_token"))
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{ // the token as it is, what it is made of, and the access token's signature
				a.Text("refresh_token")[32:], string(raw[16:32]), string(raw[32:]), strings.Split(a.Text("access_token"), ".")[2],
			} {
				for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
					if strings.Contains(held, form) {
						t.Errorf("the database holds a part of tokens %d", i)
					}
				}
			}
		}
	}
}

func TestLogout(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		a, b, c := s.Login(servicetest.Phone), s.Login(servicetest.Phone), s.Login(servicetest.Phone)
		user := a.Text("user", "id")
		s.Want(s.Call("POST", "/logout", "", servicetest.Bearer(a)), 204, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
		s.Want(s.Call("POST", "/logout", "", servicetest.Bearer(a)), 401, "invalid_token")
		s.Want(s.Call("POST", "/logout?everywhere=true", "", servicetest.Bearer(a)), 401, "invalid_token")
		s.Want(s.Refresh(a.Text("refresh_token")), 401, "invalid_refresh_token")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(b)), 200, "")
		for _, value := range []string{"", "=", "=1", "=TRUE", "=perhaps"} {
			s.Want(s.Call("POST", "/logout?everywhere"+value, "", servicetest.Bearer(b)), 422, "invalid_field")
		}
		s.Want(s.Call("POST", "/logout", ""), 401, "invalid_token")
		s.Want(s.Call("POST", "/logout?everywhere=true", "", servicetest.Bearer(b)), 204, "")
		for _, dead := range []servicetest.Answer{b, c} {
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(dead)), 401, "invalid_token")
			s.Want(s.Refresh(dead.Text("refresh_token")), 401, "invalid_refresh_token")
		}
		s.WantEvents("user_id="+user, "logout", "logout", "login", "login", "signup")
	})
}

func TestMySessions(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		a, b := s.Login(servicetest.Phone, "User-Agent: phone"), s.Login(servicetest.Phone, "User-Agent: tablet")
		other := s.Login("+989121234568")
		list := func(who servicetest.Answer) []any {
			t.Helper()
			return s.Want(s.Call("GET", "/me/sessions", "", servicetest.Bearer(who)), 200, "").Field("sessions").([]any)
		}
		var elsewhere string
		for i, entry := range list(a) {
			session := entry.(map[string]any)
			current := session["user_agent"] == "phone"
			if session["current"] != current || session["ip"] != "127.0.0.1" || session["created_at"] != session["last_used_at"] || i > 1 {
				t.Errorf("session %v; want the phone to be current", session)
			}
			if !current {
				elsewhere = session["id"].(string)
			}
		}
		s.Want(s.Call("DELETE", "/me/sessions/"+elsewhere, "", servicetest.Bearer(other)), 404, "not_found")
		s.Want(s.Call("DELETE", "/me/sessions/x", "", servicetest.Bearer(a)), 404, "not_found")
		s.Want(s.Call("DELETE", "/me/sessions/"+elsewhere, ""), 401, "invalid_token")
		s.Want(s.Call("DELETE", "/me/sessions/"+elsewhere, "", servicetest.Bearer(a)), 204, "")
		s.Want(s.Call("DELETE", "/me/sessions/"+elsewhere, "", servicetest.Bearer(a)), 404, "not_found")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(b)), 401, "invalid_token")
		left := list(a)
		if len(left) != 1 {
			t.Fatalf("sessions %v; want the phone's", left)
		}
		own := left[0].(map[string]any)["id"].(string)
		s.Want(s.Call("DELETE", "/me/sessions/"+own, "", servicetest.Bearer(a)), 204, "")
		s.Want(s.Call("GET", "/me/sessions", "", servicetest.Bearer(a)), 401, "invalid_token")
		s.WantEvents("user_id="+a.Text("user", "id"), "logout", "logout", "login", "signup")
	})
}

func TestDeleteMe(t *testing.T) {
	stores := servicetest.RealStores(t)
	s := servicetest.Start(t, stores, servicetest.Unlimited...)
	a, b := s.Login(servicetest.Phone), s.Login(servicetest.Phone)
	user := a.Text("user", "id")
	const number = "+989121234569"
	s.Want(s.Call("POST", "/me/phone/request", servicetest.JSON("phone", number), servicetest.Bearer(a)), 202, "")
	s.Want(s.Call("POST", "/me/phone/verify", servicetest.JSON("phone", number, "code", s.ShownCode(number)), servicetest.Bearer(a)), 200, "")
	code := s.Code(number)
	s.Want(s.Verify(number, servicetest.WrongCode(code)), 401, "")
	if before, _, _ := strings.Cut(servicetest.Dump(t, stores), "audit "); !strings.Contains(before, number) || strings.Count(before, user) < 2 {
		t.Errorf("the dump does not show a user with number and sessions:\n%s", before)
	}
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
	s.Want(s.Refresh(b.Text("refresh_token")), 401, "invalid_refresh_token")
	s.Want(s.Verify(number, code), 401, "") // the live code is gone, too
	s.Want(s.Call("GET", "/users/"+user, "", servicetest.Admin), 404, "not_found")
	held := servicetest.Dump(t, stores)
	users, audit, _ := strings.Cut(held, "audit ")
	if strings.Contains(held, "9121234567") || strings.Contains(held, "9121234569") || strings.Contains(users, user) || !strings.Contains(audit, user) {
		t.Errorf("the database holds the number, or the user elsewhere than in the audit:\n%s", held)
	}
	for _, key := range servicetest.RedisKeys(t, stores) {
		if !strings.HasSuffix(key, ":sends") && !strings.HasSuffix(key, ":outbox") { // which is everybody's, and empty
			t.Errorf("Redis still holds %s", key)
		}
	}
	s.WantEvents("user_id="+user, "delete", "phone_change", "login", "signup")
	again := s.Login(number)
	if again.Status != 201 || again.Text("user", "id") == user {
		t.Errorf("login of the number: %d %s; want a new user", again.Status, again.Body)
	}
	embedded := servicetest.Start(t, nil, servicetest.Unlimited...)
	a = embedded.Login(servicetest.Phone)
	embedded.Want(embedded.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
	embedded.Want(embedded.Refresh(a.Text("refresh_token")), 401, "invalid_refresh_token")
	if again := embedded.Login(servicetest.Phone); again.Status != 201 {
		t.Errorf("login after it: %d; want 201", again.Status)
	}
}

// TestDeleteDoesNotResetLimits holds that nobody is sent messages without end by making and deleting users.
func TestDeleteDoesNotResetLimits(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off")
	for range 3 {
		s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(s.Login(servicetest.Phone))), 204, "")
	}
	s.Want(s.Request(servicetest.Phone), 429, "too_many_requests")
}

func TestDeleteWithStoresDown(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	s := servicetest.Start(t, []string{databaseURL, redisURL}, servicetest.Unlimited...)
	a := s.Login(servicetest.Phone)
	redis.Shut(true)
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 503, "unavailable")
	redis.Shut(false)
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 200, "")
	database.Shut(true)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/token/refresh", servicetest.JSON("refresh_token", a.Text("refresh_token"))},
		{"DELETE", "/me", ""},
		{"POST", "/logout", ""},
		{"GET", "/me/sessions", ""},
		{"POST", "/me/phone/request", servicetest.JSON("phone", servicetest.Phone)},
	} {
		s.Want(s.Call(c.method, c.path, c.body, servicetest.Bearer(a)), 503, "unavailable")
	}
	database.Shut(false)
	s.Want(s.Refresh(a.Text("refresh_token")), 200, "")
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
}

func TestPhoneChange(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "OTP_RESEND_AFTER=30s")...)
		const next, taken = "+989121234568", "+989121234569"
		a := s.Login(servicetest.Phone)
		b := s.Login(servicetest.Phone)
		other := s.Login(taken)
		ask := func(who servicetest.Answer, number string) servicetest.Answer {
			t.Helper()
			return s.Call("POST", "/me/phone/request", servicetest.JSON("phone", number, "locale", "en"), servicetest.Bearer(who))
		}
		answerWith := func(who servicetest.Answer, number, code string, headers ...string) servicetest.Answer {
			t.Helper()
			return s.Call("POST", "/me/phone/verify", servicetest.JSON("phone", number, "code", code), append(headers, servicetest.Bearer(who))...)
		}
		s.Want(s.Call("POST", "/me/phone/request", servicetest.JSON("phone", next)), 401, "invalid_token")
		s.Want(ask(a, "x"), 422, "invalid_phone")
		s.Want(ask(a, next), 202, "")
		code := s.ShownCode(next)
		if !strings.Contains(s.Stdout.String(), code+" is the code to move an account to this number") {
			t.Error("the message does not say what it is for")
		}

		// a code for one purpose never works for another
		s.Want(s.Verify(next, code), 401, "")
		s.Want(answerWith(other, next, code), 401, "")
		s.Want(s.Request(next), 202, "")
		loginCode := s.ShownCode(next)
		s.Want(answerWith(a, next, loginCode), 401, "")
		s.Want(answerWith(a, servicetest.Phone, code), 401, "")

		changed := s.Want(answerWith(a, next, code), 200, "")
		if changed.Text("phone") != next || changed.Text("id") != a.Text("user", "id") {
			t.Errorf("change: %s; want the user with the new phone", changed.Body)
		}
		s.Want(answerWith(a, next, code), 401, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(b)), 401, "invalid_token")
		s.Want(s.Refresh(b.Text("refresh_token")), 401, "invalid_refresh_token")
		s.Want(s.Refresh(a.Text("refresh_token")), 200, "")
		if again := s.Want(s.Verify(next, loginCode), 200, ""); again.Text("user", "id") != a.Text("user", "id") {
			t.Errorf("login with the new phone: %s; want the same user", again.Body)
		}

		// the user's own number is no change
		c := s.Login(next)
		s.Want(ask(a, next), 202, "")
		s.Want(answerWith(a, next, s.ShownCode(next)), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(c)), 200, "")

		// a number that is somebody's is answered as a wrong code
		asked := s.Want(ask(a, taken), 202, "")
		fresh := s.Want(ask(a, "+989121234560"), 202, "")
		plain := strings.NewReplacer(taken, "", "+989121234560", "", asked.Text("request_id"), "", fresh.Text("request_id"), "")
		if got, want := plain.Replace(asked.Body), plain.Replace(fresh.Body); got != want {
			t.Errorf("a taken number: %s; a free one: %s", got, want)
		}
		code = s.ShownCode(taken)
		for _, accept := range []string{"Accept: */*", "Accept: application/json"} {
			right, wrong := answerWith(a, taken, code, accept), answerWith(a, taken, servicetest.WrongCode(code), accept)
			for _, h := range []*servicetest.Answer{&right, &wrong} {
				h.Body = strings.ReplaceAll(h.Body, h.Header.Get("X-Request-Id"), "")
				h.Header.Del("X-Request-Id")
				h.Header.Del("Date")
			}
			if right.Status != 401 || fmt.Sprint(right) != fmt.Sprint(wrong) {
				t.Errorf("a right code for a taken number: %v; a wrong one: %v", right, wrong)
			}
		}
		s.Want(ask(a, taken), 429, "resend_too_soon") // as after a wrong code
		if me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 200, ""); me.Text("phone") != next {
			t.Errorf("me: %s; want the number as it was", me.Body)
		}
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(other)), 200, "")
		audit := s.Want(s.Call("GET", "/audit?action=phone_change", "", servicetest.Admin), 200, "")
		if list := audit.Field("events").([]any); len(list) != 1 || strings.Contains(audit.Body, "1234567") || strings.Contains(audit.Body, "1234568") ||
			fmt.Sprint(list[0].(map[string]any)["detail"]) != "map[from:+98912•••67 to:+98912•••68]" {
			t.Errorf("audit: %s; want the change, with masked numbers", audit.Body)
		}
	})
}

func TestDormant(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "DORMANT_AFTER=2s")...)
		old := s.Login(servicetest.Phone)
		time.Sleep(2100 * time.Millisecond)
		fresh := s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 201, "")
		if fresh.Text("user", "id") == old.Text("user", "id") {
			t.Errorf("login: %s; want a new user", fresh.Body)
		}
		if me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(old)), 200, ""); me.Field("phone") != nil {
			t.Errorf("the old user: %s; want no phone", me.Body)
		}
		if again := s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 200, ""); again.Text("user", "id") != fresh.Text("user", "id") {
			t.Errorf("login: %s; want the new user", again.Body)
		}
		s.WantEvents("user_id="+old.Text("user", "id"), "phone_lost", "signup")
		s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "")
		s.Want(s.Call("DELETE", "/users/"+old.Text("user", "id"), "", servicetest.Admin), 204, "")
	})
}

// TestHousekeeping ages what a service left and holds that the next one clears it away, and says so.
func TestHousekeeping(t *testing.T) {
	stores := servicetest.RealStores(t)
	s := servicetest.Start(t, stores, servicetest.Unlimited...)
	s.Login(servicetest.Phone)
	kept := s.Login(servicetest.Phone)
	_, url, _ := strings.Cut(stores[0], "=")
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	const grow = `
		insert into sessions (id, user_id, challenge_id, refresh_hash, user_agent, ip, created_at, expires_at)
		select gen_random_uuid(), (select id from users), gen_random_uuid(), '', '', '', now() - interval '40 days', now() - interval '10 days'
		from generate_series(1, 1200)`
	const log = `
		insert into audit (id, at, action, actor, ip, user_agent, detail)
		select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, now(), 'login', 'user', '', '', '{}' from generate_series(1, 700) n`
	for _, statement := range []string{grow, log} {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	next := servicetest.Start(t, stores, servicetest.Unlimited...)
	servicetest.Eventually(t, "the log tells of the housekeeping", func() bool {
		return strings.Contains(next.Log.String(), "msg=housekeeping sessions_deleted=1200 audit_deleted=700")
	})
	next.Want(next.Call("GET", "/me", "", "Authorization: Bearer x"), 401, "invalid_token")
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(kept)), 200, "")
	s.WantEvents("", "login", "signup")
}
