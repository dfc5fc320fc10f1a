package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestLogin(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "LOG_LEVEL=debug")
		sent := s.Want(s.Request("0098 (912) 123-4567"), 202, "")
		if want := `{"phone":"+989121234567","channel":"sms","expires_in":120,"resend_in":30,"code_length":6,"request_id":"` + sent.Text("request_id") + `"}`; sent.Body != want {
			t.Errorf("request: %s; want %s", sent.Body, want)
		}
		code := s.ShownCode(servicetest.Phone)
		s.Want(s.Verify(servicetest.Phone, servicetest.WrongCode(code)), 401, "")
		first := s.Want(s.Verify(servicetest.Phone, code, "User-Agent: an app\tof \"mine\""), 201, "")
		if first.Field("new_user") != true || first.Text("user", "phone") != servicetest.Phone || first.Text("token_type") != "Bearer" {
			t.Errorf("first login: %s", first.Body)
		}
		if again := s.Verify(servicetest.Phone, code); again.Status != 401 || again.Body != "no no no" {
			t.Errorf("the code again: %d %s; want 401 no no no", again.Status, again.Body)
		}
		me := s.Want(s.Call("GET", "/me", "", "Authorization: Bearer "+first.Text("access_token")), 200, "")
		if me.Text("id") != first.Text("user", "id") || me.Text("last_login_at") == "" {
			t.Errorf("me: %s; want the user of %s", me.Body, first.Body)
		}

		persian := strings.NewReplacer("0", "۰", "1", "۱", "2", "۲", "3", "۳", "4", "٤", "5", "٥", "6", "۶", "7", "۷", "8", "۸", "9", "۹")
		s.Want(s.Request(persian.Replace(servicetest.Phone)), 202, "")
		code = s.ShownCode(servicetest.Phone)
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
	s := servicetest.Start(t, nil, "ACCESS_TTL=5m", "REFRESH_TTL=24h", "JWT_ISSUER=https://login.example.com", "JWT_AUDIENCE=app")
	login := s.Verify(servicetest.Phone, s.Code(servicetest.Phone))
	if login.Field("expires_in") != 300.0 || login.Field("refresh_expires_in") != 86400.0 {
		t.Errorf("login: %s; want the lives of the settings", login.Body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(login.Text("access_token"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != "https://login.example.com" || fmt.Sprint(claims["aud"]) != "[app]" || claims["sub"] != login.Text("user", "id") ||
		claims["exp"].(float64)-claims["iat"].(float64) != 300 || claims["jti"] == nil || claims["sid"] == nil {
		t.Errorf("claims: %s", payload)
	}
	for _, header := range []string{"", "Authorization: Bearer", "Authorization: Basic eDp5", "Authorization: Bearer x.y.z", "Authorization: Bearer " + login.Text("refresh_token")} {
		a := s.Want(s.Call("GET", "/me", "", header), 401, "invalid_token")
		if a.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("with %q: WWW-Authenticate %q; want Bearer", header, a.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestSignupWithoutLogin(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "SIGNUP_LOGS_IN=false", "OTP_RESEND_AFTER=off")
		code := s.Code(servicetest.Phone)
		a := s.Want(s.Verify(servicetest.Phone, code), 201, "")
		if a.Field("access_token") != nil || a.Field("new_user") != true || a.Field("user", "last_login_at") != nil {
			t.Errorf("sign-up: %s; want no tokens", a.Body)
		}
		s.Want(s.Verify(servicetest.Phone, code), 401, "")
		if a = s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 200, ""); a.Text("access_token") == "" {
			t.Errorf("login after it: %s; want tokens", a.Body)
		}
	})
}

func TestTestNumbers(t *testing.T) {
	s := servicetest.Start(t, nil, "OTP_TEST_NUMBERS=+15550001111:123456,+989121234567:000000", "SMS_REGIONS=DE", "OTP_LIMIT_IP=2/10m")
	for range 5 {
		s.Want(s.Request("+15550001111"), 202, "")
	}
	if strings.Contains(s.Stdout.String(), "SMS") {
		t.Errorf("a message was sent: %s", s.Stdout.String())
	}
	s.Want(s.Verify("+15550001111", "123456"), 201, "")
	s.Want(s.Verify("+15550001111", "123456"), 401, "")
	s.Want(s.Request(servicetest.Phone), 202, "")
	for range 5 {
		s.Want(s.Verify(servicetest.Phone, "111111"), 401, "")
	}
	s.Want(s.Verify(servicetest.Phone, "000000"), 401, "")
	s.Want(s.Request("+989121234568"), 403, "destination_not_allowed")
	s.Want(s.Request("+4915123456789"), 202, "")
}

func TestLimits(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_RESEND_AFTER=1s", "OTP_LIMIT_PHONE=3/4s", "OTP_LIMIT_IP=4/1h", "OTP_MAX_ATTEMPTS=2", "OTP_DAILY_ATTEMPTS=3",
			"TRUSTED_PROXIES=127.0.0.0/8")
		code := s.Code(servicetest.Phone)
		a := s.Want(s.Request(servicetest.Phone), 429, "resend_too_soon")
		truthful(t, s, a, 1)
		if again := s.ShownCode(servicetest.Phone); again != code {
			t.Errorf("the resend's code is %s; want %s again", again, code)
		}
		time.Sleep(time.Second)
		if a := s.Want(s.Request(servicetest.Phone), 202, ""); a.Field("resend_in").(float64) < 2 {
			t.Errorf("the third message: %s; want the wait of the phone's limit", a.Body)
		}
		truthful(t, s, s.Want(s.Request(servicetest.Phone), 429, "too_many_requests"), 4)

		const elsewhere = "X-Forwarded-For: 203.0.113.9, 2001:db8:1:2:3:4:5:6"
		s.Want(s.Request("+989121234501"), 429, "too_many_requests") // the four of this address are used up
		s.Want(s.Verify("+989121234501", "000000"), 401, "")         // and nothing was opened
		s.Want(s.Request("+989121234501", elsewhere), 202, "")
		s.Want(s.Verify(servicetest.Phone, s.ShownCode(servicetest.Phone)), 201, "") // gives this address its messages back
		s.Want(s.Request("+989121234502"), 202, "")

		other := "+989121234503"
		s.Want(s.Request(other), 202, "")
		s.Want(s.Verify(other, servicetest.WrongCode(s.ShownCode(other))), 401, "")
		s.Want(s.Verify(other, servicetest.WrongCode(s.ShownCode(other))), 401, "")
		s.Want(s.Verify(other, s.ShownCode(other)), 401, "") // burnt
		time.Sleep(time.Second)
		s.Want(s.Request(other), 202, "")
		s.Want(s.Verify(other, servicetest.WrongCode(s.ShownCode(other))), 401, "")
		s.Want(s.Verify(other, s.ShownCode(other)), 401, "") // closed for the day
		a = s.Want(s.Request(other), 429, "too_many_requests")
		if seconds := a.Field("retry_after").(float64); seconds < 86000 || seconds > 86400 {
			t.Errorf("closed for %v s; want a day", seconds)
		}
	})
}

