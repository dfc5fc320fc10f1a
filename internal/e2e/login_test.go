package e2e

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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const phone = "+989121234567"

func TestLogin(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "LOG_LEVEL=debug")
		sent := s.want(s.request("0098 (912) 123-4567"), 202, "")
		if want := `{"phone":"+989121234567","channel":"sms","expires_in":120,"resend_in":30,"code_length":6,"request_id":"` + sent.text("request_id") + `"}`; sent.body != want {
			t.Errorf("request: %s; want %s", sent.body, want)
		}
		code := s.shown(phone)
		s.want(s.verify(phone, wrongCode(code)), 401, "")
		first := s.want(s.verify(phone, code, "User-Agent: an app\tof \"mine\""), 201, "")
		if first.field("new_user") != true || first.text("user", "phone") != phone || first.text("token_type") != "Bearer" {
			t.Errorf("first login: %s", first.body)
		}
		if again := s.verify(phone, code); again.status != 401 || again.body != "no no no" {
			t.Errorf("the code again: %d %s; want 401 no no no", again.status, again.body)
		}
		me := s.want(s.call("GET", "/me", "", "Authorization: Bearer "+first.text("access_token")), 200, "")
		if me.text("id") != first.text("user", "id") || me.text("last_login_at") == "" {
			t.Errorf("me: %s; want the user of %s", me.body, first.body)
		}

		persian := strings.NewReplacer("0", "۰", "1", "۱", "2", "۲", "3", "۳", "4", "٤", "5", "٥", "6", "۶", "7", "۷", "8", "۸", "9", "۹")
		s.want(s.request(persian.Replace(phone)), 202, "")
		code = s.shown(phone)
		second := s.want(s.verify(persian.Replace("00989121234567"), persian.Replace(code)), 200, "")
		if second.field("new_user") != false || second.text("user", "id") != first.text("user", "id") {
			t.Errorf("second login: %s; want the known user", second.body)
		}
		for _, secret := range []string{"9121234567", code, first.text("access_token"), first.text("refresh_token")} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log holds %s:\n%s", secret, s.log.String())
			}
		}
	})
}

func TestTokens(t *testing.T) {
	s := start(t, nil, "ACCESS_TTL=5m", "REFRESH_TTL=24h", "JWT_ISSUER=https://login.example.com", "JWT_AUDIENCE=app")
	login := s.verify(phone, s.code(phone))
	if login.field("expires_in") != 300.0 || login.field("refresh_expires_in") != 86400.0 {
		t.Errorf("login: %s; want the lives of the settings", login.body)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(login.text("access_token"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != "https://login.example.com" || fmt.Sprint(claims["aud"]) != "[app]" || claims["sub"] != login.text("user", "id") ||
		claims["exp"].(float64)-claims["iat"].(float64) != 300 || claims["jti"] == nil || claims["sid"] == nil {
		t.Errorf("claims: %s", payload)
	}
	for _, header := range []string{"", "Authorization: Bearer", "Authorization: Basic eDp5", "Authorization: Bearer x.y.z", "Authorization: Bearer " + login.text("refresh_token")} {
		a := s.want(s.call("GET", "/me", "", header), 401, "invalid_token")
		if a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("with %q: WWW-Authenticate %q; want Bearer", header, a.header.Get("WWW-Authenticate"))
		}
	}
}

func TestSignupWithoutLogin(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "SIGNUP_LOGS_IN=false", "OTP_RESEND_AFTER=off")
		code := s.code(phone)
		a := s.want(s.verify(phone, code), 201, "")
		if a.field("access_token") != nil || a.field("new_user") != true || a.field("user", "last_login_at") != nil {
			t.Errorf("sign-up: %s; want no tokens", a.body)
		}
		s.want(s.verify(phone, code), 401, "")
		if a = s.want(s.verify(phone, s.code(phone)), 200, ""); a.text("access_token") == "" {
			t.Errorf("login after it: %s; want tokens", a.body)
		}
	})
}

