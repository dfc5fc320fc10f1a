package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// status asks until the message has come to the state.
func (s *service) status(a answer, want string) answer {
	s.t.Helper()
	var got answer
	eventually(s.t, "the message is "+want, func() bool {
		got = s.want(s.call("GET", "/otp/status?request_id="+a.text("request_id"), ""), 200, "")
		return got.text("status") == want
	})
	return got
}

func TestDelivery(t *testing.T) {
	modes(t, func(t *testing.T, stores []string) {
		p := newProvider(t)
		s := start(t, stores, append(p.env(), "APP_NAME=Dekamond", "OTP_LIMIT_PHONE=1/10m", "OTP_LIMIT_IP=1/10m")...)
		p.status.Store(500)
		failed := s.want(s.request(phone), 202, "")
		if got := s.status(failed, "failed"); got.field("resend_in") != 0.0 {
			t.Errorf("after a failure: %s; want a resend at once", got.body)
		}
		if tries := p.sent(); len(tries) != 3 || tries[0]["id"] != tries[2]["id"] {
			t.Errorf("tries %v; want three with one id", tries)
		}
		p.status.Store(204)
		sent := s.want(s.call("POST", "/otp/request", object("phone", phone, "locale", "fa-IR")), 202, "") // the send was given back
		if got := s.status(sent, "sent"); got.field("resend_in").(float64) < 500 {
			t.Errorf("after a success: %s; want the phone's limit", got.body)
		}
		s.want(s.request(phone), 429, "too_many_requests")
		all := p.sent()
		m := all[len(all)-1]
		if len(all) != 4 || m["id"] == all[0]["id"] || m["to"] != phone || m["channel"] != "sms" || m["locale"] != "fa-IR" || m["code"] != all[0]["code"] {
			t.Errorf("messages %v; want another one, whole, with the same code", all)
		}
		if !strings.HasPrefix(m["text"], m["code"]+"\n") || !strings.Contains(m["text"], "Dekamond") || !strings.Contains(m["text"], "کد") {
			t.Errorf("text %q; want the code and Persian", m["text"])
		}
		s.want(s.verify(phone, m["code"]), 201, "")
		for _, id := range []string{sent.text("request_id"), failed.text("request_id"), "", "x"} {
			s.want(s.call("GET", "/otp/status?request_id="+id, ""), 404, "not_found")
		}
	})
}

// TestRejected holds that a number that the provider rejects is offered to no other, and that the send counts.
func TestRejected(t *testing.T) {
	p := newProvider(t)
	s := start(t, nil, append(p.env(), "SMS_PROVIDERS=webhook,console")...)
	p.status.Store(422)
	if got := s.status(s.want(s.request(phone), 202, ""), "failed"); got.field("resend_in") == 0.0 {
		t.Errorf("after a rejection: %s; want the send to count", got.body)
	}
	if len(p.sent()) != 1 || strings.Contains(s.out.String(), "SMS to") {
		t.Errorf("%d tries, and on standard output %s; want one", len(p.sent()), s.out.String())
	}
}

func TestFailover(t *testing.T) {
	p := newProvider(t)
	s := start(t, nil, append(p.env(), "SMS_PROVIDERS=webhook,console")...)
	p.status.Store(503)
	s.want(s.verify(phone, s.code(phone)), 201, "")
	if !strings.Contains(s.log.String(), `msg="provider failed" provider=webhook`) {
		t.Errorf("the log does not say that the provider failed")
	}
}

// TestHangingProvider holds that a person does not wait for a provider that hangs.
func TestHangingProvider(t *testing.T) {
	p := newProvider(t)
	p.hold = make(chan struct{})
	defer close(p.hold)
	s := start(t, nil, append(p.env(), "SMS_PROVIDERS=webhook,console")...)
	began := time.Now()
	a := s.want(s.request(phone), 202, "")
	if took := time.Since(began); took > time.Second {
		t.Errorf("the request took %v", took)
	}
	s.status(a, "sent")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the message left after %v; want at most 3s", took)
	}
	s.want(s.verify(phone, s.shown(phone)), 201, "")
}

