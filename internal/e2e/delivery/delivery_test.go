package delivery

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

	"dekamond-otp/internal/e2e/servicetest"
)

func TestDelivery(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		p := servicetest.NewWebhook(t)
		s := servicetest.Start(t, stores, append(p.Settings(), "APP_NAME=Dekamond", "OTP_LIMIT_PHONE=1/10m", "OTP_LIMIT_IP=1/10m")...)
		p.Status.Store(500)
		failed := s.Want(s.Request(servicetest.Phone), 202, "")
		if got := s.AwaitStatus(failed, "failed"); got.Field("resend_in") != 0.0 {
			t.Errorf("after a failure: %s; want a resend at once", got.Body)
		}
		if tries := p.Messages(); len(tries) != 3 || tries[0]["id"] != tries[2]["id"] {
			t.Errorf("tries %v; want three with one id", tries)
		}
		p.Status.Store(204)
		sent := s.Want(s.Call("POST", "/otp/request", servicetest.JSON("phone", servicetest.Phone, "locale", "fa-IR")), 202, "") // the send was given back
		if got := s.AwaitStatus(sent, "sent"); got.Field("resend_in").(float64) < 500 {
			t.Errorf("after a success: %s; want the phone's limit", got.Body)
		}
		s.Want(s.Request(servicetest.Phone), 429, "too_many_requests")
		all := p.Messages()
		m := all[len(all)-1]
		if len(all) != 4 || m["id"] == all[0]["id"] || m["to"] != servicetest.Phone || m["channel"] != "sms" || m["locale"] != "fa-IR" || m["code"] != all[0]["code"] {
			t.Errorf("messages %v; want another one, whole, with the same code", all)
		}
		if !strings.HasPrefix(m["text"], m["code"]+"\n") || !strings.Contains(m["text"], "Dekamond") || !strings.Contains(m["text"], "کد") {
			t.Errorf("text %q; want the code and Persian", m["text"])
		}
		s.Want(s.Verify(servicetest.Phone, m["code"]), 201, "")
		for _, id := range []string{sent.Text("request_id"), failed.Text("request_id"), "", "x"} {
			s.Want(s.Call("GET", "/otp/status?request_id="+id, ""), 404, "not_found")
		}
	})
}

// TestRejected holds that a number that the provider rejects is offered to no other, and that the send counts.
func TestRejected(t *testing.T) {
	p := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=webhook,console")...)
	p.Status.Store(422)
	if got := s.AwaitStatus(s.Want(s.Request(servicetest.Phone), 202, ""), "failed"); got.Field("resend_in") == 0.0 {
		t.Errorf("after a rejection: %s; want the send to count", got.Body)
	}
	if len(p.Messages()) != 1 || strings.Contains(s.Stdout.String(), "SMS to") {
		t.Errorf("%d tries, and on standard output %s; want one", len(p.Messages()), s.Stdout.String())
	}
}

func TestFailover(t *testing.T) {
	p := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=webhook,console")...)
	p.Status.Store(503)
	s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 201, "")
	if !strings.Contains(s.Log.String(), `msg="provider failed" provider=webhook`) {
		t.Errorf("the log does not say that the provider failed")
	}
}

// TestHangingProvider holds that a person does not wait for a provider that hangs.
func TestHangingProvider(t *testing.T) {
	p := servicetest.NewWebhook(t)
	p.Hold = make(chan struct{})
	defer close(p.Hold)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=webhook,console")...)
	began := time.Now()
	a := s.Want(s.Request(servicetest.Phone), 202, "")
	if took := time.Since(began); took > time.Second {
		t.Errorf("the request took %v", took)
	}
	s.AwaitStatus(a, "sent")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the message left after %v; want at most 3s", took)
	}
	s.Want(s.Verify(servicetest.Phone, s.ShownCode(servicetest.Phone)), 201, "")
}

