package api

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

// repeatWithin is how long a refresh token that is sent again is answered with the same access token: see package
// account.
const repeatWithin = 10 * time.Second

func TestRefresh(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		login := s.Login(phone, "User-Agent: first")
		user := login.Text("user", "id")
		began := time.Now()
		second := s.Want(s.Refresh(login.Text("refresh_token"), "User-Agent: second"), 200, "")
		for _, token := range []string{"refresh_token", "access_token"} {
			if second.Text(token) == login.Text(token) || second.Text(token) == "" {
				t.Errorf("refresh: %s; want a new %s", second.Body, token)
			}
		}
		if second.Text("token_type") != "Bearer" || second.Field("expires_in") != 900.0 || second.Field("user") != nil {
			t.Errorf("refresh: %s; want a pair of tokens alone", second.Body)
		}
		const life = 30 * 24 * 60 * 60
		if left := second.Field("refresh_expires_in").(float64); left > life || left < life-600 {
			t.Errorf("refresh: the session lives for %v s; want the rest of its 30 days", left)
		}
		for _, a := range []servicetest.Answer{login, second} {
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 200, "")
		}
		again := s.Want(s.Refresh(login.Text("refresh_token"), "User-Agent: third"), 200, "")
		same := again.Body == second.Body
		if time.Since(began) >= repeatWithin { // after which the access token is another one
			same = again.Text("refresh_token") == second.Text("refresh_token")
		}
		if !same {
			t.Errorf("the same token again: %s; want %s again", again.Body, second.Body)
		}
		sessions := s.Want(s.Call("GET", "/me/sessions", "", servicetest.Bearer(second)), 200, "")
		list := sessions.Field("sessions").([]any)
		if len(list) != 1 || list[0].(map[string]any)["user_agent"] != "second" {
			t.Errorf("sessions: %s; want one, with the user agent of the refresh", sessions.Body)
		}
		third := s.Want(s.Refresh(second.Text("refresh_token")), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(third)), 200, "")

		// The first token was spent two refreshes ago: to use it again ends the session.
		a := s.Want(s.Refresh(login.Text("refresh_token")), 401, "invalid_refresh_token")
		if !strings.Contains(a.Header.Get("Content-Type"), "problem+json") {
			t.Errorf("reuse: %v; want a problem", a.Header)
		}
		s.Want(s.Refresh(third.Text("refresh_token")), 401, "invalid_refresh_token")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(third)), 401, "invalid_token")
		s.WantEvents("user_id="+user, "refresh_reuse", "signup")
		if !strings.Contains(s.Log.String(), "used again") {
			t.Error("the log does not report the reuse")
		}
	})
}

func TestRefreshRefuses(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	login := s.Login(phone)
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
		"empty":              "",
		"no token":           "x",
		"an access token":    login.Text("access_token"),
		"short":              token[:85],
		"long":               token + "A",
		"of another session": changed(0),
		"of another family":  changed(20),
		"padded":             token[:85] + "=",
		"dots":               strings.Repeat(".", 1500),
		"in standard base64": base64.StdEncoding.EncodeToString(raw),
		"zero bytes":         strings.Repeat("A", 86),
		"control":            "\x00",
	} {
		if a := s.Refresh(token); a.Status != 401 || a.Text("code") != "invalid_refresh_token" {
			t.Errorf("%s: %d %s; want 401", name, a.Status, a.Body)
		}
	}
	for _, body := range []string{
		`{}`, `{"refresh_token":1}`, `{"refresh_token":null}`, `{"refresh_token":["` + token + `"]}`,
	} {
		s.Want(s.Call("POST", "/token/refresh", body), 422, "invalid_field")
	}
	s.Want(s.Call("POST", "/token/refresh", "x"), 400, "invalid_json")
	s.Want(s.Refresh(strings.Repeat(".", 3000)), 413, "body_too_large")
	s.Want(s.Refresh(token), 200, "") // none of these calls harmed the session

	// A token of the family that was never issued cannot be an accident: it ends the session.
	s.Want(s.Refresh(changed(63)), 401, "invalid_refresh_token")
	s.Want(s.Refresh(token), 401, "invalid_refresh_token")
}