func TestTestNumbers(t *testing.T) {
	s := start(t, nil, "OTP_TEST_NUMBERS=+15550001111:123456,+989121234567:000000", "SMS_REGIONS=DE", "OTP_LIMIT_IP=2/10m")
	for range 5 {
		s.want(s.request("+15550001111"), 202, "")
	}
	if strings.Contains(s.out.String(), "SMS") {
		t.Errorf("a message was sent: %s", s.out.String())
	}
	s.want(s.verify("+15550001111", "123456"), 201, "")
	s.want(s.verify("+15550001111", "123456"), 401, "")
	s.want(s.request(phone), 202, "")
	for range 5 {
		s.want(s.verify(phone, "111111"), 401, "")
	}
	s.want(s.verify(phone, "000000"), 401, "")
	s.want(s.request("+989121234568"), 403, "destination_not_allowed")
	s.want(s.request("+4915123456789"), 202, "")
}

func TestLimits(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "OTP_RESEND_AFTER=1s", "OTP_LIMIT_PHONE=3/4s", "OTP_LIMIT_IP=4/1h", "OTP_MAX_ATTEMPTS=2", "OTP_DAILY_ATTEMPTS=3",
			"TRUSTED_PROXIES=127.0.0.0/8")
		code := s.code(phone)
		a := s.want(s.request(phone), 429, "resend_too_soon")
		truthful(t, s, a, 1)
		if again := s.shown(phone); again != code {
			t.Errorf("the resend's code is %s; want %s again", again, code)
		}
		time.Sleep(time.Second)
		if a := s.want(s.request(phone), 202, ""); a.field("resend_in").(float64) < 2 {
			t.Errorf("the third message: %s; want the wait of the phone's limit", a.body)
		}
		truthful(t, s, s.want(s.request(phone), 429, "too_many_requests"), 4)

		const elsewhere = "X-Forwarded-For: 203.0.113.9, 2001:db8:1:2:3:4:5:6"
		s.want(s.request("+989121234501"), 429, "too_many_requests") // the four of this address are used up
		s.want(s.verify("+989121234501", "000000"), 401, "")         // and nothing was opened
		s.want(s.request("+989121234501", elsewhere), 202, "")
		s.want(s.verify(phone, s.shown(phone)), 201, "") // gives this address its messages back
		s.want(s.request("+989121234502"), 202, "")

		other := "+989121234503"
		s.want(s.request(other), 202, "")
		s.want(s.verify(other, wrongCode(s.shown(other))), 401, "")
		s.want(s.verify(other, wrongCode(s.shown(other))), 401, "")
		s.want(s.verify(other, s.shown(other)), 401, "") // burnt
		time.Sleep(time.Second)
		s.want(s.request(other), 202, "")
		s.want(s.verify(other, wrongCode(s.shown(other))), 401, "")
		s.want(s.verify(other, s.shown(other)), 401, "") // closed for the day
		a = s.want(s.request(other), 429, "too_many_requests")
		if seconds := a.field("retry_after").(float64); seconds < 86000 || seconds > 86400 {
			t.Errorf("closed for %v s; want a day", seconds)
		}
	})
}

// truthful waits as long as the answer says and asks again.
func truthful(t *testing.T, s *service, a answer, atMost int) {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > atMost || a.field("retry_after") != float64(seconds) {
		t.Fatalf("Retry-After %q with %s; want the same from 1 to %d", a.header.Get("Retry-After"), a.body, atMost)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	s.want(s.request(phone), 202, "")
}

func TestRaces(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "OTP_RESEND_AFTER=off", "OTP_LIMIT_IP=off", "OTP_DAILY_ATTEMPTS=6", "ADMIN_API_KEY="+adminKey)
		s.unvalidated = true

		requests := s.atOnce(50, func(int) answer { return s.request(phone) })
		if requests[202] != 3 || requests[429] != 47 {
			t.Errorf("50 simultaneous requests: %v; want 3 accepted", requests)
		}
		logins := s.atOnce(200, func(int) answer { return s.verify(phone, s.shown(phone)) })
		if logins[201] != 1 || logins[401] != 199 {
			t.Errorf("200 simultaneous right answers: %v; want one 201", logins)
		}

		// a hundred first logins of one phone, each with a code that is right for as long as it lives
		const other = "+989121234502"
		code := s.code(other)
		logins = s.atOnce(100, func(int) answer { return s.verify(other, code) })
		if logins[201] != 1 || logins[401] != 99 {
			t.Errorf("100 simultaneous first logins: %v; want one 201 and no 5xx", logins)
		}
		users := s.call("GET", "/users?q="+"%2B989121234502", "", "X-API-Key: "+adminKey)
		if list, _ := users.field("users").([]any); len(list) != 1 {
			t.Errorf("users: %s; want one", users.body)
		}

		const third = "+989121234503"
		code = s.code(third)
		wrong := s.atOnce(1000, func(int) answer { return s.verify(third, wrongCode(code)) })
		if wrong[401] != 1000 {
			t.Errorf("1,000 simultaneous wrong answers: %v; want 401 alone", wrong)
		}
		s.want(s.verify(third, code), 401, "")          // burnt: five were counted,
		s.want(s.verify(third, s.code(third)), 201, "") // and not six, which would have closed the phone for the day
	})
}