func TestRoutesAndChannels(t *testing.T) {
	p := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=console", "SMS_ROUTES=IR=webhook,console;DE=webhook", "SMS_WEBHOOK_CHANNELS=voice,sms")...)
	s.Want(s.Request(servicetest.Phone), 202, "")
	s.Want(s.Request("+14155552671", "Accept-Language: de-AT, en;q=0.5"), 202, "")
	if got := s.Want(s.Call("POST", "/otp/request", servicetest.JSON("phone", "+4915123456789", "channel", "voice")), 202, ""); got.Text("channel") != "voice" {
		t.Errorf("request: %s; want voice", got.Body)
	}
	s.Want(s.Call("POST", "/otp/request", servicetest.JSON("phone", "+14155552672", "channel", "voice")), 422, "invalid_field")
	s.Want(s.Call("POST", "/otp/request", servicetest.JSON("phone", "+4915123456780", "channel", "telegram")), 422, "invalid_field")
	s.Want(s.Call("POST", "/otp/request", servicetest.JSON("phone", "+4915123456780", "channel", "pigeon")), 422, "invalid_field")
	s.AwaitMessages()
	var sent []string
	for _, m := range p.Messages() {
		sent = append(sent, m["to"]+" "+m["channel"]+" "+m["locale"])
	}
	slices.Sort(sent)
	if want := []string{"+4915123456789 voice de", servicetest.Phone + " sms fa"}; !slices.Equal(sent, want) {
		t.Errorf("the webhook was sent %v; want %v", sent, want)
	}
	if out := s.Stdout.String(); strings.Count(out, "SMS to") != 1 || !strings.Contains(out, "SMS to +14155552671") || !strings.Contains(out, "Anmelde") {
		t.Errorf("the console shows %s; want one message in German", out)
	}
}