// TestRefreshRaces checks that a token has one successor, however many clients use it at once on any copy.
func TestRefreshRaces(t *testing.T) {
	for name, algorithm := range map[string]string{"secret": "", "EdDSA": "EdDSA", "ES256": "ES256", "RS256": "RS256"} {
		t.Run(name, func(t *testing.T) {
			key := "JWT_SECRET=" + servicetest.JWTSecret
			if algorithm != "" {
				folder := t.TempDir()
				servicetest.NewKey(t, folder, algorithm)
				key = "JWT_KEYS=" + folder
			}
			stores := append(servicetest.RealStores(t), "OTP_SECRET="+servicetest.OTPSecret, key)
			copies := []*servicetest.Service{
				servicetest.Start(t, stores, servicetest.Unlimited...),
				servicetest.Start(t, stores, servicetest.Unlimited...),
			}
			raceRefreshes(t, copies, 5)
		})
	}
	t.Run("embedded", func(t *testing.T) {
		s := servicetest.Start(t, nil, servicetest.Unlimited...)
		raceRefreshes(t, []*servicetest.Service{s}, 1)
	})
}

// raceRefreshes logs in and refreshes some times, each time with fifty simultaneous uses of one token. Where they take
// longer than the service repeats an answer, it tries fewer.
func raceRefreshes(t *testing.T, copies []*servicetest.Service, times int) {
	t.Helper()
	token := copies[0].Login(phone).Text("refresh_token")
	for uses := 50; times > 0; times-- {
		began := time.Now()
		bodies, statuses := useAtOnce(copies, token, uses)
		if len(bodies) == 1 && statuses[200] == uses {
			for body := range bodies {
				token = servicetest.Answer{Body: body}.Text("refresh_token")
			}
			continue
		}
		if time.Since(began) < repeatWithin {
			t.Fatalf("%d uses of one token: %v, %d different answers; want equal ones", uses, statuses, len(bodies))
		}
		if uses < 4 {
			t.Skip("this machine is too slow")
		}
		uses /= 2
		times++
		token = copies[0].Login(phone).Text("refresh_token")
	}
	copies[0].Want(copies[0].Refresh(token), 200, "")
}

// useAtOnce uses a refresh token n times at once, and returns the different answers and how many had each status.
func useAtOnce(copies []*servicetest.Service, token string, n int) (bodies map[string]bool, statuses map[int]int) {
	var mu sync.Mutex
	bodies = make(map[string]bool)
	statuses = copies[0].AtOnce(n, func(i int) servicetest.Answer {
		s := copies[i%len(copies)]
		a := s.Insist(func() servicetest.Answer { return s.Refresh(token) })
		mu.Lock()
		defer mu.Unlock()
		bodies[a.Body] = true
		return a
	})
	return bodies, statuses
}

// TestDatabaseHoldsNoToken reads all that the database holds, as a thief of its dump would.
func TestDatabaseHoldsNoToken(t *testing.T) {
	stores := servicetest.RealStores(t)
	onPostgres := servicetest.Start(t, stores, servicetest.Unlimited...)
	tokens := fourLogins(onPostgres)
	holdsNoToken(t, servicetest.Dump(t, stores), tokens)

	embedded := servicetest.Start(t, nil, servicetest.Unlimited...)
	tokens = fourLogins(embedded)
	held := ""
	for _, name := range []string{"otp.db", "otp.db-wal"} {
		text, err := os.ReadFile(filepath.Join(embedded.Dir, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		held += string(text)
	}
	holdsNoToken(t, held, tokens)
}

// fourLogins logs in, refreshes three times and returns the four answers.
func fourLogins(s *servicetest.Service) []servicetest.Answer {
	answers := []servicetest.Answer{s.Login(phone)}
	for i := range 3 {
		answers = append(answers, s.Want(s.Refresh(answers[i].Text("refresh_token")), 200, ""))
	}
	return answers
}

// holdsNoToken checks that what a database holds has neither a refresh token of the answers, nor the bytes that one is
// made of, nor the signature of an access token, in any usual form.
func holdsNoToken(t *testing.T, held string, answers []servicetest.Answer) {
	t.Helper()
	for i, a := range answers {
		raw, err := base64.RawURLEncoding.DecodeString(a.Text("refresh_token"))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{
			a.Text("refresh_token")[32:],
			string(raw[16:32]),
			string(raw[32:]),
			strings.Split(a.Text("access_token"), ".")[2],
		} {
			for _, form := range []string{
				secret,
				hex.EncodeToString([]byte(secret)),
				base64.StdEncoding.EncodeToString([]byte(secret)),
			} {
				if strings.Contains(held, form) {
					t.Errorf("the database holds a part of tokens %d", i)
				}
			}
		}
	}
}

func TestLogout(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		a, b, c := s.Login(phone), s.Login(phone), s.Login(phone)
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
		for _, ended := range []servicetest.Answer{b, c} {
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(ended)), 401, "invalid_token")
			s.Want(s.Refresh(ended.Text("refresh_token")), 401, "invalid_refresh_token")
		}
		s.WantEvents("user_id="+user, "logout", "logout", "login", "login", "signup")
	})
}

