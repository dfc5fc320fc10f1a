package sms

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dekamond-otp/internal/otp"
)

const whatsAppToken = "EAAJB-wh4ts4pp-s3cr3t"

func openWhatsApp(t *testing.T, base string) Provider {
	p := NewWhatsApp(WhatsAppOptions{
		Token:         whatsAppToken,
		PhoneNumberID: "106540352242922",
		Template:      "login_code",
		Language:      "en_US",
		BaseURL:       base,
	})
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

// expectJSON fails the test unless the request posts the JSON with the bearer token to the path.
func expectJSON(t *testing.T, r *http.Request, path, token, want string) {
	t.Helper()
	if got, want := r.Method+" "+r.RequestURI, "POST "+path; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	for name, want := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %s; want %s", name, got, want)
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var gotValue, wantValue any
	if err := json.Unmarshal(body, &gotValue); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal([]byte(want), &wantValue); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(gotValue, wantValue) {
		t.Errorf("posted %s; want %s", body, want)
	}
}

func TestWhatsAppSends(t *testing.T) {
	want := `{"messaging_product":"whatsapp","recipient_type":"individual","to":"989121234567","type":"template",
		"template":{"name":"login_code","language":{"code":"en_US"},"components":[
			{"type":"body","parameters":[{"type":"text","text":"042137"}]},
			{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"042137"}]}]},
		"biz_opaque_callback_data":"` + message.ID + `"}`
	for _, slash := range []string{"", "/", "/prefix/"} {
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			expectJSON(t, r, strings.TrimSuffix(slash, "/")+"/v25.0/106540352242922/messages", whatsAppToken, want)
			_, _ = io.WriteString(w, `{"messaging_product":"whatsapp",
				"contacts":[{"input":"989121234567","wa_id":"989121234567"}],
				"messages":[{"id":"wamid.HBg1","message_status":"accepted"}]}`)
		})
		if id, err := openWhatsApp(t, address+slash).Send(t.Context(), message); id != "wamid.HBg1" || err != nil {
			t.Errorf("Send = %q, %v; want wamid.HBg1", id, err)
		}
	}
	if got := NewWhatsApp(WhatsAppOptions{}).o.BaseURL; got != "https://graph.facebook.com" {
		t.Errorf("the base URL without one is %q; want Meta's", got)
	}
	if got := NewWhatsApp(WhatsAppOptions{}).Channels(); !slices.Equal(got, []string{otp.WhatsApp}) {
		t.Errorf("WhatsApp offers %v; want whatsapp", got)
	}
}

func TestWhatsAppReadsTheAnswer(t *testing.T) {
	no := func(code string) string {
		return `{"error":{"message":"(#` + code + `) title","type":"OAuthException","code":` + code + `,
			"error_subcode":2494010,"error_data":{"messaging_product":"whatsapp","details":"it says no"},
			"fbtrace_id":"Az8or2yhqkZfEZ-_4Qn_Bam"}}`
	}
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{200, `{"messages":[{"id":"wamid.HBg1"}]}`, "accepted wamid.HBg1"},

		{400, no("131021"), "rejected, answered 400, code 131021: it says no"},
		{400, no("131026"), "rejected, answered 400, code 131026: it says no"},
		{
			400, `{"error":{"message":"no message to 989121234567","code":131026}}`,
			"rejected, answered 400, code 131026: no message to •••",
		},

		{400, no("4"), "answered 429, code 4: it says no"},           // throttles: the app
		{400, no("80007"), "answered 429, code 80007: it says no"},   // the account
		{400, no("130429"), "answered 429, code 130429: it says no"}, // the API
		{400, no("131048"), "answered 429, code 131048: it says no"}, // the sender, for spam
		{400, no("131056"), "answered 400, code 131056: it says no"}, // the sender to this recipient

		{401, no("0"), "answered 401, code 0: it says no"},           // the token
		{401, no("190"), "answered 401, code 190: it says no"},       // the token
		{403, no("10"), "answered 403, code 10: it says no"},         // the permissions
		{403, no("368"), "answered 403, code 368: it says no"},       // the account is blocked
		{400, no("33"), "answered 400, code 33: it says no"},         // the sender
		{400, no("100"), "answered 400, code 100: it says no"},       // any parameter
		{403, no("130497"), "answered 403, code 130497: it says no"}, // the country is not allowed
		{500, no("131000"), "answered 500, code 131000: it says no"}, // the service
		{403, no("131005"), "answered 403, code 131005: it says no"}, // the permissions
		{400, no("131009"), "answered 400, code 131009: it says no"}, // any parameter
		{500, no("131016"), "answered 500, code 131016: it says no"}, // the service
		{400, no("131030"), "answered 400, code 131030: it says no"}, // a test account's list
		{403, no("131031"), "answered 403, code 131031: it says no"}, // the account is locked
		{400, no("131042"), "answered 400, code 131042: it says no"}, // the account's payment
		{400, no("131045"), "answered 400, code 131045: it says no"}, // the sender's certificate
		{400, no("132000"), "answered 400, code 132000: it says no"}, // the template's parameters
		{404, no("132001"), "answered 404, code 132001: it says no"}, // the template
		{400, no("132015"), "answered 400, code 132015: it says no"}, // the template is paused
		{400, no("133010"), "answered 400, code 133010: it says no"}, // the sender is not registered
		{503, `<html>Service Unavailable</html>`, "answered 503"},
		{400, `{"error":"no object"}`, "answered 400"},
		{302, `{"messages":[{"id":"wamid.HBg1"}]}`, "answered 302"},

		{200, ``, "no valid HTTP answer"},
		{200, `{}`, "no valid HTTP answer"},
		{200, `{"messages":[]}`, "no valid HTTP answer"},
		{200, `{"messages":[{}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"id":1}]}`, "no valid HTTP answer"},
		{200, no("131026"), "no valid HTTP answer"},
		{200, `{"messages":[{"id":"wamid.HBg1"}],"error":1}`, "no valid HTTP answer"},
		{200, `{"messages":[{"id":"wamid.HBg1"}]`, "no valid HTTP answer"},
		{200, `<html>wamid.HBg1</html>`, "no valid HTTP answer"},
	} {
		if got := answerOf(t, openWhatsApp, tc.status, tc.body); got != tc.want {
			t.Errorf("Send answered %d %s = %s; want %s", tc.status, tc.body, got, tc.want)
		}
	}
}

func TestWhatsAppFaults(t *testing.T) { testFaults(t, openWhatsApp, whatsAppToken) }