// truthful waits as long as the answer says and asks again.
func truthful(t *testing.T, s *servicetest.Service, a servicetest.Answer, atMost int) {
	t.Helper()
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > atMost || a.Field("retry_after") != float64(seconds) {
		t.Fatalf("Retry-After %q with %s; want the same from 1 to %d", a.Header.Get("Retry-After"), a.Body, atMost)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	s.Want(s.Request(servicetest.Phone), 202, "")
}

func TestRaces(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "OTP_RESEND_AFTER=off", "OTP_LIMIT_IP=off", "OTP_DAILY_ATTEMPTS=6", "ADMIN_API_KEY="+servicetest.AdminKey)
		s.Unvalidated = true

		requests := s.AtOnce(50, func(int) servicetest.Answer { return s.Request(servicetest.Phone) })
		if requests[202] != 3 || requests[429] != 47 {
			t.Errorf("50 simultaneous requests: %v; want 3 accepted", requests)
		}
		logins := s.AtOnce(200, func(int) servicetest.Answer { return s.Verify(servicetest.Phone, s.ShownCode(servicetest.Phone)) })
		if logins[201] != 1 || logins[401] != 199 {
			t.Errorf("200 simultaneous right answers: %v; want one 201", logins)
		}

		// a hundred first logins of one phone, each with a code that is right for as long as it lives
		const other = "+989121234502"
		code := s.Code(other)
		logins = s.AtOnce(100, func(int) servicetest.Answer { return s.Verify(other, code) })
		if logins[201] != 1 || logins[401] != 99 {
			t.Errorf("100 simultaneous first logins: %v; want one 201 and no 5xx", logins)
		}
		users := s.Call("GET", "/users?q="+"%2B989121234502", "", "X-API-Key: "+servicetest.AdminKey)
		if list, _ := users.Field("users").([]any); len(list) != 1 {
			t.Errorf("users: %s; want one", users.Body)
		}

		const third = "+989121234503"
		code = s.Code(third)
		wrong := s.AtOnce(1000, func(int) servicetest.Answer { return s.Verify(third, servicetest.WrongCode(code)) })
		if wrong[401] != 1000 {
			t.Errorf("1,000 simultaneous wrong answers: %v; want 401 alone", wrong)
		}
		s.Want(s.Verify(third, code), 401, "")          // burnt: five were counted,
		s.Want(s.Verify(third, s.Code(third)), 201, "") // and not six, which would have closed the phone for the day
	})
}

