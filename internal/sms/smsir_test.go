package sms

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

const (
	smsIRKey  = "yCGvQ1Y2pLkXn"
	smsIRMade = `{"status":1,"message":"موفق","data":{"messageId":89545112,"cost":1.0}}`
	smsIRBulk = `{"status":1,"message":"موفق","data":
		{"packId":"2b99e63c-9bf8-4a21-9bfe-3f72dc1b46f1","messageIds":[86522023],"cost":2.0}}`
)

func openSMSIR(t *testing.T, o SMSIROptions) *SMSIR {
	t.Helper()
	o.APIKey = cmp.Or(o.APIKey, smsIRKey)
	s := NewSMSIR(o)
	t.Cleanup(s.transport.CloseIdleConnections)
	return s
}

func TestSMSIRAsks(t *testing.T) {
	change := changed("+989121234567", otp.SMS, otp.ForPhone(uuid.New()))
	template := func(id int, parameter string) string {
		return fmt.Sprintf(`{"mobile":"09121234567","parameters":[{"name":%q,"value":"042137"}],"templateId":%d}`, parameter, id)
	}
	const plain = `{"lineNumber":30004505000017,"messageText":"042137\nکد ورود شما","mobiles":["09121234567"]}`
	const verify, bulk = "POST /proxy/v1/send/verify", "POST /proxy/v1/send/bulk"
	for _, tc := range []struct {
		name                   string
		options                SMSIROptions
		message                otp.Message
		want, body, answer, id string
	}{
		{
			"a login by template",
			SMSIROptions{TemplateID: 123456},
			message, verify, template(123456, "CODE"), smsIRMade, "89545112",
		},
		{
			"another parameter",
			SMSIROptions{TemplateID: 123456, Parameter: "Otp"},
			message, verify, template(123456, "Otp"), smsIRMade, "89545112",
		},
		{
			"a change by template",
			SMSIROptions{TemplateID: 123456, ChangeTemplateID: 123457},
			change, verify, template(123457, "CODE"), smsIRMade, "89545112",
		},
		{
			"a change without a template",
			SMSIROptions{TemplateID: 123456, Line: 30004505000017},
			change, bulk, plain, smsIRBulk, "86522023",
		},
		{
			"a login without a template",
			SMSIROptions{Line: 30004505000017},
			message, bulk, plain, smsIRBulk, "86522023",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.options.BaseURL = serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.RequestURI; got != tc.want {
					t.Errorf("asked %s; want %s", got, tc.want)
				}
				for name, want := range map[string]string{
					"X-API-KEY": smsIRKey, "Content-Type": "application/json", "Accept": "application/json",
				} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q; want %q", name, got, want)
					}
				}
				body, _ := io.ReadAll(r.Body)
				if got := canonical(t, body); got != canonical(t, []byte(tc.body)) {
					t.Errorf("posted %s; want %s", got, tc.body)
				}
				_, _ = io.WriteString(w, tc.answer)
			}) + "/proxy/"
			id, err := openSMSIR(t, tc.options).Send(t.Context(), tc.message)
			if id != tc.id || err != nil {
				t.Errorf("Send = %q, %v; want %s", id, err, tc.id)
			}
		})
	}
}

// canonical gives a JSON object with its keys in order, and its numbers as they were.
func canonical(t *testing.T, object []byte) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