// TestResends holds that the second resend begins with another provider.
func TestResends(t *testing.T) {
	p := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(p.Settings(), "SMS_PROVIDERS=webhook,console", "OTP_RESEND_AFTER=off")...)
	for i, want := range []int{1, 2, 2} {
		s.Want(s.Request(servicetest.Phone), 202, "")
		s.AwaitMessages()
		if n := len(p.Messages()); n != want {
			t.Errorf("after request %d the webhook has %d messages; want %d", i+1, n, want)
		}
	}
	if code := s.ShownCode(servicetest.Phone); code != p.Messages()[0]["code"] {
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
	s := servicetest.Start(t, nil, "SMS_PROVIDERS=twilio", "TWILIO_ACCOUNT_SID=AC0123456789abcdef0123456789abcdef", "TWILIO_AUTH_TOKEN="+token,
		"TWILIO_FROM=+15005550006", "TWILIO_BASE_URL="+twilio.URL, "PUBLIC_URL=https://otp.example.com/", "OTP_RESEND_AFTER=off")
	report := func(sid, status, key string) servicetest.Answer {
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
		return s.Call("POST", callback.RequestURI(), form.Encode(), "Content-Type: application/x-www-form-urlencoded",
			"X-Twilio-Signature: "+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	first := s.Want(s.Request(servicetest.Phone), 202, "")
	s.AwaitStatus(first, "sent")
	sid := fmt.Sprintf("SM%032d", 1)
	s.Want(report(sid, "sent", token), 200, "")
	s.AwaitStatus(first, "sent")
	s.Want(report(sid, "delivered", "another-token"), 401, "invalid_signature")
	s.AwaitStatus(first, "sent")
	s.Want(report("SM00000000000000000000000000000009", "delivered", token), 200, "") // not known
	s.Want(report(sid, "delivered", token), 200, "")
	s.AwaitStatus(first, "delivered")
	s.Want(report(sid, "delivered", token), 200, "")

	second := s.Want(s.Request(servicetest.Phone), 202, "")
	s.AwaitStatus(second, "sent")
	s.Want(report(fmt.Sprintf("SM%032d", 2), "undelivered", token), 200, "")
	s.AwaitStatus(second, "failed")
	s.AwaitStatus(first, "delivered")

	for _, path := range []string{"/hooks/vonage", "/hooks/console", "/hooks/kavenegar/secret", "/hooks/twilio/secret/more"} {
		s.Want(s.Call("POST", path, "{}"), 404, "not_found")
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
	s := servicetest.Start(t, nil, "SMS_PROVIDERS=kavenegar", "KAVENEGAR_API_KEY=key", "KAVENEGAR_BASE_URL="+kavenegar.URL, "HOOK_SECRET="+secret)
	a := s.Want(s.Request(servicetest.Phone), 202, "")
	s.AwaitStatus(a, "sent")
	const query = "?messageid=8792343&status=10"
	s.Want(s.Call("GET", "/hooks/kavenegar"+query, ""), 401, "invalid_signature")
	s.Want(s.Call("GET", "/hooks/kavenegar/another-secret"+query, ""), 401, "invalid_signature")
	s.Want(s.Call("GET", "/hooks/kavenegar/"+secret+"?messageid=x&status=10", ""), 400, "bad_request")
	s.AwaitStatus(a, "sent")
	s.Want(s.Call("GET", "/hooks/kavenegar/"+secret+query, ""), 200, "")
	s.AwaitStatus(a, "delivered")
	if strings.Contains(s.Log.String(), secret) {
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
	s := servicetest.Start(t, nil, "SMS_TEXTS="+dir, "APP_NAME=Bazaar", "WEBOTP_ORIGIN=https://login.example.com", "ANDROID_APP_HASH=FA+9qCX9VSu")
	s.Want(s.Request(servicetest.Phone), 202, "")
	code := s.ShownCode(servicetest.Phone)
	if want := "SMS to " + servicetest.Phone + ": " + code + " رمز Bazaar FA+9qCX9VSu @login.example.com #" + code + "\n"; !strings.Contains(s.Stdout.String(), want) {
		t.Errorf("the console shows %q; want %q", s.Stdout.String(), want)
	}
	if strings.Contains(s.Log.String(), "costs more") {
		t.Errorf("the log says that a text costs more: %s", s.Log.String())
	}
	long := servicetest.Start(t, nil, "WEBOTP_ORIGIN=https://"+strings.Repeat("a-long-name.", 5)+"example.com")
	if !regexp.MustCompile(`level=WARN msg="text costs more than one message" locale=fa purpose=login segments=2`).MatchString(long.Log.String()) {
		t.Errorf("the log does not say that a text costs more: %s", long.Log.String())
	}
	write("fa.tmpl", `{{define "login"}}{{.Cod}}{{end}}`)
	if status, _, log := servicetest.Run(t, t.TempDir(), []string{"SMS_TEXTS=" + dir}); status != 2 || !strings.Contains(log, "SMS_TEXTS: ") || !strings.Contains(log, "fa.tmpl") {
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
	return []string{"SMS_PROVIDERS=webhook", "SMS_WEBHOOK_URL=" + p.URL, "OTP_LIMIT_IP=off", "OTP_SECRET=" + servicetest.OTPSecret}
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
	response, err := servicetest.Client.Post(base+"/otp/request", "application/json", strings.NewReader(servicetest.JSON("phone", phone)))
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
	stores := servicetest.RealStores(t)
	address := servicetest.FreeAddress(t)
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
	s := servicetest.Launch(t, dir, env...)
	for deadline := time.Now().Add(2 * time.Minute); ; kills++ {
		select {
		case <-done:
		case <-time.After(time.Second):
			if time.Now().After(deadline) {
				t.Fatalf("only %d of %d requests were accepted", len(accepted), requests)
			}
			s.End(syscall.SIGKILL)
			s = servicetest.Launch(t, dir, env...)
			continue
		}
		break
	}
	s.End(syscall.SIGKILL) // the last ones too
	s = servicetest.Launch(t, dir, env...)
	s.Await()
	began := time.Now()
	servicetest.Eventually(t, "every accepted message has arrived", func() bool { return len(p.missing(accepted)) == 0 })
	took := time.Since(began)
	time.Sleep(time.Second)
	t.Logf("%d accepted, %d kills, %d sent twice, the last one %v after the last start", len(accepted), kills+1, p.check(t, accepted), took)
	if took > 12*time.Second {
		t.Errorf("the last message was taken over after %v; want 10s", took)
	}
	servicetest.AwaitEmptyOutbox(t, stores)
}

// TestTakenOver holds that a message in the hands of a copy that is killed goes out by another, and by the same after a
// restart, with the same identifier, on a single Redis and on a cluster.
func TestTakenOver(t *testing.T) {
	for name, redis := range map[string]func() []string{
		"single": func() []string { return []string{"REDIS_URL=" + servicetest.RedisURL(t)} },
		"cluster": func() []string {
			return []string{"REDIS_URL=" + os.Getenv("TEST_REDIS_CLUSTER_URL"), "REDIS_MODE=cluster"}
		},
	} {
		for _, by := range []string{"another copy", "a restart"} {
			t.Run(name+" "+by, func(t *testing.T) {
				if name == "single" { // there is one cluster, whose messages any copy would take over
					t.Parallel()
				}
				p := servicetest.NewWebhook(t)
				p.Hold = make(chan struct{})
				stores := append(redis(), "OTP_SECRET="+servicetest.OTPSecret, "OTP_LIMIT_IP=off")
				s := servicetest.Start(t, stores, p.Settings()...)
				var other *servicetest.Service
				if by == "another copy" {
					other = servicetest.Start(t, stores, p.Settings()...)
				}
				to := fmt.Sprintf("+98912%07d", 3_000_000+len(name)*10+len(by))
				accepted := s.Want(s.Request(to), 202, "")
				servicetest.Eventually(t, "the message is on its way", func() bool { return len(p.Messages()) == 1 })
				s.End(syscall.SIGKILL)
				close(p.Hold)
				if other == nil {
					other = servicetest.Launch(t, s.Dir, s.Env...)
					other.Await()
				}
				began := time.Now()
				other.AwaitStatus(accepted, "sent")
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it was taken over after %v; want at most 10s", took)
				}
				sent := p.Messages()
				if len(sent) != 2 || sent[0]["id"] != sent[1]["id"] || sent[0]["code"] != sent[1]["code"] {
					t.Errorf("messages %v; want the same one twice", sent)
				}
				other.Want(other.Verify(to, sent[1]["code"]), 201, "")
			})
		}
	}
}

// TestStoppedWhileSending holds that a copy that stands still for a while loses nothing.
func TestStoppedWhileSending(t *testing.T) {
	t.Parallel()
	p := newPost(t, 200*time.Millisecond)
	stores := servicetest.RealStores(t)
	first, second := servicetest.Start(t, stores, p.env()...), servicetest.Start(t, stores, p.env()...)
	var accepted []string
	var mu sync.Mutex
	var asking sync.WaitGroup
	for i := range 8 {
		asking.Go(func() {
			for j := range 50 {
				phone := fmt.Sprintf("+98912%07d", 2_000_000+1000*i+j)
				if ask([]string{first.URL, second.URL}[j%2], phone) {
					mu.Lock()
					accepted = append(accepted, phone)
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	first.Signal(syscall.SIGSTOP)
	time.Sleep(15 * time.Second)
	mu.Lock()
	stuck := p.missing(accepted)
	mu.Unlock()
	first.Signal(syscall.SIGCONT)
	if len(stuck) > 0 {
		t.Errorf("%d messages were not taken over within 15s: %v", len(stuck), stuck)
	}
	asking.Wait()
	servicetest.Eventually(t, "every accepted message has arrived", func() bool { return len(p.missing(accepted)) == 0 })
	time.Sleep(time.Second)
	t.Logf("%d accepted, %d sent twice", len(accepted), p.check(t, accepted))
	if len(accepted) < 300 {
		t.Errorf("only %d requests were accepted", len(accepted))
	}
	servicetest.AwaitEmptyOutbox(t, stores)
}