func TestRoutesAndChannels(t *testing.T) {
	p := newProvider(t)
	s := start(t, nil, append(p.env(), "SMS_PROVIDERS=console", "SMS_ROUTES=IR=webhook,console;DE=webhook", "SMS_WEBHOOK_CHANNELS=voice,sms")...)
	s.want(s.request(phone), 202, "")
	s.want(s.request("+14155552671", "Accept-Language: de-AT, en;q=0.5"), 202, "")
	if got := s.want(s.call("POST", "/otp/request", object("phone", "+4915123456789", "channel", "voice")), 202, ""); got.text("channel") != "voice" {
		t.Errorf("request: %s; want voice", got.body)
	}
	s.want(s.call("POST", "/otp/request", object("phone", "+14155552672", "channel", "voice")), 422, "invalid_field")
	s.want(s.call("POST", "/otp/request", object("phone", "+4915123456780", "channel", "telegram")), 422, "invalid_field")
	s.want(s.call("POST", "/otp/request", object("phone", "+4915123456780", "channel", "pigeon")), 422, "invalid_field")
	s.delivered()
	var sent []string
	for _, m := range p.sent() {
		sent = append(sent, m["to"]+" "+m["channel"]+" "+m["locale"])
	}
	slices.Sort(sent)
	if want := []string{"+4915123456789 voice de", phone + " sms fa"}; !slices.Equal(sent, want) {
		t.Errorf("the webhook was sent %v; want %v", sent, want)
	}
	if out := s.out.String(); strings.Count(out, "SMS to") != 1 || !strings.Contains(out, "SMS to +14155552671") || !strings.Contains(out, "Anmelde") {
		t.Errorf("the console shows %s; want one message in German", out)
	}
}

// TestResends holds that the second resend begins with another provider.
func TestResends(t *testing.T) {
	p := newProvider(t)
	s := start(t, nil, append(p.env(), "SMS_PROVIDERS=webhook,console", "OTP_RESEND_AFTER=off")...)
	for i, want := range []int{1, 2, 2} {
		s.want(s.request(phone), 202, "")
		s.delivered()
		if n := len(p.sent()); n != want {
			t.Errorf("after request %d the webhook has %d messages; want %d", i+1, n, want)
		}
	}
	if code := s.shown(phone); code != p.sent()[0]["code"] {
		t.Errorf("the other provider's code is %s; want the same", code)
	}
}

