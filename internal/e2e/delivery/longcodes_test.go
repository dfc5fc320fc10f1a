package delivery

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"dekamond-otp/internal/e2e/servicetest"
)

// A telegram is a server with as much of the Telegram Gateway API as the service uses. It keeps the codes.
type telegram struct {
	*httptest.Server
	mu    sync.Mutex // guards codes
	codes []string
}

func newTelegram(t *testing.T) *telegram {
	t.Helper()
	g := new(telegram)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Code string }
		_ = json.NewDecoder(r.Body).Decode(&m)
		g.mu.Lock()
		g.codes = append(g.codes, m.Code)
		g.mu.Unlock()
		_, _ = io.WriteString(w, `{"ok":true,"result":{"request_id":"111"}}`)
	}))
	t.Cleanup(g.Close)
	return g
}

// sent returns the codes that have arrived so far.
func (g *telegram) sent() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.codes)
}

// TestLongCodesOfTelegram checks that the longer code of a phone that is under attack goes to the next provider of the
// channel where the first one does not deliver such a code, and that another channel is left where there is none.
func TestLongCodesOfTelegram(t *testing.T) {
	for _, channels := range []string{"sms,telegram", "sms"} {
		g, w := newTelegram(t), servicetest.NewWebhook(t)
		s := servicetest.Start(t, nil, append(w.Settings(), "SMS_PROVIDERS=telegram,webhook", "TELEGRAM_TOKEN=token",
			"TELEGRAM_BASE_URL="+g.URL, "SMS_WEBHOOK_CHANNELS="+channels, "OTP_TTL=10m", "OTP_RESEND_AFTER=off",
			"OTP_LENGTH=7", "OTP_DAILY_ATTEMPTS=1")...)
		by := func(channel string) servicetest.Answer {
			t.Helper()
			request := servicetest.JSON("phone", servicetest.Phone, "channel", channel)
			return s.Want(s.Call("POST", "/otp/request", request), 202, "")
		}
		s.AwaitStatus(by("telegram"), "sent")
		isSlow := func() bool { // a message that a provider does not take in time is sent again
			return strings.Contains(s.Log.String(), "no answer within")
		}
		codes := g.sent()
		if len(codes) != 1 && !isSlow() || len(codes) == 0 || len(codes[0]) != 7 {
			t.Fatalf("Telegram has the codes %v; want one of 7 digits", codes)
		}
		s.Want(s.Verify(servicetest.Phone, servicetest.WrongCode(codes[0])), 401, "")

		asked := by("telegram")
		if strings.Contains(channels, "telegram") {
			s.AwaitStatus(asked, "sent")
		} else {
			s.AwaitStatus(asked, "failed")
			s.AwaitStatus(by("sms"), "sent")
		}
		messages, long := w.Messages(), ""
		if n := len(messages); n == 1 || n > 1 && isSlow() {
			long = messages[n-1]["code"]
		}
		if len(long) != 9 || asked.Field("code_length") != 9.0 {
			t.Fatalf("%s, and the webhook has %v; want one message with a code of 9 digits", asked.Body, messages)
		}
		if n := len(g.sent()); n != 1 && !isSlow() || slices.Contains(g.sent(), long) {
			t.Errorf("Telegram was called %d times; want no call with a code that it does not deliver", n)
		}
		if strings.Contains(s.Log.String(), `msg="provider failed"`) && !isSlow() {
			t.Error("a provider has failed")
		}
		s.Want(s.Verify(servicetest.Phone, long), 201, "")
	}
}