// atOnce makes n calls at once and counts their statuses.
func (s *service) atOnce(n int, call func(i int) answer) map[int]int {
	s.t.Helper()
	got := make(map[int]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			a := call(i)
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	close(begin)
	wg.Wait()
	return got
}

// pages goes through a list to its end and gives the identifiers in it.
func (s *service) pages(path, list string) (ids []string) {
	s.t.Helper()
	for next := path; ; {
		page := s.want(s.call("GET", next, "", admin), 200, "")
		for _, entry := range page.field(list).([]any) {
			ids = append(ids, entry.(map[string]any)["id"].(string))
		}
		cursor, more := page.field("next_cursor").(string)
		if !more {
			return ids
		}
		next = path + "&cursor=" + cursor
	}
}

func TestAdmin(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, "ADMIN_API_KEY="+adminKey, "OTP_LIMIT_IP=off", "DEFAULT_REGION=IR")
		var ids []string
		for i := range 5 {
			p := fmt.Sprintf("+98912000000%d", i)
			ids = append(ids, s.want(s.verify(p, s.code(p)), 201, "").text("user", "id"))
		}
		slices.Reverse(ids)
		got := s.pages("/users?limit=2", "users")
		if !slices.Equal(got, ids) {
			t.Errorf("users %v; want %v, the newest first", got, ids)
		}
		for q, want := range map[string]int{"%2B98912": 5, "+98912": 5, "0912": 5, "%DB%B0%DB%B9": 5, "%2B989120000003": 1, "09120000003": 1, "%2B98913": 0, "": 5} {
			a := s.want(s.call("GET", "/users?q="+q, "", admin), 200, "")
			if list := a.field("users").([]any); len(list) != want {
				t.Errorf("q=%s: %d users; want %d", q, len(list), want)
			}
		}
		for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=1e1", "limit=-1", "cursor=x", "cursor=" + strings.Repeat("0", 36), "q=x", "q=%25", "q=%00", "q=' or 1=1"} {
			s.want(s.call("GET", "/users?"+strings.ReplaceAll(query, " ", "%20"), "", admin), 422, "invalid_field")
		}
		if one := s.want(s.call("GET", "/users/"+ids[1], "", "X-API-Key: "+adminKey), 200, ""); one.text("phone") != "+989120000003" {
			t.Errorf("user: %s", one.body)
		}
		for _, id := range []string{"x", "01890a5d-ac96-774b-bcce-b302099a8057", "%00", "{" + ids[0] + "}", ids[0] + "%27"} {
			s.want(s.call("GET", "/users/"+id, "", admin), 404, "not_found")
		}
		for _, header := range []string{"", "X-API-Key: ", "X-API-Key: " + adminKey + "x", "Authorization: Bearer x", "Authorization: Basic " + adminKey} {
			s.want(s.call("GET", "/users", "", header), 401, "invalid_admin_key")
			s.want(s.call("GET", "/users/"+ids[0], "", header), 401, "invalid_admin_key")
		}
	})
	s := start(t, nil)
	s.want(s.call("GET", "/users", "", "X-API-Key: "), 404, "not_found")
	s.want(s.call("GET", "/users", "", "Authorization: Bearer "), 404, "not_found")
}

func redisOf(t *testing.T, stores []string) *redis.Client {
	t.Helper()
	_, url, _ := strings.Cut(stores[1], "=")
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	r := redis.NewClient(o)
	t.Cleanup(func() { r.Close() })
	return r
}

