package e2e

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
)

func (s *service) refresh(token string, headers ...string) answer {
	s.t.Helper()
	return s.call("POST", "/token/refresh", object("refresh_token", token), headers...)
}

func (s *service) login(phone string, headers ...string) answer {
	s.t.Helper()
	a := s.verify(phone, s.code(phone), headers...)
	if a.status != 200 && a.status != 201 {
		s.t.Fatalf("login: %d %s", a.status, a.body)
	}
	return a
}

func bearer(a answer) string { return "Authorization: Bearer " + a.text("access_token") }

const admin = "Authorization: Bearer " + adminKey

// events gives the actions of the audit, the newest first.
func (s *service) events(query string) (actions []string) {
	s.t.Helper()
	page := s.want(s.call("GET", "/audit?"+query, "", admin), 200, "")
	for _, e := range page.field("events").([]any) {
		actions = append(actions, e.(map[string]any)["action"].(string))
	}
	return actions
}

func (s *service) happened(query string, want ...string) {
	s.t.Helper()
	if got := s.events(query); strings.Join(got, " ") != strings.Join(want, " ") {
		s.t.Errorf("audit of %s: %v; want %v", query, got, want)
	}
}

// patient has no limits of requests in its way.
var patient = []string{"OTP_RESEND_AFTER=off", "OTP_LIMIT_PHONE=off", "OTP_LIMIT_IP=off", "ADMIN_API_KEY=" + adminKey}

func TestRefresh(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, patient...)
		login := s.login(phone, "User-Agent: first")
		user := login.text("user", "id")
		second := s.want(s.refresh(login.text("refresh_token"), "User-Agent: second"), 200, "")
		if second.text("refresh_token") == login.text("refresh_token") || second.text("access_token") == login.text("access_token") ||
			second.text("token_type") != "Bearer" || second.field("expires_in") != 900.0 || second.field("user") != nil {
			t.Errorf("refresh: %s; want a new pair", second.body)
		}
		if left := second.field("refresh_expires_in").(float64); left > 2592000 || left < 2592000-60 {
			t.Errorf("refresh: the session lives for %v s; want what is left of its 30 days", left)
		}
		for _, a := range []answer{login, second} {
			s.want(s.call("GET", "/me", "", bearer(a)), 200, "")
		}
		if lost := s.refresh(login.text("refresh_token"), "User-Agent: third"); lost.status != 200 || lost.body != second.body {
			t.Errorf("the same token again: %d %s; want %s again", lost.status, lost.body, second.body)
		}
		sessions := s.want(s.call("GET", "/me/sessions", "", bearer(second)), 200, "")
		if list := sessions.field("sessions").([]any); len(list) != 1 || list[0].(map[string]any)["user_agent"] != "second" {
			t.Errorf("sessions: %s; want one, of the refresh", sessions.body)
		}
		third := s.want(s.refresh(second.text("refresh_token")), 200, "")
		s.want(s.call("GET", "/me", "", bearer(third)), 200, "")

		a := s.want(s.refresh(login.text("refresh_token")), 401, "invalid_refresh_token") // spent long ago
		if !strings.Contains(a.header.Get("Content-Type"), "problem+json") {
			t.Errorf("reuse: %v; want a problem", a.header)
		}
		s.want(s.refresh(third.text("refresh_token")), 401, "invalid_refresh_token")
		s.want(s.call("GET", "/me", "", bearer(third)), 401, "invalid_token")
		s.happened("user_id="+user, "refresh_reuse", "signup")
		if !strings.Contains(s.log.String(), "used again") {
			t.Error("the log does not tell of the reuse")
		}
	})
}

