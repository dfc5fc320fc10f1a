package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"dekamond-otp/internal/e2e/servicetest"
)

const phone = servicetest.Phone

func TestLogin(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "LOG_LEVEL=debug")
		sent := s.Want(s.Request("0098 (912) 123-4567"), 202, "")
		want := `{"phone":"+989121234567","channel":"sms","channels":["sms"],"expires_in":120,"resend_in":30,` +
			`"code_length":6,"request_id":"` + sent.Text("request_id") + `"}`
		if sent.Body != want {
			t.Errorf("request: %s; want %s", sent.Body, want)
		}
		code := s.ShownCode(phone)
		s.Want(s.Verify(phone, servicetest.WrongCode(code)), 401, "")
		first := s.Want(s.Verify(phone, code, "User-Agent: an app\tof \"mine\""), 201, "")
		if first.Field("new_user") != true || first.Text("user", "phone") != phone {
			t.Errorf("first login: %s; want a new user with the phone", first.Body)
		}
		if first.Text("token_type") != "Bearer" {
			t.Errorf("first login: %s", first.Body)
		}
		if again := s.Verify(phone, code); again.Status != 401 || again.Body != "no no no" {
			t.Errorf("the code again: %d %s; want 401 no no no", again.Status, again.Body)
		}
		me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(first)), 200, "")
		if me.Text("id") != first.Text("user", "id") || me.Text("last_login_at") == "" {
			t.Errorf("me: %s; want the user of %s", me.Body, first.Body)
		}

		persian := strings.NewReplacer(
			"0", "۰", "1", "۱", "2", "۲", "3", "۳", "4", "٤", "5", "٥", "6", "۶", "7", "۷", "8", "۸", "9", "۹")
		s.Want(s.Request(persian.Replace(phone)), 202, "")
		code = s.ShownCode(phone)
		second := s.Want(s.Verify(persian.Replace("00989121234567"), persian.Replace(code)), 200, "")
		if second.Field("new_user") != false || second.Text("user", "id") != first.Text("user", "id") {
			t.Errorf("second login: %s; want the known user", second.Body)
		}
		for _, secret := range []string{"9121234567", code, first.Text("access_token"), first.Text("refresh_token")} {
			if strings.Contains(s.Log.String(), secret) {
				t.Errorf("the log holds %s:\n%s", secret, s.Log.String())
			}
		}
	})
}

func TestTokens(t *testing.T) {
	s := servicetest.Start(t, nil,
		"ACCESS_TTL=5m", "REFRESH_TTL=24h", "JWT_ISSUER=https://login.example.com", "JWT_AUDIENCE=app")
	login := s.Verify(phone, s.Code(phone))
	if login.Field("expires_in") != 300.0 || login.Field("refresh_expires_in") != 86400.0 {
		t.Errorf("login: %s; want the lives that the settings name", login.Body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(login.Text("access_token"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"iss": "https://login.example.com",
		"aud": []any{"app"},
		"sub": login.Text("user", "id"),
		"exp": claims["iat"].(float64) + 300,
	} {
		if fmt.Sprint(claims[name]) != fmt.Sprint(want) {
			t.Errorf("the claim %s is %v; want %v", name, claims[name], want)
		}
	}
	if claims["jti"] == nil || claims["sid"] == nil {
		t.Errorf("claims: %s; want jti and sid", payload)
	}
	for _, header := range []string{
		"",
		"Authorization: Bearer",
		"Authorization: Basic eDp5",
		"Authorization: Bearer x.y.z",
		"Authorization: Bearer " + login.Text("refresh_token"),
	} {
		a := s.Want(s.Call("GET", "/me", "", header), 401, "invalid_token")
		if got := a.Header.Get("WWW-Authenticate"); got != "Bearer" {
			t.Errorf("with %q: WWW-Authenticate %q; want Bearer", header, got)
		}
	}
}

func TestSignupWithoutLogin(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "SIGNUP_LOGS_IN=false", "OTP_RESEND_AFTER=off")
		code := s.Code(phone)
		a := s.Want(s.Verify(phone, code), 201, "")
		if a.Field("access_token") != nil || a.Field("new_user") != true || a.Field("user", "last_login_at") != nil {
			t.Errorf("sign-up: %s; want no tokens", a.Body)
		}
		if a.Field("device_token") != nil {
			t.Errorf("sign-up: %s; want no device_token before the first login", a.Body)
		}
		s.Want(s.Verify(phone, code), 401, "")
		if a = s.Want(s.Verify(phone, s.Code(phone)), 200, ""); a.Text("access_token") == "" {
			t.Errorf("login after the sign-up: %s; want tokens", a.Body)
		}
	})
}