func TestSMSIRTellsTheNumbersFault(t *testing.T) {
	login, plain := SMSIROptions{TemplateID: 123456}, SMSIROptions{Line: 30004505000017}
	no := func(status int) string {
		return fmt.Sprintf(`{"status":%d,"message":"09121234567 نادرست","data":null}`, status)
	}
	bulk := func(ids string) string {
		return fmt.Sprintf(`{"status":1,"message":"موفق","data":{"packId":"2b99e63c","messageIds":%s,"cost":0}}`, ids)
	}
	for _, tc := range []struct {
		options    SMSIROptions
		http       int
		body       string
		want, code string
	}{
		{login, 200, smsIRMade, accepted, ""},
		{plain, 200, smsIRBulk, accepted, ""},
		{login, 400, no(104), rejected, "104"},
		{plain, 400, no(104), rejected, "104"},
		{login, 200, no(104), rejected, "104"},
		{login, 400, no(115), rejected, "115"},
		{plain, 400, no(115), refused, "115"},
		{plain, 200, bulk("[0]"), refused, ""},
		{plain, 200, bulk("[null]"), refused, ""},
		{login, 429, no(20), throttled, "20"},
		{login, 400, no(20), throttled, "20"},
		{login, 429, "", throttled, ""},
		{login, 500, no(0), refused, "0"},
		{login, 200, no(0), refused, "0"},
		{login, 401, no(10), refused, "10"},
		{login, 401, no(11), refused, "11"},
		{login, 401, no(12), refused, "12"},
		{login, 401, no(13), refused, "13"},
		{login, 401, no(14), refused, "14"},
		{login, 400, no(15), refused, "15"},
		{login, 400, no(16), refused, "16"},
		{plain, 400, no(101), refused, "101"},
		{login, 400, no(102), refused, "102"},
		{plain, 400, no(103), refused, "103"},
		{plain, 400, no(105), refused, "105"},
		{plain, 400, no(107), refused, "107"},
		{login, 400, no(110), refused, "110"},
		{login, 400, no(113), refused, "113"},
		{login, 400, no(114), refused, "114"},
		{login, 400, no(116), refused, "116"},
		{plain, 400, no(117), refused, "117"},
		{plain, 400, no(118), refused, "118"},
		{login, 400, no(119), refused, "119"},
		{plain, 400, no(123), refused, "123"},
		{login, 400, no(124), refused, "124"},
		{login, 502, smsIRMade, refused, "1"},
		{login, 502, "<html>104</html>", refused, ""},
		{login, 200, `{"status":1,"message":"موفق","data":null}`, unreadable, ""},
		{login, 200, `{"status":1,"data":{"messageId":0}}`, unreadable, ""},
		{login, 200, `{"data":{"messageId":89545112}}`, unreadable, ""},
		{plain, 200, bulk("[]"), unreadable, ""},
		{plain, 200, bulk("[1,2]"), unreadable, ""},
		{login, 200, smsIRMade[:40], unreadable, ""},
		{login, 200, "OK", unreadable, ""},
		{login, 204, "", unreadable, ""},
	} {
		tc.options.BaseURL = serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.http)
			_, _ = io.WriteString(w, tc.body)
		})
		id, err := openSMSIR(t, tc.options).Send(t.Context(), message)
		if got, code := classOf(err); got != tc.want || code != tc.code || (err == nil) == (id == "") {
			t.Errorf("Send answered %d %s = %q, %v: %s; want %s by code %q", tc.http, tc.body, id, err, got, tc.want, tc.code)
		}
		if err != nil && strings.Contains(err.Error(), "9121234567") {
			t.Errorf("Send answered %d %s = %v; want no number", tc.http, tc.body, err)
		}
	}
}

func TestSMSIRFaults(t *testing.T) {
	for _, o := range []SMSIROptions{{TemplateID: 123456}, {Line: 30004505000017}} {
		testFaults(t, func(t *testing.T, base string) Provider { o.BaseURL = base; return openSMSIR(t, o) }, smsIRKey)
	}
}

// What cannot be sent by SMS.ir can be sent by another provider, and is not asked for.
func TestSMSIRKnowsItsLimits(t *testing.T) {
	s := openSMSIR(t, SMSIROptions{TemplateID: 123456, BaseURL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("asked %s", r.RequestURI)
	})})
	for _, tc := range []struct {
		message otp.Message
		want    error
	}{
		{changed("+4915112345678", otp.SMS, otp.ForLogin), errNotIranian},
		{changed("+989121234567", otp.SMS, otp.ForPhone(uuid.New())), errNoLine},
	} {
		if err := send(t, s, tc.message, time.Minute); !errors.Is(err, tc.want) || errors.Is(err, otp.ErrUndeliverable) {
			t.Errorf("Send of %v for %s = %v; want %v", tc.message, tc.message.Purpose.Name(), err, tc.want)
		}
	}
}

func TestSMSIRSettings(t *testing.T) {
	const noKey = "SMSIR_API_KEY: must be set for smsir in SMS_PROVIDERS or SMS_ROUTES"
	const noLine = "SMSIR_TEMPLATE: must be set for smsir, or SMSIR_LINE"
	for settings, want := range map[string]string{
		"SMSIR_LINE=30004505000017":                       noKey,
		"SMSIR_API_KEY=" + smsIRKey:                       noLine,
		"SMSIR_CHANGE_TEMPLATE=123456":                    noKey + "\n" + noLine,
		"SMSIR_LINE=30004505000017 SMSIR_API_KEY=any-key": "",
		"SMSIR_TEMPLATE=123456 SMSIR_API_KEY=any-key":     "",
	} {
		if got := faults("smsir", strings.Fields(settings)...); got != want {
			t.Errorf("the settings %s: %q; want %q", settings, got, want)
		}
	}
	if got := openSMSIR(t, SMSIROptions{TemplateID: 1}).Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("Channels = %v; want sms", got)
	}
}