func redisKeys(t *testing.T, stores []string) []string {
	t.Helper()
	keys, err := redisOf(t, stores).Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAdminActs(t *testing.T) {
	const second = "another-admin-key-of-more-than-32-bytes"
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, append(patient, "ADMIN_API_KEY="+adminKey+", "+second)...)
		a, b := s.login(phone), s.login(phone)
		user := a.text("user", "id")
		path := "/users/" + user
		for _, key := range []string{adminKey, second} {
			s.want(s.call("GET", path, "", "X-API-Key: "+key), 200, "")
		}
		for _, key := range []string{adminKey + ", " + second, adminKey + "," + second, adminKey[:32], second + " x"} {
			s.want(s.call("GET", path, "", "X-API-Key: "+key), 401, "invalid_admin_key")
		}
		for _, c := range [][2]string{{"GET", path}, {"PATCH", path}, {"DELETE", path}, {"GET", path + "/sessions"}, {"DELETE", path + "/sessions"}, {"GET", "/audit"}} {
			s.want(s.call(c[0], c[1], "", bearer(a)), 401, "invalid_admin_key")
		}

		sessions := s.want(s.call("GET", path+"/sessions", "", admin), 200, "")
		if list := sessions.field("sessions").([]any); len(list) != 2 || strings.Contains(sessions.body, "current") {
			t.Errorf("sessions: %s; want two", sessions.body)
		}
		s.want(s.call("DELETE", path+"/sessions", "", admin), 204, "")
		for _, dead := range []answer{a, b} {
			s.want(s.call("GET", "/me", "", bearer(dead)), 401, "invalid_token")
			s.want(s.refresh(dead.text("refresh_token")), 401, "invalid_refresh_token")
		}

		a = s.login(phone)
		for _, body := range []string{`{}`, `{"banned":null}`, `{"banned":"true"}`, `{"banned":1}`, `{"Banned":true}`} {
			s.want(s.call("PATCH", path, body, admin), 422, "invalid_field")
		}
		s.want(s.call("PATCH", path, `true`, admin), 400, "invalid_json")
		banned := s.want(s.call("PATCH", path, `{"banned":true}`, "X-API-Key: "+second), 200, "")
		if banned.field("banned") != true || banned.text("banned_at") == "" || banned.text("id") != user {
			t.Errorf("ban: %s; want the banned user", banned.body)
		}
		s.want(s.call("GET", "/me", "", bearer(a)), 401, "invalid_token")
		s.want(s.refresh(a.text("refresh_token")), 401, "invalid_refresh_token")
		code := s.code(phone) // a banned phone gets codes,
		s.want(s.verify(phone, wrongCode(code)), 401, "")
		s.want(s.verify(phone, code), 403, "banned") // and learns of the ban when it has proved the number
		s.want(s.verify(phone, code), 401, "")
		if list := s.want(s.call("GET", "/users", "", admin), 200, "").field("users").([]any); list[0].(map[string]any)["banned"] != true {
			t.Errorf("users: %v; want the ban to show", list)
		}
		free := s.want(s.call("PATCH", path, `{"banned":false}`, admin), 200, "")
		if free.field("banned") != false || free.field("banned_at") != nil {
			t.Errorf("unban: %s; want the user, free", free.body)
		}
		s.want(s.call("PATCH", path, `{"banned":false}`, admin), 200, "")
		s.want(s.call("GET", "/me", "", bearer(a)), 401, "invalid_token")
		a = s.login(phone)
		s.want(s.call("DELETE", path, "", admin), 204, "")
		s.want(s.refresh(a.text("refresh_token")), 401, "invalid_refresh_token")
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
			s.want(s.call(c[0], c[1], c[2], admin), 404, "not_found")
		}
		s.happened("user_id="+user, "delete", "login", "unban", "ban", "login", "logout", "login", "signup")

		page := s.want(s.call("GET", "/audit?action=ban", "", admin), 200, "")
		event := page.field("events").([]any)[0].(map[string]any)
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
	modes(t, func(t *testing.T, stores []string) {
		s := start(t, stores, patient...)
		const agent = "User-Agent: an app\tof \"mine\""
		a := s.login(phone, agent)
		s.login("+989121234568")
		time.Sleep(10 * time.Millisecond)
		between := time.Now()
		time.Sleep(10 * time.Millisecond)
		s.login(phone)
		s.want(s.call("POST", "/logout", "", bearer(a), agent), 204, "")
		user := a.text("user", "id")
		tehran := url.QueryEscape(between.In(time.FixedZone("", 12600)).Format(time.RFC3339Nano))
		s.happened("", "logout", "login", "signup", "signup")
		s.happened("user_id="+user, "logout", "login", "signup")
		s.happened("action=signup", "signup", "signup")
		s.happened("user_id="+user+"&action=signup", "signup")
		s.happened("from="+tehran, "logout", "login")
		s.happened("from="+strings.ReplaceAll(tehran, "%2B", "+"), "logout", "login")
		s.happened("to="+tehran, "signup", "signup")
		s.happened("from=" + tehran + "&to=" + tehran)
		got := s.pages("/audit?limit=3", "events")
		if len(got) != 4 || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
			t.Errorf("pages: %v; want four events, the newest first", got)
		}
		for _, query := range []string{"user_id=x", "action=x", "action=SIGNUP", "from=x", "from=1", "to=2026-11-24", "cursor=x", "limit=0", "limit=101"} {
			s.want(s.call("GET", "/audit?"+query, "", admin), 422, "invalid_field")
		}
		page := s.want(s.call("GET", "/audit?limit=1", "", admin), 200, "")
		event := page.field("events").([]any)[0].(map[string]any)
		if event["actor"] != "user" || event["user_agent"] != "an appof \"mine\"" || event["ip"] != "127.0.0.1" || len(event["detail"].(map[string]any)) != 0 {
			t.Errorf("the logout in the audit: %v", event)
		}
		all := s.want(s.call("GET", "/audit", "", admin), 200, "").body
		for _, secret := range []string{"912123456", a.text("access_token"), a.text("refresh_token")} {
			if strings.Contains(all, secret) {
				t.Errorf("the audit holds %s: %s", secret, all)
			}
		}
	})
	s := start(t, nil)
	s.want(s.call("GET", "/audit", "", "X-API-Key: "), 404, "not_found")
}