func TestAdmin(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, "ADMIN_API_KEY="+servicetest.AdminKey, "OTP_LIMIT_IP=off", "DEFAULT_REGION=IR")
		var ids []string
		for i := range 5 {
			p := fmt.Sprintf("+98912000000%d", i)
			ids = append(ids, s.Want(s.Verify(p, s.Code(p)), 201, "").Text("user", "id"))
		}
		slices.Reverse(ids)
		got := s.AllPages("/users?limit=2", "users")
		if !slices.Equal(got, ids) {
			t.Errorf("users %v; want %v, the newest first", got, ids)
		}
		for q, want := range map[string]int{"%2B98912": 5, "+98912": 5, "0912": 5, "%DB%B0%DB%B9": 5, "%2B989120000003": 1, "09120000003": 1, "%2B98913": 0, "": 5} {
			a := s.Want(s.Call("GET", "/users?q="+q, "", servicetest.Admin), 200, "")
			if list := a.Field("users").([]any); len(list) != want {
				t.Errorf("q=%s: %d users; want %d", q, len(list), want)
			}
		}
		for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=1e1", "limit=-1", "cursor=x", "cursor=" + strings.Repeat("0", 36), "q=x", "q=%25", "q=%00", "q=' or 1=1"} {
			s.Want(s.Call("GET", "/users?"+strings.ReplaceAll(query, " ", "%20"), "", servicetest.Admin), 422, "invalid_field")
		}
		if one := s.Want(s.Call("GET", "/users/"+ids[1], "", "X-API-Key: "+servicetest.AdminKey), 200, ""); one.Text("phone") != "+989120000003" {
			t.Errorf("user: %s", one.Body)
		}
		for _, id := range []string{"x", "01890a5d-ac96-774b-bcce-b302099a8057", "%00", "{" + ids[0] + "}", ids[0] + "%27"} {
			s.Want(s.Call("GET", "/users/"+id, "", servicetest.Admin), 404, "not_found")
		}
		for _, header := range []string{"", "X-API-Key: ", "X-API-Key: " + servicetest.AdminKey + "x", "Authorization: Bearer x", "Authorization: Basic " + servicetest.AdminKey} {
			s.Want(s.Call("GET", "/users", "", header), 401, "invalid_admin_key")
			s.Want(s.Call("GET", "/users/"+ids[0], "", header), 401, "invalid_admin_key")
		}
	})
	s := servicetest.Start(t, nil)
	s.Want(s.Call("GET", "/users", "", "X-API-Key: "), 404, "not_found")
	s.Want(s.Call("GET", "/users", "", "Authorization: Bearer "), 404, "not_found")
}