func TestTestNumbers(t *testing.T) {
	const test = "+15550001111"
	s := servicetest.Start(t, nil,
		"OTP_TEST_NUMBERS="+test+":123456,"+phone+":000000", "SMS_REGIONS=DE", "OTP_LIMIT_IP=2/10m")
	for range 5 {
		s.Want(s.Request(test), 202, "")
	}
	if strings.Contains(s.Stdout.String(), "SMS") {
		t.Errorf("a message was sent: %s", s.Stdout.String())
	}
	s.Want(s.Verify(test, "123456"), 201, "")
	s.Want(s.Verify(test, "123456"), 401, "")
	s.Want(s.Request(phone), 202, "")
	for range 5 {
		s.Want(s.Verify(phone, "111111"), 401, "")
	}
	s.Want(s.Verify(phone, "000000"), 401, "")
	s.Want(s.Request("+989121234568"), 403, "destination_not_allowed")
	s.Want(s.Request("+4915123456789"), 202, "")
}

// wantOneLogin checks the statuses of n simultaneous right answers to some copies: one is 201, and all others are 401.
// If Redis took the code and its reply came too late, all are 401.
func wantOneLogin(t *testing.T, n int, statuses map[int]int, copies ...*servicetest.Service) {
	t.Helper()
	isLost := statuses[201] == 0 && slices.ContainsFunc(copies, (*servicetest.Service).IsCrowded)
	if statuses[201]+statuses[401] != n || statuses[201] != 1 && !isLost {
		t.Errorf("%d simultaneous right answers: %v; want one 201, and 401", n, statuses)
	}
}

func TestRaces(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_RESEND_AFTER=off", "OTP_LIMIT_IP=off", "OTP_DAILY_ATTEMPTS=6",
			"ADMIN_API_KEY="+servicetest.AdminKey)
		s.Unvalidated = true
		verify := func(n int, phone, code string) map[int]int {
			t.Helper()
			return s.AtOnce(n, func(int) servicetest.Answer {
				return s.Insist(func() servicetest.Answer { return s.Verify(phone, code) })
			})
		}

		requests := s.AtOnce(50, func(int) servicetest.Answer { return s.Request(phone) })
		accepted, unanswered := requests[202], requests[503] // none is unanswered unless the machine is very slow
		if accepted > 3 || accepted+unanswered < 3 || accepted+unanswered+requests[429] != 50 {
			t.Errorf("50 simultaneous requests: %v; want 3 accepted", requests)
		}
		wantOneLogin(t, 200, verify(200, phone, s.ShownCode(phone)), s)

		const other = "+989121234502"
		wantOneLogin(t, 100, verify(100, other, s.Code(other)), s)
		s.Verify(other, s.Code(other)) // creates the user if the reply was lost
		users := s.Call("GET", "/users?q="+url.QueryEscape(other), "", servicetest.Admin)
		if list, _ := users.Field("users").([]any); len(list) != 1 {
			t.Errorf("users: %s; want one", users.Body)
		}

		const third = "+989121234503"
		code := s.Code(third)
		wrong := verify(1000, third, servicetest.WrongCode(code))
		if wrong[401] != 1000 {
			t.Errorf("1,000 simultaneous wrong answers: %v; want 401 alone", wrong)
		}
		s.Want(s.Verify(third, code), 401, "") // five wrong attempts have burnt the challenge
		code = s.Code(third)
		if len(code) != 6 {
			t.Errorf("the next code is %s; want 6 digits: no sixth attempt was counted", code)
		}
		s.Want(s.Verify(third, code), 201, "")
	})
}

