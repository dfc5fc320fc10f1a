package delivery

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
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
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

func TestDelivery(t *testing.T) {
	servicetest.OnBothStores(t, func(t *testing.T, stores []string) {
		w := servicetest.NewWebhook(t)
		s := servicetest.Start(t, stores,
			append(w.Settings(), "APP_NAME=Dekamond", "OTP_LIMIT_PHONE=1/10m", "OTP_LIMIT_IP=1/10m")...)
		w.Status.Store(500)
		failed := s.Want(s.Request(servicetest.Phone), 202, "")
		if got := s.AwaitStatus(failed, "failed"); got.Field("resend_in") != 0.0 {
			t.Errorf("after a failure: %s; want resend_in 0", got.Body)
		}
		calls := w.Messages()
		if len(calls) < 2 || calls[0]["id"] != calls[len(calls)-1]["id"] {
			t.Errorf("calls %v; want some with one id", calls)
		}
		w.Status.Store(204)
		// The limit of one message allows it, because the failed send was refunded.
		request := servicetest.JSON("phone", servicetest.Phone, "locale", "fa-IR")
		sent := s.Want(s.Call("POST", "/otp/request", request), 202, "")
		if got := s.AwaitStatus(sent, "sent"); got.Field("resend_in").(float64) < 500 {
			t.Errorf("after a success: %s; want resend_in by the phone's limit", got.Body)
		}
		s.Want(s.Request(servicetest.Phone), 429, "too_many_requests")
		all := w.Messages()
		m := all[len(all)-1]
		if len(all) <= len(calls) || m["id"] == all[0]["id"] {
			t.Errorf("messages %v; want one more with another id", all)
		}
		want := map[string]string{"to": servicetest.Phone, "channel": "sms", "locale": "fa-IR", "code": all[0]["code"]}
		for name, value := range want {
			if m[name] != value {
				t.Errorf("the message has %s %q; want %q", name, m[name], value)
			}
		}
		for _, part := range []string{m["code"] + "\n", "Dekamond", "کد"} {
			if !strings.Contains(m["text"], part) {
				t.Errorf("text %q; want %q in it", m["text"], part)
			}
		}
		s.Want(s.Verify(servicetest.Phone, m["code"]), 201, "")
		for _, id := range []string{sent.Text("request_id"), failed.Text("request_id"), "", "x"} {
			s.Want(s.Call("GET", "/otp/status?request_id="+id, ""), 404, "not_found")
		}
	})
}

// TestRejected checks that a message that its provider rejects for good is offered to no other provider, and that its
// send counts.
func TestRejected(t *testing.T) {
	w := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=webhook,console")...)
	w.Status.Store(422)
	if got := s.AwaitStatus(s.Want(s.Request(servicetest.Phone), 202, ""), "failed"); got.Field("resend_in") == 0.0 {
		t.Errorf("after a rejection: %s; want the send to count", got.Body)
	}
	if len(w.Messages()) != 1 || strings.Contains(s.Stdout.String(), "SMS to") {
		t.Errorf("%d calls, and on standard output %s; want one call", len(w.Messages()), s.Stdout.String())
	}
}

func TestFailover(t *testing.T) {
	w := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=webhook,console")...)
	w.Status.Store(503)
	s.Want(s.Verify(servicetest.Phone, s.Code(servicetest.Phone)), 201, "")
	if !strings.Contains(s.Log.String(), `msg="provider failed" provider=webhook`) {
		t.Errorf("the log does not report that the provider failed")
	}
}

// TestHangingProvider checks that a request is answered while its provider hangs, and that the next provider delivers
// the message.
func TestHangingProvider(t *testing.T) {
	w := servicetest.NewWebhook(t)
	w.Hold = make(chan struct{})
	defer close(w.Hold)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=webhook,console")...)
	s.AwaitStatus(s.Want(s.Request(servicetest.Phone), 202, ""), "sent")
	answered := strings.Index(s.Log.String(), "route=/otp/request status=202")
	failed := strings.Index(s.Log.String(), `msg="provider failed" provider=webhook`)
	if answered < 0 || failed < answered {
		t.Errorf("the request was not answered before its provider failed:\n%s", s.Log.String())
	}
	s.Want(s.Verify(servicetest.Phone, s.ShownCode(servicetest.Phone)), 201, "")
}