func TestAdminActs(t *testing.T) {
	const second = "another-admin-key-of-more-than-32-bytes"
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, append(servicetest.Unlimited, "ADMIN_API_KEY="+servicetest.AdminKey+", "+second)...)
		a, b := s.Login(servicetest.Phone), s.Login(servicetest.Phone)
		user := a.Text("user", "id")
		path := "/users/" + user
		for _, key := range []string{servicetest.AdminKey, second} {
			s.Want(s.Call("GET", path, "", "X-API-Key: "+key), 200, "")
		}
		for _, key := range []string{servicetest.AdminKey + ", " + second, servicetest.AdminKey + "," + second, servicetest.AdminKey[:32], second + " x"} {
			s.Want(s.Call("GET", path, "", "X-API-Key: "+key), 401, "invalid_admin_key")
		}
		for _, c := range [][2]string{{"GET", path}, {"PATCH", path}, {"DELETE", path}, {"GET", path + "/sessions"}, {"DELETE", path + "/sessions"}, {"GET", "/audit"}} {
			s.Want(s.Call(c[0], c[1], "", servicetest.Bearer(a)), 401, "invalid_admin_key")
		}

		sessions := s.Want(s.Call("GET", path+"/sessions", "", servicetest.Admin), 200, "")
		if list := sessions.Field("sessions").([]any); len(list) != 2 || strings.Contains(sessions.Body, "current") {
			t.Errorf("sessions: %s; want two", sessions.Body)
		}
		s.Want(s.Call("DELETE", path+"/sessions", "", servicetest.Admin), 204, "")
		for _, dead := range []servicetest.Answer{a, b} {
			s.Want(s.Call("GET", "/me", "", servicetest.Bearer(dead)), 401, "invalid_token")
			s.Want(s.Refresh(dead.Text("refresh_token")), 401, "invalid_refresh_token")
		}

		a = s.Login(servicetest.Phone)
		for _, body := range []string{`{}`, `{"banned":null}`, `{"banned":"true"}`, `{"banned":1}`, `{"Banned":true}`} {
			s.Want(s.Call("PATCH", path, body, servicetest.Admin), 422, "invalid_field")
		}
		s.Want(s.Call("PATCH", path, `true`, servicetest.Admin), 400, "invalid_json")
		banned := s.Want(s.Call("PATCH", path, `{"banned":true}`, "X-API-Key: "+second), 200, "")
		if banned.Field("banned") != true || banned.Text("banned_at") == "" || banned.Text("id") != user {
			t.Errorf("ban: %s; want the banned user", banned.Body)
		}
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
		s.Want(s.Refresh(a.Text("refresh_token")), 401, "invalid_refresh_token")
		code := s.Code(servicetest.Phone) // a banned phone gets codes,
		s.Want(s.Verify(servicetest.Phone, servicetest.WrongCode(code)), 401, "")
		s.Want(s.Verify(servicetest.Phone, code), 403, "banned") // and learns of the ban when it has proved the number
		s.Want(s.Verify(servicetest.Phone, code), 401, "")
		if list := s.Want(s.Call("GET", "/users", "", servicetest.Admin), 200, "").Field("users").([]any); list[0].(map[string]any)["banned"] != true {
			t.Errorf("users: %v; want the ban to show", list)
		}
		free := s.Want(s.Call("PATCH", path, `{"banned":false}`, servicetest.Admin), 200, "")
		if free.Field("banned") != false || free.Field("banned_at") != nil {
			t.Errorf("unban: %s; want the user, free", free.Body)
		}
		s.Want(s.Call("PATCH", path, `{"banned":false}`, servicetest.Admin), 200, "")
		s.Want(s.Call("GET", "/me", "", servicetest.Bearer(a)), 401, "invalid_token")
		a = s.Login(servicetest.Phone)
		s.Want(s.Call("DELETE", path, "", servicetest.Admin), 204, "")
		s.Want(s.Refresh(a.Text("refresh_token")), 401, "invalid_refresh_token")
		for _, c := range [][3]string{
			{"GET", path, ""},
			{"PATCH", path, `{"banned":true}`},
			{"DELETE", path, ""},
			{"GET", path + "/sessions", ""},
			{"DELETE", path + "/sessions", ""},
			{"PATCH", "/users/x", `{"banned":true}`},
			{"DELETE", "/users/x", ""},
			{"GET", "/users/x/sessions", ""},
			{"DELETE", "/users/x/sessions", ""},
		} {
			s.Want(s.Call(c[0], c[1], c[2], servicetest.Admin), 404, "not_found")
		}
		s.WantEvents("user_id="+user, "delete", "login", "unban", "ban", "login", "logout", "login", "signup")

		page := s.Want(s.Call("GET", "/audit?action=ban", "", servicetest.Admin), 200, "")
		event := page.Field("events").([]any)[0].(map[string]any)
		key := sha256.Sum256([]byte(second))
		if event["actor"] != "admin" || event["user_id"] != user || event["session_id"] != nil || event["ip"] != "127.0.0.1" ||
			event["user_agent"] != "Go-http-client/1.1" || event["detail"].(map[string]any)["key"] != hex.EncodeToString(key[:4]) {
			t.Errorf("the ban in the audit: %v; want who, whom and from where", event)
		}
		if at, err := time.Parse(time.RFC3339, event["at"].(string)); err != nil || time.Since(at) > time.Minute {
			t.Errorf("the ban in the audit: %v; want it now", event)
		}
	})
}