// TestRedisHoldsNothingThatLogsIn reads all that Redis holds, as a thief of its dump would.
func TestRedisHoldsNothingThatLogsIn(t *testing.T) {
	stores := servicetest.RealStores(t)
	w := servicetest.NewWebhook(t)
	w.Hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(w.Hold) })
	defer release()
	s := servicetest.Start(t, stores, w.Settings()...)
	s.Want(s.Request(phone), 202, "")
	servicetest.Eventually(t, "the webhook is called", func() bool { return len(w.Messages()) > 0 })
	code := w.Messages()[0]["code"]
	s.Verify(phone, servicetest.WrongCode(code))
	r := servicetest.Redis(t, stores)
	keys := servicetest.RedisKeys(t, stores)
	if len(keys) != 9 {
		t.Fatalf("keys %v; want the nine of package redisstore that a login without a known device has", keys)
	}
	for _, key := range keys {
		held := key + values(t, r, key)
		for _, secret := range []string{"9121234567", code, "127.0.0.1"} {
			if strings.Contains(held, secret) {
				t.Errorf("Redis holds %s: %s", secret, held)
			}
		}
		if ttl, _ := r.TTL(t.Context(), key).Result(); ttl <= 0 || !strings.HasPrefix(key, "otp:{") {
			t.Errorf("%s lives %v; want the prefix otp: and a time to live", key, ttl)
		}
	}
	release()
	s.AwaitMessages()
	servicetest.AwaitEmptyOutbox(t, stores)
}

// values returns what a key holds as text, without times and receipts, which may have the digits of a code.
func values(t *testing.T, r *redis.Client, key string) string {
	t.Helper()
	switch kind, _ := r.Type(t.Context(), key).Result(); kind {
	case "stream":
		messages, err := r.XRange(t.Context(), key, "-", "+").Result()
		if err != nil || len(messages) != 1 || messages[0].Values["letter"] == "" {
			t.Fatalf("the outbox: %v, %v; want one message", messages, err)
		}
		delete(messages[0].Values, "time")
		delete(messages[0].Values, "receipt")
		return fmt.Sprint(messages[0].Values)
	case "hash":
		h, _ := r.HGetAll(t.Context(), key).Result()
		delete(h, "sent")
		delete(h, "receipts")
		return fmt.Sprint(h)
	}
	return ""
}

// TestSurvivesKill checks that nothing is lost that the embedded stores promise to keep.
func TestSurvivesKill(t *testing.T) {
	s := servicetest.Start(t, nil, servicetest.Unlimited...)
	for {
		login := s.Login(phone)
		began := time.Now()
		refreshed := s.Want(s.Refresh(login.Text("refresh_token")), 200, "")
		s.End(syscall.SIGKILL)
		s = servicetest.Launch(t, s.Dir, s.Env...)
		s.Await()
		me := s.Want(s.Call("GET", "/me", "", servicetest.Bearer(login)), 200, "")
		if me.Text("id") != login.Text("user", "id") {
			t.Errorf("me after a kill: %s; want the user of %s", me.Body, login.Body)
		}
		again := s.Refresh(login.Text("refresh_token"))
		if again.Body != refreshed.Body && time.Since(began) > repeatWithin {
			continue // the restart took too long
		}
		if again.Body != refreshed.Body {
			t.Errorf("the same refresh after a kill: %s; want %s again", again.Body, refreshed.Body)
		}
		s.Want(s.Refresh(refreshed.Text("refresh_token")), 200, "")
		s.Want(s.Verify(phone, s.Code(phone)), 200, "")
		return
	}
}

func TestManyCopies(t *testing.T) {
	stores := append(servicetest.RealStores(t), "OTP_RESEND_AFTER=off",
		"OTP_SECRET="+servicetest.OTPSecret, "JWT_SECRET="+servicetest.JWTSecret)
	a, b := servicetest.Start(t, stores), servicetest.Start(t, stores)
	code := a.Code(phone)
	if a.Want(a.Request(phone), 202, ""); a.ShownCode(phone) != code {
		t.Error("the resend has another code")
	}
	if b.Want(b.Request(phone), 202, ""); b.ShownCode(phone) != code {
		t.Error("the resend of the other copy has another code")
	}
	b.Want(b.Request(phone), 429, "too_many_requests")
	got := a.AtOnce(100, func(i int) servicetest.Answer {
		s := []*servicetest.Service{a, b}[i%2]
		return s.Insist(func() servicetest.Answer { return s.Verify(phone, code) })
	})
	wantOneLogin(t, 100, got, a, b)
}