// TestRedisHoldsNothingThatLogsIn reads all of Redis as a thief of its dump would.
func TestRedisHoldsNothingThatLogsIn(t *testing.T) {
	stores := real(t)
	p := newProvider(t)
	p.hold = make(chan struct{})
	s := start(t, stores, p.env()...)
	s.want(s.request(phone), 202, "")
	eventually(t, "the message is on its way", func() bool { return len(p.sent()) == 1 })
	code := p.sent()[0]["code"]
	s.verify(phone, wrongCode(code))
	r := redisOf(t, stores)
	keys := redisKeys(t, stores)
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
	close(p.hold)
	s.delivered()
	empty(t, stores[1])
}

func TestSurvivesKill(t *testing.T) {
	s := start(t, nil)
	login := s.want(s.verify(phone, s.code(phone)), 201, "")
	refreshed := s.want(s.refresh(login.text("refresh_token")), 200, "")
	s.signal(syscall.SIGKILL)
	again := launch(t, s.dir)
	again.await()
	me := again.want(again.call("GET", "/me", "", "Authorization: Bearer "+login.text("access_token")), 200, "")
	if me.text("id") != login.text("user", "id") {
		t.Errorf("me after a kill: %s; want the user of %s", me.body, login.body)
	}
	if again.refresh(login.text("refresh_token")).body != refreshed.body {
		t.Error("a refresh whose answer a kill may have swallowed is not answered again")
	}
	again.want(again.refresh(refreshed.text("refresh_token")), 200, "")
	again.want(again.verify(phone, again.code(phone)), 200, "")
}

func TestManyCopies(t *testing.T) {
	stores := append(real(t), "OTP_SECRET="+otpSecret, "JWT_SECRET="+jwtSecret, "OTP_RESEND_AFTER=off")
	a, b := start(t, stores), start(t, stores)
	code := a.code(phone)
	if a.want(a.request(phone), 202, ""); a.shown(phone) != code {
		t.Error("the resend has another code")
	}
	if b.want(b.request(phone), 202, ""); b.shown(phone) != code {
		t.Error("the other copy's resend has another code")
	}
	b.want(b.request(phone), 429, "too_many_requests")
	got := a.atOnce(100, func(i int) answer { return []*service{a, b}[i%2].verify(phone, code) })
	if got[201] != 1 || got[401] != 99 {
		t.Errorf("100 right answers to two copies: %v; want one 201", got)
	}
}
