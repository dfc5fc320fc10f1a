package sms

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const telegramToken = "AAEFAAAAQKI-t3l3gr4m-s3cr3t"

func openTelegram(t *testing.T, base string) Provider {
	p := NewTelegram(TelegramOptions{Token: telegramToken, BaseURL: base})
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

func TestTelegramSends(t *testing.T) {
	for _, tc := range []struct {
		code, slash, want string
		ttl               time.Duration
	}{
		{"042137", "", "120", 2 * time.Minute},
		{"042137", "/", "30", 29 * time.Second},
		{"0421", "/prefix/", "3600", 3601 * time.Second},
		{"04213759", "", "90", 90*time.Second + 900*time.Millisecond},
	} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			want := `{"phone_number":"+989121234567","code":"` + tc.code + `","ttl":` + tc.want +
				`,"payload":"` + message.ID + `"}`
			expectJSON(t, r, strings.TrimSuffix(tc.slash, "/")+"/sendVerificationMessage", telegramToken, want)
			_, _ = io.WriteString(w, `{"ok":true,"result":{"request_id":"111","phone_number":"989121234567",
				"request_cost":0.01,"remaining_balance":9.9,
				"delivery_status":{"status":"sent","updated_at":1729000000}}}`)
		})
		m := message
		m.Code, m.TTL = tc.code, tc.ttl
		if id, err := openTelegram(t, address+tc.slash).Send(t.Context(), m); id != "111" || err != nil {
			t.Errorf("Send of %d digits = %q, %v; want 111", len(tc.code), id, err)
		}
	}
	if got := NewTelegram(TelegramOptions{}).o.BaseURL; got != "https://gatewayapi.telegram.org" {
		t.Errorf("the base URL without one is %q; want Telegram's", got)
	}
	if got := NewTelegram(TelegramOptions{}).Channels(); !slices.Equal(got, []string{otp.Telegram}) {
		t.Errorf("Telegram offers %v; want telegram", got)
	}
}

func TestTelegramReadsTheAnswer(t *testing.T) {
	no := func(name string) string { return `{"ok":false,"error":"` + name + `"}` }
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{200, `{"ok":true,"result":{"request_id":"111"}}`, "accepted 111"},

		{200, no("PHONE_NUMBER_INVALID"), "rejected, answered 200, code PHONE_NUMBER_INVALID"},
		{200, no("PHONE_NUMBER_NOT_FOUND"), "rejected, answered 200, code PHONE_NUMBER_NOT_FOUND"},
		{200, no("PHONE_NUMBER_NOT_AVAILABLE"), "rejected, answered 200, code PHONE_NUMBER_NOT_AVAILABLE"},
		{400, no("PHONE_NUMBER_INVALID"), "rejected, answered 400, code PHONE_NUMBER_INVALID"},

		{200, no("FLOOD_WAIT_7"), "answered 429, code FLOOD_WAIT_7"},
		{420, no("FLOOD_WAIT_7"), "answered 429, code FLOOD_WAIT_7"},
		{200, no("ACCESS_TOKEN_INVALID"), "answered 200, code ACCESS_TOKEN_INVALID"},
		{401, no("ACCESS_TOKEN_REQUIRED"), "answered 401, code ACCESS_TOKEN_REQUIRED"},
		{200, no("BALANCE_NOT_ENOUGH"), "answered 200, code BALANCE_NOT_ENOUGH"},
		{200, no("CODE_INVALID"), "answered 200, code CODE_INVALID"},
		{200, no("TTL_INVALID"), "answered 200, code TTL_INVALID"},
		{200, no("PAYLOAD_INVALID"), "answered 200, code PAYLOAD_INVALID"},
		{200, no("PHONE_NUMBER_MISMATCH"), "answered 200, code PHONE_NUMBER_MISMATCH"},
		{200, no("MESSAGE_ALREADY_SENT"), "answered 200, code MESSAGE_ALREADY_SENT"},
		{200, no("UNKNOWN_METHOD"), "answered 200, code UNKNOWN_METHOD"},
		{200, no("not a name: +989121234567"), "answered 200, code unreadable"},
		{503, `<html>Service Unavailable</html>`, "answered 503"},
		{500, `{"ok":true,"result":{"request_id":"111"}}`, "answered 500"},
		{302, ``, "answered 302"},

		{200, ``, "no valid HTTP answer"},
		{200, `{}`, "no valid HTTP answer"},
		{200, `{"ok":false}`, "no valid HTTP answer"},
		{200, `{"ok":true}`, "no valid HTTP answer"},
		{200, `{"ok":true,"result":{}}`, "no valid HTTP answer"},
		{200, `{"ok":true,"result":{"request_id":111}}`, "no valid HTTP answer"},
		{200, `{"ok":true,"error":1,"result":{"request_id":"111"}}`, "no valid HTTP answer"},
		{200, `{"result":{"request_id":"111"}}`, "no valid HTTP answer"},
		{200, `{"ok":"false","error":"PHONE_NUMBER_INVALID"}`, "no valid HTTP answer"},
		{200, `{"ok":true,"error":"PHONE_NUMBER_INVALID"}`, "no valid HTTP answer"},
		{200, `{"ok":true,"result":{"request_id":"111"}`, "no valid HTTP answer"},
		{200, `<html>111</html>`, "no valid HTTP answer"},
	} {
		if got := answerOf(t, openTelegram, tc.status, tc.body); got != tc.want {
			t.Errorf("Send answered %d %s = %s; want %s", tc.status, tc.body, got, tc.want)
		}
	}
}

func TestTelegramTellsHowLongToWait(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"FLOOD_WAIT_7":           7 * time.Second,
		"FLOOD_WAIT_86400":       24 * time.Hour,
		"FLOOD_WAIT_":            0,
		"FLOOD_WAIT_-1":          0,
		"FLOOD_WAIT_99999999999": 0,
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"ok":false,"error":"`+text+`"}`)
		})
		_, err := openTelegram(t, address).Send(t.Context(), message)
		if failure, ok := errors.AsType[*Failure](err); !ok || failure.Status != 429 || failure.RetryAfter != want {
			t.Errorf("Send answered %s = %#v; want status 429, retry after %v", text, err, want)
		}
	}
}

func TestTelegramFaults(t *testing.T) { testFaults(t, openTelegram, telegramToken) }