func TestRoutesAndChannels(t *testing.T) {
	w := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=console",
		"SMS_ROUTES=IR=webhook,console;DE=webhook", "SMS_WEBHOOK_CHANNELS=voice,sms")...)
	by := func(phone, channel string) servicetest.Answer {
		t.Helper()
		return s.Call("POST", "/otp/request", servicetest.JSON("phone", phone, "channel", channel))
	}
	s.Want(s.Request(servicetest.Phone), 202, "")
	got := s.Want(s.Request("+14155552671", "Accept-Language: de-AT, en;q=0.5"), 202, "")
	if !strings.Contains(got.Body, `"channel":"sms","channels":["sms"]`) {
		t.Errorf("request: %s; want sms, which alone is available", got.Body)
	}
	got = s.Want(by("+4915123456789", "voice"), 202, "")
	if !strings.Contains(got.Body, `"channel":"voice","channels":["voice","sms"]`) {
		t.Errorf("request: %s; want voice, and sms as the other channel that is available", got.Body)
	}
	s.Want(by("+14155552672", "voice"), 422, "invalid_field")
	s.Want(by("+4915123456780", "telegram"), 422, "invalid_field")
	s.Want(by("+4915123456780", "pigeon"), 422, "invalid_field")
	s.AwaitMessages()
	var sent []string
	for _, m := range w.Messages() {
		sent = append(sent, m["to"]+" "+m["channel"]+" "+m["locale"])
	}
	slices.Sort(sent)
	if want := []string{"+4915123456789 voice de", servicetest.Phone + " sms fa"}; !slices.Equal(sent, want) {
		t.Errorf("the webhook was sent %v; want %v", sent, want)
	}
	out := s.Stdout.String()
	german := strings.Contains(out, "SMS to +14155552671") && strings.Contains(out, "Anmelde")
	if strings.Count(out, "SMS to") != 1 || !german {
		t.Errorf("the console shows %s; want one message in German", out)
	}
}

// TestResends checks that the second resend is offered to another provider first.
func TestResends(t *testing.T) {
	w := servicetest.NewWebhook(t)
	s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=webhook,console", "OTP_RESEND_AFTER=off")...)
	for i, want := range []int{1, 2, 2} {
		s.Want(s.Request(servicetest.Phone), 202, "")
		s.AwaitMessages()
		if n := len(w.Messages()); n != want {
			t.Errorf("after request %d the webhook had %d messages; want %d", i+1, n, want)
		}
	}
	if code := s.ShownCode(servicetest.Phone); code != w.Messages()[0]["code"] {
		t.Errorf("the other provider's code is %s; want the same", code)
	}
}

// A twilio is a server with as much of Twilio's Messages API as the service uses. It keeps the messages.
type twilio struct {
	*httptest.Server
	mu       sync.Mutex // guards messages
	messages []url.Values
}

const (
	twilioAccount = "AC0123456789abcdef0123456789abcdef"
	twilioToken   = "an-auth-token"
)

func newTwilio(t *testing.T) *twilio {
	t.Helper()
	w := new(twilio)
	w.Server = httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.mu.Lock()
		w.messages = append(w.messages, r.PostForm)
		sid := messageSID(len(w.messages))
		w.mu.Unlock()
		answer.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(answer, `{"sid":%q,"status":"queued","error_code":null}`, sid)
	}))
	t.Cleanup(w.Close)
	return w
}

// messageSID returns the identifier of the nth message, counted from 1.
func messageSID(n int) string { return fmt.Sprintf("SM%032d", n) }

// message returns a field of the nth message, counted from 0.
func (w *twilio) message(n int, field string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages[n].Get(field)
}