// TestDeliveryReports runs against a server that speaks as much of Twilio's Messages API as it needs.
func TestDeliveryReports(t *testing.T) {
	const token = "an-auth-token"
	var mu sync.Mutex
	var messages []url.Values
	twilio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		messages = append(messages, r.PostForm)
		sid := fmt.Sprintf("SM%032d", len(messages))
		mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"sid":%q,"status":"queued","error_code":null}`, sid)
	}))
	defer twilio.Close()
	s := start(t, nil, "SMS_PROVIDERS=twilio", "TWILIO_ACCOUNT_SID=AC0123456789abcdef0123456789abcdef", "TWILIO_AUTH_TOKEN="+token,
		"TWILIO_FROM=+15005550006", "TWILIO_BASE_URL="+twilio.URL, "PUBLIC_URL=https://otp.example.com/", "OTP_RESEND_AFTER=off")
	report := func(sid, status, key string) answer {
		t.Helper()
		mu.Lock()
		callback, err := url.Parse(messages[0].Get("StatusCallback"))
		mu.Unlock()
		if err != nil || callback.Host != "otp.example.com" {
			t.Fatalf("StatusCallback %v, %v", callback, err)
		}
		form := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "AccountSid": {"AC0123456789abcdef0123456789abcdef"}}
		signed := callback.String()
		for _, name := range slices.Sorted(maps.Keys(form)) {
			signed += name + form.Get(name)
		}
		mac := hmac.New(sha1.New, []byte(key))
		_, _ = io.WriteString(mac, signed)
		return s.call("POST", callback.RequestURI(), form.Encode(), "Content-Type: application/x-www-form-urlencoded",
			"X-Twilio-Signature: "+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	first := s.want(s.request(phone), 202, "")
	s.status(first, "sent")
	sid := fmt.Sprintf("SM%032d", 1)
	s.want(report(sid, "sent", token), 200, "")
	s.status(first, "sent")
	s.want(report(sid, "delivered", "another-token"), 401, "invalid_signature")
	s.status(first, "sent")
	s.want(report("SM00000000000000000000000000000009", "delivered", token), 200, "") // not known
	s.want(report(sid, "delivered", token), 200, "")
	s.status(first, "delivered")
	s.want(report(sid, "delivered", token), 200, "")

	second := s.want(s.request(phone), 202, "")
	s.status(second, "sent")
	s.want(report(fmt.Sprintf("SM%032d", 2), "undelivered", token), 200, "")
	s.status(second, "failed")
	s.status(first, "delivered")

	for _, path := range []string{"/hooks/vonage", "/hooks/console", "/hooks/kavenegar/secret", "/hooks/twilio/secret/more"} {
		s.want(s.call("POST", path, "{}"), 404, "not_found")
	}
	mu.Lock()
	defer mu.Unlock()
	if code := regexp.MustCompile(`\d{6}`).FindString(messages[0].Get("Body")); len(messages) != 2 || !strings.Contains(messages[1].Get("Body"), code) {
		t.Errorf("messages %v; want two with one code", messages)
	}
}

// TestReportsBySecret runs against a server that speaks as much of Kavenegar's protocol as it needs.
func TestReportsBySecret(t *testing.T) {
	kavenegar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"return":{"status":200,"message":"ok"},"entries":[{"messageid":8792343,"status":5}]}`)
	}))
	defer kavenegar.Close()
	const secret = "a-secret-part-of-the-path"
	s := start(t, nil, "SMS_PROVIDERS=kavenegar", "KAVENEGAR_API_KEY=key", "KAVENEGAR_BASE_URL="+kavenegar.URL, "HOOK_SECRET="+secret)
	a := s.want(s.request(phone), 202, "")
	s.status(a, "sent")
	const query = "?messageid=8792343&status=10"
	s.want(s.call("GET", "/hooks/kavenegar"+query, ""), 401, "invalid_signature")
	s.want(s.call("GET", "/hooks/kavenegar/another-secret"+query, ""), 401, "invalid_signature")
	s.want(s.call("GET", "/hooks/kavenegar/"+secret+"?messageid=x&status=10", ""), 400, "bad_request")
	s.status(a, "sent")
	s.want(s.call("GET", "/hooks/kavenegar/"+secret+query, ""), 200, "")
	s.status(a, "delivered")
	if strings.Contains(s.log.String(), secret) {
		t.Error("the log holds the secret of the path")
	}
}

func TestOwnTexts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fa.tmpl", `{{define "login"}}{{.Code}} رمز {{.App}}{{end}}`)
	s := start(t, nil, "SMS_TEXTS="+dir, "APP_NAME=Bazaar", "WEBOTP_ORIGIN=https://login.example.com", "ANDROID_APP_HASH=FA+9qCX9VSu")
	s.want(s.request(phone), 202, "")
	code := s.shown(phone)
	if want := "SMS to " + phone + ": " + code + " رمز Bazaar FA+9qCX9VSu @login.example.com #" + code + "\n"; !strings.Contains(s.out.String(), want) {
		t.Errorf("the console shows %q; want %q", s.out.String(), want)
	}
	if strings.Contains(s.log.String(), "costs more") {
		t.Errorf("the log says that a text costs more: %s", s.log.String())
	}
	long := start(t, nil, "WEBOTP_ORIGIN=https://"+strings.Repeat("a-long-name.", 5)+"example.com")
	if !regexp.MustCompile(`level=WARN msg="text costs more than one message" locale=fa purpose=login segments=2`).MatchString(long.log.String()) {
		t.Errorf("the log does not say that a text costs more: %s", long.log.String())
	}
	write("fa.tmpl", `{{define "login"}}{{.Cod}}{{end}}`)
	if status, _, log := run(t, t.TempDir(), []string{"SMS_TEXTS=" + dir}); status != 2 || !strings.Contains(log, "SMS_TEXTS: ") || !strings.Contains(log, "fa.tmpl") {
		t.Errorf("with a faulty template: %d, %s; want 2, and which", status, log)
	}
}