func TestRefreshRefuses(t *testing.T) {
	s := start(t, nil, patient...)
	login := s.login(phone)
	token := login.text("refresh_token")
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
		"empty": "", "no token": "x", "an access token": login.text("access_token"), "short": token[:85], "long": token + "A",
		"of another session": changed(0), "of another family": changed(20), "padded": token[:85] + "=", "dots": strings.Repeat(".", 1500),
		"in standard base64": base64.StdEncoding.EncodeToString(raw), "zero bytes": strings.Repeat("A", 86), "control": "\x00",
	} {
		if a := s.refresh(token); a.status != 401 || a.text("code") != "invalid_refresh_token" {
			t.Errorf("%s: %d %s; want 401", name, a.status, a.body)
		}
	}
	for body, code := range map[string]string{`{}`: "invalid_field", `{"refresh_token":1}`: "invalid_field", `{"refresh_token":null}`: "invalid_field", `{"refresh_token":["` + token + `"]}`: "invalid_field"} {
		s.want(s.call("POST", "/token/refresh", body), 422, code)
	}
	s.want(s.call("POST", "/token/refresh", "x"), 400, "invalid_json")
	s.want(s.call("POST", "/token/refresh", object("refresh_token", strings.Repeat(".", 3000))), 413, "body_too_large")
	s.want(s.refresh(token), 200, "") // none of it harmed the session
	s.want(s.refresh(changed(63)), 401, "invalid_refresh_token")
	s.want(s.refresh(token), 401, "invalid_refresh_token") // a token of the family that never was is no accident
}

// TestRefreshRaces holds that one token has one successor, however many use it at once, on any copy.
func TestRefreshRaces(t *testing.T) {
	for name, algorithm := range map[string]string{"secret": "", "EdDSA": "EdDSA", "ES256": "ES256", "RS256": "RS256"} {
		t.Run(name, func(t *testing.T) {
			env := append([]string{"OTP_SECRET=" + otpSecret, "JWT_SECRET=" + jwtSecret}, append(patient, real(t)...)...)
			if algorithm != "" {
				folder := t.TempDir()
				newKey(t, folder, algorithm)
				env[1] = "JWT_KEYS=" + folder
			}
			copies := []*service{start(t, env), start(t, env)}
			token := copies[0].login(phone).text("refresh_token")
			for range 5 {
				token = fiftyUses(t, copies, token)
			}
			copies[0].want(copies[0].refresh(token), 200, "")
		})
	}
	t.Run("embedded", func(t *testing.T) {
		s := start(t, nil, patient...)
		fiftyUses(t, []*service{s}, s.login(phone).text("refresh_token"))
	})
}