// report calls the service as Twilio does when the status of a message changes, signed with a token.
func (w *twilio) report(t *testing.T, s *servicetest.Service, sid, status, token string) servicetest.Answer {
	t.Helper()
	callback, err := url.Parse(w.message(0, "StatusCallback"))
	if err != nil || callback.Host != "otp.example.com" {
		t.Fatalf("StatusCallback %v, %v", callback, err)
	}
	form := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "AccountSid": {twilioAccount}}
	signed := callback.String()
	for _, name := range slices.Sorted(maps.Keys(form)) {
		signed += name + form.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, signed)
	return s.Call("POST", callback.RequestURI(), form.Encode(),
		"Content-Type: application/x-www-form-urlencoded",
		"X-Twilio-Signature: "+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestDeliveryReports(t *testing.T) {
	w := newTwilio(t)
	s := servicetest.Start(t, nil,
		"SMS_PROVIDERS=twilio",
		"TWILIO_ACCOUNT_SID="+twilioAccount,
		"TWILIO_AUTH_TOKEN="+twilioToken,
		"TWILIO_FROM=+15005550006",
		"TWILIO_BASE_URL="+w.URL,
		"PUBLIC_URL=https://otp.example.com/",
		"OTP_RESEND_AFTER=off",
	)
	report := func(n int, status, token string) servicetest.Answer {
		t.Helper()
		return w.report(t, s, messageSID(n), status, token)
	}
	first := s.Want(s.Request(servicetest.Phone), 202, "")
	s.AwaitStatus(first, "sent")
	s.Want(report(1, "sent", twilioToken), 200, "")
	s.AwaitStatus(first, "sent")
	s.Want(report(1, "delivered", "another-token"), 401, "invalid_signature")
	s.AwaitStatus(first, "sent")
	s.Want(report(9, "delivered", twilioToken), 200, "") // although no such message was sent
	s.Want(report(1, "delivered", twilioToken), 200, "")
	s.AwaitStatus(first, "delivered")
	s.Want(report(1, "delivered", twilioToken), 200, "")

	second := s.Want(s.Request(servicetest.Phone), 202, "")
	s.AwaitStatus(second, "sent")
	s.Want(report(2, "undelivered", twilioToken), 200, "")
	s.AwaitStatus(second, "failed")
	s.AwaitStatus(first, "delivered")

	for _, path := range []string{
		"/hooks/vonage", "/hooks/console", "/hooks/kavenegar/secret", "/hooks/twilio/secret/more",
	} {
		s.Want(s.Call("POST", path, "{}"), 404, "not_found")
	}
	code := regexp.MustCompile(`\d{6}`).FindString(w.message(0, "Body"))
	if again := w.message(1, "Body"); len(w.messages) != 2 || !strings.Contains(again, code) {
		t.Errorf("messages %v; want two with one code", w.messages)
	}
}

// TestReportsBySecret checks the reports of a provider that does not sign them: a secret is a part of their path.
func TestReportsBySecret(t *testing.T) {
	kavenegar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const taken = `{"return":{"status":200,"message":"ok"},"entries":[{"messageid":8792343,"status":5}]}`
		_, _ = io.WriteString(w, taken)
	}))
	defer kavenegar.Close()
	const secret = "a-secret-part-of-the-path"
	s := servicetest.Start(t, nil,
		"SMS_PROVIDERS=kavenegar", "KAVENEGAR_API_KEY=key", "KAVENEGAR_BASE_URL="+kavenegar.URL, "HOOK_SECRET="+secret)
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
	s := servicetest.Start(t, nil, "SMS_TEXTS="+dir, "APP_NAME=Bazaar",
		"WEBOTP_ORIGIN=https://login.example.com", "ANDROID_APP_HASH=FA+9qCX9VSu")
	s.Want(s.Request(servicetest.Phone), 202, "")
	code := s.ShownCode(servicetest.Phone)
	want := "SMS to " + servicetest.Phone + ": " + code + " رمز Bazaar FA+9qCX9VSu @login.example.com #" + code + "\n"
	if !strings.Contains(s.Stdout.String(), want) {
		t.Errorf("the console shows %q; want %q", s.Stdout.String(), want)
	}
	const costs = `level=WARN msg="message costs more than one segment" `
	if strings.Contains(s.Log.String(), costs) {
		t.Errorf("the log warns that a short text costs more: %s", s.Log.String())
	}
	long := servicetest.Start(t, nil, "WEBOTP_ORIGIN=https://"+strings.Repeat("a-long-name.", 5)+"example.com")
	if !strings.Contains(long.Log.String(), costs+"locale=fa purpose=login segments=2") {
		t.Errorf("the log does not warn that a long text costs more: %s", long.Log.String())
	}
	write("fa.tmpl", `{{define "login"}}{{.Cod}}{{end}}`)
	status, _, log := servicetest.Run(t, t.TempDir(), []string{"SMS_TEXTS=" + dir})
	if status != 2 || !strings.Contains(log, "SMS_TEXTS: ") || !strings.Contains(log, "fa.tmpl") {
		t.Errorf("with a faulty template: %d, %s; want 2 and the name of the file", status, log)
	}
}