func TestAudit(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		s := servicetest.Start(t, stores, servicetest.Unlimited...)
		const agent = "User-Agent: an app\tof \"mine\""
		a := s.Login(servicetest.Phone, agent)
		s.Login("+989121234568")
		time.Sleep(10 * time.Millisecond)
		between := time.Now()
		time.Sleep(10 * time.Millisecond)
		s.Login(servicetest.Phone)
		s.Want(s.Call("POST", "/logout", "", servicetest.Bearer(a), agent), 204, "")
		user := a.Text("user", "id")
		tehran := url.QueryEscape(between.In(time.FixedZone("", 12600)).Format(time.RFC3339Nano))
		s.WantEvents("", "logout", "login", "signup", "signup")
		s.WantEvents("user_id="+user, "logout", "login", "signup")
		s.WantEvents("action=signup", "signup", "signup")
		s.WantEvents("user_id="+user+"&action=signup", "signup")
		s.WantEvents("from="+tehran, "logout", "login")
		s.WantEvents("from="+strings.ReplaceAll(tehran, "%2B", "+"), "logout", "login")
		s.WantEvents("to="+tehran, "signup", "signup")
		s.WantEvents("from=" + tehran + "&to=" + tehran)
		got := s.AllPages("/audit?limit=3", "events")
		if len(got) != 4 || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("pages: %v; want four events, the newest first", got)
		}
		for _, query := range []string{"user_id=x", "action=x", "action=SIGNUP", "from=x", "from=1", "to=2026-11-24", "cursor=x", "limit=0", "limit=101"} {
			s.Want(s.Call("GET", "/audit?"+query, "", servicetest.Admin), 422, "invalid_field")
		}
		page := s.Want(s.Call("GET", "/audit?limit=1", "", servicetest.Admin), 200, "")
		event := page.Field("events").([]any)[0].(map[string]any)
		if event["actor"] != "user" || event["user_agent"] != "an appof \"mine\"" || event["ip"] != "127.0.0.1" || len(event["detail"].(map[string]any)) != 0 {
			t.Errorf("the logout in the audit: %v", event)
		}
		all := s.Want(s.Call("GET", "/audit", "", servicetest.Admin), 200, "").Body
		for _, secret := range []string{"912123456", a.Text("access_token"), a.Text("refresh_token")} {
			if strings.Contains(all, secret) {
				t.Errorf("the audit holds %s: %s", secret, all)
			}
		}
	})
	s := servicetest.Start(t, nil)
	s.Want(s.Call("GET", "/audit", "", "X-API-Key: "), 404, "not_found")
}