// fiftyUses uses a token 50 times at once, holds that there is one answer, and gives the token in it.
func fiftyUses(t *testing.T, copies []*service, token string) string {
	t.Helper()
	var mu sync.Mutex
	bodies := make(map[string]string)
	got := copies[0].atOnce(50, func(i int) answer {
		a := copies[i%len(copies)].refresh(token)
		mu.Lock()
		defer mu.Unlock()
		bodies[a.body] = a.text("refresh_token")
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

// dump is all that a Postgres database holds, as text.
func dump(t *testing.T, stores []string) string {
	t.Helper()
	_, url, _ := strings.Cut(stores[0], "=")
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var b strings.Builder
	for _, table := range []string{"users", "sessions", "audit"} {
		rows, err := c.Query(t.Context(), `select t::text from `+table+` t`)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(lines) == 0 && table == "audit" {
			t.Fatalf("%s: %d rows, %v", table, len(lines), err)
		}
		b.WriteString(table + " " + strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}

// TestDatabaseHoldsNoToken reads all of the database as a thief of its dump would.
func TestDatabaseHoldsNoToken(t *testing.T) {
	stores := real(t)
	s, embedded := start(t, stores, patient...), start(t, nil, patient...)
	for _, s := range []*service{s, embedded} {
		tokens := []answer{s.login(phone)}
		for i := range 3 {
			tokens = append(tokens, s.want(s.refresh(tokens[i].text("refresh_token")), 200, ""))
		}
		held := ""
		if s == embedded {
			for _, name := range []string{"otp.db", "otp.db-wal"} {
				text, err := os.ReadFile(filepath.Join(s.dir, "data", name))
				if err != nil {
					t.Fatal(err)
				}
				held += string(text)
			}
		} else {
			held = dump(t, stores)
		}
		for i, a := range tokens {
			raw, err := base64.RawURLEncoding.DecodeString(a.text("refresh_token"))
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{ // the token as it is, what it is made of, and the access token's signature
				a.text("refresh_token")[32:], string(raw[16:32]), string(raw[32:]), strings.Split(a.text("access_token"), ".")[2],
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
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, patient...)
		a, b, c := s.login(phone), s.login(phone), s.login(phone)
		user := a.text("user", "id")
		s.want(s.call("POST", "/logout", "", bearer(a)), 204, "")
		s.want(s.call("GET", "/me", "", bearer(a)), 401, "invalid_token")
		s.want(s.call("POST", "/logout", "", bearer(a)), 401, "invalid_token")
		s.want(s.call("POST", "/logout?everywhere=true", "", bearer(a)), 401, "invalid_token")
		s.want(s.refresh(a.text("refresh_token")), 401, "invalid_refresh_token")
		s.want(s.call("GET", "/me", "", bearer(b)), 200, "")
		for _, value := range []string{"", "=", "=1", "=TRUE", "=perhaps"} {
			s.want(s.call("POST", "/logout?everywhere"+value, "", bearer(b)), 422, "invalid_field")
		}
		s.want(s.call("POST", "/logout", ""), 401, "invalid_token")
		s.want(s.call("POST", "/logout?everywhere=true", "", bearer(b)), 204, "")
		for _, dead := range []answer{b, c} {
			s.want(s.call("GET", "/me", "", bearer(dead)), 401, "invalid_token")
			s.want(s.refresh(dead.text("refresh_token")), 401, "invalid_refresh_token")
		}
		s.happened("user_id="+user, "logout", "logout", "login", "login", "signup")
	})
}

func TestMySessions(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, patient...)
		a, b := s.login(phone, "User-Agent: phone"), s.login(phone, "User-Agent: tablet")
		other := s.login("+989121234568")
		list := func(who answer) []any {
			t.Helper()
			return s.want(s.call("GET", "/me/sessions", "", bearer(who)), 200, "").field("sessions").([]any)
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
		s.want(s.call("DELETE", "/me/sessions/"+elsewhere, "", bearer(other)), 404, "not_found")
		s.want(s.call("DELETE", "/me/sessions/x", "", bearer(a)), 404, "not_found")
		s.want(s.call("DELETE", "/me/sessions/"+elsewhere, ""), 401, "invalid_token")
		s.want(s.call("DELETE", "/me/sessions/"+elsewhere, "", bearer(a)), 204, "")
		s.want(s.call("DELETE", "/me/sessions/"+elsewhere, "", bearer(a)), 404, "not_found")
		s.want(s.call("GET", "/me", "", bearer(b)), 401, "invalid_token")
		left := list(a)
		if len(left) != 1 {
			t.Fatalf("sessions %v; want the phone's", left)
		}
		own := left[0].(map[string]any)["id"].(string)
		s.want(s.call("DELETE", "/me/sessions/"+own, "", bearer(a)), 204, "")
		s.want(s.call("GET", "/me/sessions", "", bearer(a)), 401, "invalid_token")
		s.happened("user_id="+a.text("user", "id"), "logout", "logout", "login", "signup")
	})
}

func TestDeleteMe(t *testing.T) {
	stores := real(t)
	s := start(t, stores, patient...)
	a, b := s.login(phone), s.login(phone)
	user := a.text("user", "id")
	const number = "+989121234569"
	s.want(s.call("POST", "/me/phone/request", object("phone", number), bearer(a)), 202, "")
	s.want(s.call("POST", "/me/phone/verify", object("phone", number, "code", s.shown(number)), bearer(a)), 200, "")
	code := s.code(number)
	s.want(s.verify(number, wrongCode(code)), 401, "")
	if before, _, _ := strings.Cut(dump(t, stores), "audit "); !strings.Contains(before, number) || strings.Count(before, user) < 2 {
		t.Errorf("the dump does not show a user with number and sessions:\n%s", before)
	}
	s.want(s.call("DELETE", "/me", "", bearer(a)), 204, "")
	s.want(s.call("DELETE", "/me", "", bearer(a)), 401, "invalid_token")
	s.want(s.call("GET", "/me", "", bearer(a)), 401, "invalid_token")
	s.want(s.refresh(b.text("refresh_token")), 401, "invalid_refresh_token")
	s.want(s.verify(number, code), 401, "") // the live code is gone, too
	s.want(s.call("GET", "/users/"+user, "", admin), 404, "not_found")
	held := dump(t, stores)
	users, audit, _ := strings.Cut(held, "audit ")
	if strings.Contains(held, "9121234567") || strings.Contains(held, "9121234569") || strings.Contains(users, user) || !strings.Contains(audit, user) {
		t.Errorf("the database holds the number, or the user elsewhere than in the audit:\n%s", held)
	}
	for _, key := range redisKeys(t, stores) {
		if !strings.HasSuffix(key, ":sends") && !strings.HasSuffix(key, ":outbox") { // which is everybody's, and empty
			t.Errorf("Redis still holds %s", key)
		}
	}
	s.happened("user_id="+user, "delete", "phone_change", "login", "signup")
	again := s.login(number)
	if again.status != 201 || again.text("user", "id") == user {
		t.Errorf("login of the number: %d %s; want a new user", again.status, again.body)
	}
	embedded := start(t, nil, patient...)
	a = embedded.login(phone)
	embedded.want(embedded.call("DELETE", "/me", "", bearer(a)), 204, "")
	embedded.want(embedded.refresh(a.text("refresh_token")), 401, "invalid_refresh_token")
	if again := embedded.login(phone); again.status != 201 {
		t.Errorf("login after it: %d; want 201", again.status)
	}
}

// TestDeleteDoesNotResetLimits holds that nobody is sent messages without end by making and deleting users.
func TestDeleteDoesNotResetLimits(t *testing.T) {
	s := start(t, nil, "OTP_RESEND_AFTER=off")
	for range 3 {
		s.want(s.call("DELETE", "/me", "", bearer(s.login(phone))), 204, "")
	}
	s.want(s.request(phone), 429, "too_many_requests")
}

func TestDeleteWithStoresDown(t *testing.T) {
	stores := real(t)
	database, databaseURL := through(t, stores[0])
	redis, redisURL := through(t, stores[1])
	s := start(t, []string{databaseURL, redisURL}, patient...)
	a := s.login(phone)
	redis.set(true)
	s.want(s.call("DELETE", "/me", "", bearer(a)), 503, "unavailable")
	redis.set(false)
	s.want(s.call("GET", "/me", "", bearer(a)), 200, "")
	database.set(true)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/token/refresh", object("refresh_token", a.text("refresh_token"))},
		{"DELETE", "/me", ""},
		{"POST", "/logout", ""},
		{"GET", "/me/sessions", ""},
		{"POST", "/me/phone/request", object("phone", phone)},
	} {
		s.want(s.call(c.method, c.path, c.body, bearer(a)), 503, "unavailable")
	}
	database.set(false)
	s.want(s.refresh(a.text("refresh_token")), 200, "")
	s.want(s.call("DELETE", "/me", "", bearer(a)), 204, "")
}

func TestPhoneChange(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, append(patient, "OTP_RESEND_AFTER=30s")...)
		const next, taken = "+989121234568", "+989121234569"
		a := s.login(phone)
		b := s.login(phone)
		other := s.login(taken)
		ask := func(who answer, number string) answer {
			t.Helper()
			return s.call("POST", "/me/phone/request", object("phone", number, "locale", "en"), bearer(who))
		}
		answerWith := func(who answer, number, code string, headers ...string) answer {
			t.Helper()
			return s.call("POST", "/me/phone/verify", object("phone", number, "code", code), append(headers, bearer(who))...)
		}
		s.want(s.call("POST", "/me/phone/request", object("phone", next)), 401, "invalid_token")
		s.want(ask(a, "x"), 422, "invalid_phone")
		s.want(ask(a, next), 202, "")
		code := s.shown(next)
		if !strings.Contains(s.out.String(), code+" is the code to move an account to this number") {
			t.Error("the message does not say what it is for")
		}

		// a code for one purpose never works for another
		s.want(s.verify(next, code), 401, "")
		s.want(answerWith(other, next, code), 401, "")
		s.want(s.request(next), 202, "")
		loginCode := s.shown(next)
		s.want(answerWith(a, next, loginCode), 401, "")
		s.want(answerWith(a, phone, code), 401, "")

		changed := s.want(answerWith(a, next, code), 200, "")
		if changed.text("phone") != next || changed.text("id") != a.text("user", "id") {
			t.Errorf("change: %s; want the user with the new phone", changed.body)
		}
		s.want(answerWith(a, next, code), 401, "")
		s.want(s.call("GET", "/me", "", bearer(b)), 401, "invalid_token")
		s.want(s.refresh(b.text("refresh_token")), 401, "invalid_refresh_token")
		s.want(s.refresh(a.text("refresh_token")), 200, "")
		if again := s.want(s.verify(next, loginCode), 200, ""); again.text("user", "id") != a.text("user", "id") {
			t.Errorf("login with the new phone: %s; want the same user", again.body)
		}

		// the user's own number is no change
		c := s.login(next)
		s.want(ask(a, next), 202, "")
		s.want(answerWith(a, next, s.shown(next)), 200, "")
		s.want(s.call("GET", "/me", "", bearer(c)), 200, "")

		// a number that is somebody's is answered as a wrong code
		asked := s.want(ask(a, taken), 202, "")
		fresh := s.want(ask(a, "+989121234560"), 202, "")
		plain := strings.NewReplacer(taken, "", "+989121234560", "", asked.text("request_id"), "", fresh.text("request_id"), "")
		if got, want := plain.Replace(asked.body), plain.Replace(fresh.body); got != want {
			t.Errorf("a taken number: %s; a free one: %s", got, want)
		}
		code = s.shown(taken)
		for _, accept := range []string{"Accept: */*", "Accept: application/json"} {
			right, wrong := answerWith(a, taken, code, accept), answerWith(a, taken, wrongCode(code), accept)
			for _, h := range []*answer{&right, &wrong} {
				h.body = strings.ReplaceAll(h.body, h.header.Get("X-Request-Id"), "")
				h.header.Del("X-Request-Id")
				h.header.Del("Date")
			}
			if right.status != 401 || fmt.Sprint(right) != fmt.Sprint(wrong) {
				t.Errorf("a right code for a taken number: %v; a wrong one: %v", right, wrong)
			}
		}
		s.want(ask(a, taken), 429, "resend_too_soon") // as after a wrong code
		if me := s.want(s.call("GET", "/me", "", bearer(a)), 200, ""); me.text("phone") != next {
			t.Errorf("me: %s; want the number as it was", me.body)
		}
		s.want(s.call("GET", "/me", "", bearer(other)), 200, "")
		audit := s.want(s.call("GET", "/audit?action=phone_change", "", admin), 200, "")
		if list := audit.field("events").([]any); len(list) != 1 || strings.Contains(audit.body, "1234567") || strings.Contains(audit.body, "1234568") ||
			fmt.Sprint(list[0].(map[string]any)["detail"]) != "map[from:+98912•••67 to:+98912•••68]" {
			t.Errorf("audit: %s; want the change, with masked numbers", audit.body)
		}
	})
}