// A post is a webhook for thousands of messages. It keeps the identifiers of each number's.
type post struct {
	*httptest.Server
	mu  sync.Mutex
	ids map[string][]string
}

func newPost(t *testing.T, delay time.Duration) *post {
	t.Helper()
	p := &post{ids: make(map[string][]string)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ To, ID string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.ids[m.To] = append(p.ids[m.To], m.ID)
		p.mu.Unlock()
		time.Sleep(delay)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *post) env() []string {
	return []string{"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + p.URL, "OTP_LIMIT_IP=off", "OTP_SECRET=" + otpSecret}
}

// missing gives the phones that no message has reached.
func (p *post) missing(phones []string) (missing []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, phone := range phones {
		if len(p.ids[phone]) == 0 {
			missing = append(missing, phone)
		}
	}
	return missing
}

// check holds that each phone has one message, or the same one twice, and gives the number of those.
func (p *post) check(t *testing.T, phones []string) (twice int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, phone := range phones {
		ids := p.ids[phone]
		if distinct := slices.Compact(slices.Sorted(slices.Values(ids))); len(distinct) != 1 || len(ids) > 2 {
			t.Errorf("%s has the messages %v; want one, or the same one twice", phone, ids)
		}
		twice += len(ids) - 1
	}
	return twice
}

// ask makes one request for a code without the service's own helper, which takes a broken connection for a fault.
func ask(base, phone string) (accepted bool) {
	response, err := client.Post(base+"/otp/request", "application/json", strings.NewReader(object("phone", phone)))
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == http.StatusAccepted
}

// TestKilledWhileSending holds that what a 202 promises outlives kill -9.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	const requests = 2000
	p := newPost(t, 100*time.Millisecond)
	stores := real(t)
	address := freeAddress(t)
	env := slices.Concat(stores, p.env(), []string{"HTTP_ADDR=" + address})
	var accepted []string
	var mu sync.Mutex
	var next atomic.Int64
	var asking sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		asking.Go(func() {
			for ; ; time.Sleep(5 * time.Millisecond) { // so that there are some kills
				phone := fmt.Sprintf("+98912%07d", 1_000_000+next.Add(1))
				mu.Lock()
				enough := len(accepted) >= requests
				mu.Unlock()
				if enough {
					return
				}
				if ask("http://"+address, phone) {
					mu.Lock()
					accepted = append(accepted, phone)
					mu.Unlock()
				} else {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	go func() { asking.Wait(); close(done) }()
	kills := 0
	dir := t.TempDir()
	s := launch(t, dir, env...)
	for deadline := time.Now().Add(2 * time.Minute); ; kills++ {
		select {
		case <-done:
		case <-time.After(time.Second):
			if time.Now().After(deadline) {
				t.Fatalf("only %d of %d requests were accepted", len(accepted), requests)
			}
			s.signal(syscall.SIGKILL)
			s = launch(t, dir, env...)
			continue
		}
		break
	}
	s.signal(syscall.SIGKILL) // the last ones too
	s = launch(t, dir, env...)
	s.await()
	began := time.Now()
	eventually(t, "every accepted message has arrived", func() bool { return len(p.missing(accepted)) == 0 })
	took := time.Since(began)
	time.Sleep(time.Second)
	t.Logf("%d accepted, %d kills, %d sent twice, the last one %v after the last start", len(accepted), kills+1, p.check(t, accepted), took)
	if took > 12*time.Second {
		t.Errorf("the last message was taken over after %v; want 10s", took)
	}
	empty(t, stores[1])
}

// TestTakenOver holds that a message in the hands of a copy that is killed goes out by another, and by the same after a
// restart, with the same identifier, on a single Redis and on a cluster.
func TestTakenOver(t *testing.T) {
	for name, redis := range map[string]func() []string{
		"single": func() []string { return []string{"REDIS_URL=" + redisURL(t)} },
		"cluster": func() []string {
			return []string{"REDIS_URL=" + os.Getenv("TEST_REDIS_CLUSTER_URL"), "REDIS_MODE=cluster"}
		},
	} {
		for _, by := range []string{"another copy", "a restart"} {
			t.Run(name+" "+by, func(t *testing.T) {
				if name == "single" { // there is one cluster, whose messages any copy would take over
					t.Parallel()
				}
				p := newProvider(t)
				p.hold = make(chan struct{})
				stores := append(redis(), "OTP_SECRET="+otpSecret, "OTP_LIMIT_IP=off")
				s := start(t, stores, p.env()...)
				var other *service
				if by == "another copy" {
					other = start(t, stores, p.env()...)
				}
				to := fmt.Sprintf("+98912%07d", 3_000_000+len(name)*10+len(by))
				accepted := s.want(s.request(to), 202, "")
				eventually(t, "the message is on its way", func() bool { return len(p.sent()) == 1 })
				s.signal(syscall.SIGKILL)
				close(p.hold)
				if other == nil {
					other = launch(t, s.dir, s.env...)
					other.await()
				}
				began := time.Now()
				other.status(accepted, "sent")
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it was taken over after %v; want at most 10s", took)
				}
				sent := p.sent()
				if len(sent) != 2 || sent[0]["id"] != sent[1]["id"] || sent[0]["code"] != sent[1]["code"] {
					t.Errorf("messages %v; want the same one twice", sent)
				}
				other.want(other.verify(to, sent[1]["code"]), 201, "")
			})
		}
	}
}

// TestStoppedWhileSending holds that a copy that stands still for a while loses nothing.
func TestStoppedWhileSending(t *testing.T) {
	t.Parallel()
	p := newPost(t, 200*time.Millisecond)
	stores := real(t)
	first, second := start(t, stores, p.env()...), start(t, stores, p.env()...)
	var accepted []string
	var mu sync.Mutex
	var asking sync.WaitGroup
	for i := range 8 {
		asking.Go(func() {
			for j := range 50 {
				phone := fmt.Sprintf("+98912%07d", 2_000_000+1000*i+j)
				if ask([]string{first.url, second.url}[j%2], phone) {
					mu.Lock()
					accepted = append(accepted, phone)
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(15 * time.Second)
	mu.Lock()
	stuck := p.missing(accepted)
	mu.Unlock()
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if len(stuck) > 0 {
		t.Errorf("%d messages were not taken over within 15s: %v", len(stuck), stuck)
	}
	asking.Wait()
	eventually(t, "every accepted message has arrived", func() bool { return len(p.missing(accepted)) == 0 })
	time.Sleep(time.Second)
	t.Logf("%d accepted, %d sent twice", len(accepted), p.check(t, accepted))
	if len(accepted) < 300 {
		t.Errorf("only %d requests were accepted", len(accepted))
	}
	empty(t, stores[1])
}

// empty holds that no outbox keeps anything.
func empty(t *testing.T, setting string) {
	t.Helper()
	o, err := redis.ParseURL(strings.TrimPrefix(setting, "REDIS_URL="))
	if err != nil {
		t.Fatal(err)
	}
	r := redis.NewClient(o)
	defer r.Close()
	eventually(t, "every outbox is empty", func() bool {
		left := int64(0)
		for _, key := range r.Keys(t.Context(), "otp:*:outbox").Val() {
			left += r.XLen(t.Context(), key).Val()
		}
		return left == 0
	})
}

// freeAddress gives one that a service can be started on again and again.
func freeAddress(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.Listener.Addr().String()
}