// TestRedisHoldsNothingThatLogsIn reads all of Redis as a thief of its dump would.
func TestRedisHoldsNothingThatLogsIn(t *testing.T) {
	stores := servicetest.RealStores(t)
	p := servicetest.NewWebhook(t)
	p.Hold = make(chan struct{})
	s := servicetest.Start(t, stores, p.Settings()...)
	s.Want(s.Request(servicetest.Phone), 202, "")
	servicetest.Eventually(t, "the message is on its way", func() bool { return len(p.Messages()) == 1 })
	code := p.Messages()[0]["code"]
	s.Verify(servicetest.Phone, servicetest.WrongCode(code))
	r := servicetest.Redis(t, stores)
	keys := servicetest.RedisKeys(t, stores)
	if len(keys) != 5 {
		t.Fatalf("keys %v; want the five of package redisstore", keys)
	}
	for _, key := range keys {
		var values string
		switch kind, _ := r.Type(t.Context(), key).Result(); kind {
		case "stream":
			messages, err := r.XRange(t.Context(), key, "-", "+").Result()
			if err != nil || len(messages) != 1 || messages[0].Values["letter"] == "" {
				t.Errorf("the outbox: %v, %v; want one message", messages, err)
			}
			delete(messages[0].Values, "time") // it has digits like a code's
			delete(messages[0].Values, "receipt")
			values = fmt.Sprint(messages[0].Values)
		case "hash":
			h, _ := r.HGetAll(t.Context(), key).Result()
			delete(h, "sent") // times have digits like a code's
			delete(h, "receipts")
			values = fmt.Sprint(h)
		}
		if text := key + values; strings.Contains(text, "9121234567") || strings.Contains(text, code) || strings.Contains(text, "127.0.0.1") {
			t.Errorf("Redis holds %s", text)
		}
		if ttl, _ := r.TTL(t.Context(), key).Result(); ttl <= 0 || !strings.HasPrefix(key, "otp:{") {
			t.Errorf("%s lives %v; want the prefix otp: and a time to live", key, ttl)
		}
	}
	close(p.Hold)
	s.AwaitMessages()
	servicetest.AwaitEmptyOutbox(t, stores)
}

func TestSurvivesKill(t *testing.T) {
	s := servicetest.Start(t, nil)
	login := s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 201, "")
	refreshed := s.Want(s.Refresh(login.Text("refresh_token")), 200, "")
	s.End(syscall.SIGKILL)
	again := servicetest.Launch(t, s.Dir)
	again.Await()
	me := again.Want(again.Call("GET", "/me", "", "Authorization: Bearer "+login.Text("access_token")), 200, "")
	if me.Text("id") != login.Text("user", "id") {
		t.Errorf("me after a kill: %s; want the user of %s", me.Body, login.Body)
	}
	if again.Refresh(login.Text("refresh_token")).Body != refreshed.Body {
		t.Error("a refresh whose answer a kill may have swallowed is not answered again")
	}
	again.Want(again.Refresh(refreshed.Text("refresh_token")), 200, "")
	again.Want(again.Verify(servicetest.Phone, again.Code(servicetest.Phone)), 200, "")
}

func TestManyCopies(t *testing.T) {
	stores := append(servicetest.RealStores(t), "OTP_SECRET="+servicetest.OTPSecret, "JWT_SECRET="+servicetest.JWTSecret, "OTP_RESEND_AFTER=off")
	a, b := servicetest.Start(t, stores), servicetest.Start(t, stores)
	code := a.Code(servicetest.Phone)
	if a.Want(a.Request(servicetest.Phone), 202, ""); a.ShownCode(servicetest.Phone) != code {
		t.Error("the resend has another code")
	}
	if b.Want(b.Request(servicetest.Phone), 202, ""); b.ShownCode(servicetest.Phone) != code {
		t.Error("the other copy's resend has another code")
	}
	b.Want(b.Request(servicetest.Phone), 429, "too_many_requests")
	got := a.AtOnce(100, func(i int) servicetest.Answer {
		return []*servicetest.Service{a, b}[i%2].Verify(servicetest.Phone, code)
	})
	if got[201] != 1 || got[401] != 99 {
		t.Errorf("100 right answers to two copies: %v; want one 201", got)
	}
}