func TestMySessions(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		a, b := s.Login(phone, "User-Agent: phone"), s.Login(phone, "User-Agent: tablet")
		other := s.Login("+989121234568")
		list := func(login servicetest.Answer) []any {
			t.Helper()
			a := s.Want(s.Call("GET", "/me/sessions", "", servicetest.Bearer(login)), 200, "")
			return a.Field("sessions").([]any)
		}
		var elsewhere string
		for i, entry := range list(a) {
			session := entry.(map[string]any)
			current := session["user_agent"] == "phone"
			if session["current"] != current || i > 1 {
				t.Errorf("session %v; want two, of which the phone's is current", session)
			}
			if session["ip"] != "127.0.0.1" || session["created_at"] != session["last_used_at"] {
				t.Errorf("session %v; want one of this machine that was not used since", session)
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

// TestDeleteMe checks that nothing is left of a deleted user but events without a phone.
func TestDeleteMe(t *testing.T) {
	stores := servicetest.RealStores(t)
	s := servicetest.Start(t, stores, servicetest.Unlimited...)
	a, b := s.Login(phone), s.Login(phone)
	user := a.Text("user", "id")
	const next = "+989121234569"
	s.Want(changePhone(s, a, next), 202, "")
	s.Want(provePhone(s, a, next, s.ShownCode(next)), 200, "")
	code := s.Code(next)
	s.Want(s.Verify(next, servicetest.WrongCode(code)), 401, "")
	before, _, _ := strings.Cut(servicetest.Dump(t, stores), "audit ")
	if !strings.Contains(before, next) || strings.Count(before, user) < 2 {
		t.Errorf("the dump does not show a user with a phone and sessions:\n%s", before)
	}

	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
	s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
	s.Want(s.Refresh(b.Text("refresh_token")), 401, "invalid_refresh_token")
	s.Want(s.Verify(next, code), 401, "") // the live challenge was deleted, too
	s.Want(s.Call("GET", "/users/"+user, "", servicetest.Admin), 404, "not_found")
	held := servicetest.Dump(t, stores)
	for _, phone := range []string{"9121234567", "9121234569"} {
		if strings.Contains(held, phone) {
			t.Errorf("the database holds the phone:\n%s", held)
		}
	}
	users, audit, _ := strings.Cut(held, "audit ")
	if strings.Contains(users, user) || !strings.Contains(audit, user) {
		t.Errorf("the database holds the user elsewhere than in the audit log, or not there:\n%s", held)
	}
	for _, key := range servicetest.RedisKeys(t, stores) {
		if !slices.Contains([]string{"sends", "outbox", "health"}, key[strings.LastIndex(key, ":")+1:]) {
			t.Errorf("Redis still holds %s", key)
		}
	}
	s.WantEvents("user_id="+user, "delete", "phone_change", "login", "signup")
	again := s.Login(next)
	if again.Status != 201 || again.Text("user", "id") == user {
		t.Errorf("login with the phone: %d %s; want a new user", again.Status, again.Body)
	}
}

func TestDeleteMeEmbedded(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	a := s.Login(phone)
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
	s.Want(s.Refresh(a.Text("refresh_token")), 401, "invalid_refresh_token")
	if again := s.Login(phone); again.Status != 201 {
		t.Errorf("login after the deletion: %d; want 201", again.Status)
	}
}

// TestDeleteDoesNotResetLimits checks that to create and delete users is no way to be sent messages without end.
func TestDeleteDoesNotResetLimits(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_RESEND_AFTER=off")
	for range 3 {
		s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(s.Login(phone))), 204, "")
	}
	s.Want(s.Request(phone), 429, "too_many_requests")
}

func TestDeleteWithStoresDown(t *testing.T) {
	stores := servicetest.RealStores(t)
	database, databaseURL := servicetest.Through(t, stores[0])
	redis, redisURL := servicetest.Through(t, stores[1])
	s := servicetest.Start(t, []string{databaseURL, redisURL}, servicetest.Unlimited...)
	a := s.Login(phone)
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
		{"POST", "/me/phone/request", servicetest.JSON("phone", phone)},
	} {
		s.Want(s.Call(c.method, c.path, c.body, servicetest.Bearer(a)), 503, "unavailable")
	}
	database.Shut(false)
	servicetest.Eventually(t, "the database is used again", func() bool {
		return s.Call("GET", "/me", "", servicetest.Bearer(a)).Status == 200
	})
	s.Want(s.Refresh(a.Text("refresh_token")), 200, "")
	s.Want(s.Call("DELETE", "/me", "", servicetest.Bearer(a)), 204, "")
}