func TestDormant(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, append(patient, "DORMANT_AFTER=2s")...)
		old := s.login(phone)
		time.Sleep(2100 * time.Millisecond)
		fresh := s.want(s.verify(phone, s.code(phone)), 201, "")
		if fresh.text("user", "id") == old.text("user", "id") {
			t.Errorf("login: %s; want a new user", fresh.body)
		}
		if me := s.want(s.call("GET", "/me", "", bearer(old)), 200, ""); me.field("phone") != nil {
			t.Errorf("the old user: %s; want no phone", me.body)
		}
		if again := s.want(s.verify(phone, s.code(phone)), 200, ""); again.text("user", "id") != fresh.text("user", "id") {
			t.Errorf("login: %s; want the new user", again.body)
		}
		s.happened("user_id="+old.text("user", "id"), "phone_lost", "signup")
		s.want(s.call("GET", "/users", "", admin), 200, "")
		s.want(s.call("DELETE", "/users/"+old.text("user", "id"), "", admin), 204, "")
	})
}

// TestHousekeeping ages what a service left and holds that the next one clears it away, and says so.
func TestHousekeeping(t *testing.T) {
	stores := real(t)
	s := start(t, stores, patient...)
	s.login(phone)
	kept := s.login(phone)
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
	next := start(t, stores, patient...)
	eventually(t, "the log tells of the housekeeping", func() bool {
		return strings.Contains(next.log.String(), "msg=housekeeping sessions_deleted=1200 audit_deleted=700")
	})
	next.want(next.call("GET", "/me", "", "Authorization: Bearer x"), 401, "invalid_token")
	s.want(s.call("GET", "/me", "", bearer(kept)), 200, "")
	s.happened("", "login", "signup")
}
