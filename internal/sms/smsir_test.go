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

const (
	smsIRPlain  = `{"lineNumber":30004505000017,"messageText":"042137\nکد ورود شما","mobiles":["09121234567"]}`
	smsIRVerify = "POST /proxy/v1/send/verify"
	smsIRToLine = "POST /proxy/v1/send/bulk"
)

var smsIRChange = changed("+989121234567", otp.SMS, forChange)

// smsIRLookup returns the body of a call by template.
func smsIRLookup(id int, parameter string) string {
	const format = `{"mobile":"09121234567","parameters":[{"name":%q,"value":"042137"}],"templateId":%d}`
	return fmt.Sprintf(format, parameter, id)
}

var smsIRCalls = []struct {
	name                   string
	options                SMSIROptions
	message                otp.Message
	want, body, answer, id string
}{
	{
		"a login by template",
		SMSIROptions{TemplateID: 123456},
		message, smsIRVerify, smsIRLookup(123456, "CODE"), smsIRMade, "89545112",
	},
	{
		"another parameter",
		SMSIROptions{TemplateID: 123456, Parameter: "Otp"},
		message, smsIRVerify, smsIRLookup(123456, "Otp"), smsIRMade, "89545112",
	},
	{
		"a change by template",
		SMSIROptions{TemplateID: 123456, ChangeTemplateID: 123457},
		smsIRChange, smsIRVerify, smsIRLookup(123457, "CODE"), smsIRMade, "89545112",
	},
	{
		"a change without a template",
		SMSIROptions{TemplateID: 123456, Line: 30004505000017},
		smsIRChange, smsIRToLine, smsIRPlain, smsIRBulk, "86522023",
	},
	{
		"a login without a template",
		SMSIROptions{Line: 30004505000017},
		message, smsIRToLine, smsIRPlain, smsIRBulk, "86522023",
	},
}

func TestSMSIRAsks(t *testing.T) {
	for _, tc := range smsIRCalls {
		t.Run(tc.name, func(t *testing.T) {
			tc.options.BaseURL = serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.RequestURI; got != tc.want {
					t.Errorf("asked %s; want %s", got, tc.want)
				}
				for name, want := range map[string]string{
					"X-API-KEY":    smsIRKey,
					"Content-Type": "application/json",
					"Accept":       "application/json",
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

// canonical returns a JSON object with its keys in order, and its numbers as they were.
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

var (
	smsIRByTemplate = SMSIROptions{TemplateID: 123456}
	smsIRByLine     = SMSIROptions{Line: 30004505000017}
)

// smsIRNo returns an answer without a message.
func smsIRNo(status int) string {
	return fmt.Sprintf(`{"status":%d,"message":"09121234567 نادرست","data":null}`, status)
}

// smsIRIDs returns an answer for plain messages with the given identifiers.
func smsIRIDs(ids string) string {
	return fmt.Sprintf(`{"status":1,"message":"موفق","data":{"packId":"2b99e63c","messageIds":%s,"cost":0}}`, ids)
}

var smsIRAnswers = []struct {
	options    SMSIROptions
	http       int
	body       string
	want, code string
}{
	{smsIRByTemplate, 200, smsIRMade, accepted, ""},
	{smsIRByLine, 200, smsIRBulk, accepted, ""},
	{smsIRByTemplate, 400, smsIRNo(104), rejected, "104"},
	{smsIRByLine, 400, smsIRNo(104), rejected, "104"},
	{smsIRByTemplate, 200, smsIRNo(104), rejected, "104"},
	{smsIRByTemplate, 400, smsIRNo(115), rejected, "115"},
	{smsIRByLine, 400, smsIRNo(115), refused, "115"},
	{smsIRByLine, 200, smsIRIDs("[0]"), refused, ""},
	{smsIRByLine, 200, smsIRIDs("[null]"), refused, ""},
	{smsIRByTemplate, 429, smsIRNo(20), throttled, "20"},
	{smsIRByTemplate, 400, smsIRNo(20), throttled, "20"},
	{smsIRByTemplate, 429, "", throttled, ""},
	{smsIRByTemplate, 500, smsIRNo(0), refused, "0"},
	{smsIRByTemplate, 200, smsIRNo(0), refused, "0"},
	{smsIRByTemplate, 401, smsIRNo(10), refused, "10"},
	{smsIRByTemplate, 401, smsIRNo(11), refused, "11"},
	{smsIRByTemplate, 401, smsIRNo(12), refused, "12"},
	{smsIRByTemplate, 401, smsIRNo(13), refused, "13"},
	{smsIRByTemplate, 401, smsIRNo(14), refused, "14"},
	{smsIRByTemplate, 400, smsIRNo(15), refused, "15"},
	{smsIRByTemplate, 400, smsIRNo(16), refused, "16"},
	{smsIRByLine, 400, smsIRNo(101), refused, "101"},
	{smsIRByTemplate, 400, smsIRNo(102), refused, "102"},
	{smsIRByLine, 400, smsIRNo(103), refused, "103"},
	{smsIRByLine, 400, smsIRNo(105), refused, "105"},
	{smsIRByLine, 400, smsIRNo(107), refused, "107"},
	{smsIRByTemplate, 400, smsIRNo(110), refused, "110"},
	{smsIRByTemplate, 400, smsIRNo(113), refused, "113"},
	{smsIRByTemplate, 400, smsIRNo(114), refused, "114"},
	{smsIRByTemplate, 400, smsIRNo(116), refused, "116"},
	{smsIRByLine, 400, smsIRNo(117), refused, "117"},
	{smsIRByLine, 400, smsIRNo(118), refused, "118"},
	{smsIRByTemplate, 400, smsIRNo(119), refused, "119"},
	{smsIRByLine, 400, smsIRNo(123), refused, "123"},
	{smsIRByTemplate, 400, smsIRNo(124), refused, "124"},
	{smsIRByTemplate, 502, smsIRMade, refused, "1"},
	{smsIRByTemplate, 502, "<html>104</html>", refused, ""},
	{smsIRByTemplate, 200, `{"status":1,"message":"موفق","data":null}`, unreadable, ""},
	{smsIRByTemplate, 200, `{"status":1,"data":{"messageId":0}}`, unreadable, ""},
	{smsIRByTemplate, 200, `{"data":{"messageId":89545112}}`, unreadable, ""},
	{smsIRByLine, 200, smsIRIDs("[]"), unreadable, ""},
	{smsIRByLine, 200, smsIRIDs("[1,2]"), unreadable, ""},
	{smsIRByTemplate, 200, smsIRMade[:40], unreadable, ""},
	{smsIRByTemplate, 200, "OK", unreadable, ""},
	{smsIRByTemplate, 204, "", unreadable, ""},
}

func TestSMSIRTellsTheNumbersFault(t *testing.T) {
	for _, tc := range smsIRAnswers {
		tc.options.BaseURL = serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.http)
			_, _ = io.WriteString(w, tc.body)
		})
		id, err := openSMSIR(t, tc.options).Send(t.Context(), message)
		if got, code := classOf(err); got != tc.want || code != tc.code || (err == nil) == (id == "") {
			t.Errorf("Send answered %d %s = %q, %v: %s; want %s by code %q",
				tc.http, tc.body, id, err, got, tc.want, tc.code)
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

// TestSMSIRKnowsItsLimits checks that SMS.ir is not asked for what it cannot send, which another provider may be able
// to.
func TestSMSIRKnowsItsLimits(t *testing.T) {
	s := openSMSIR(t, SMSIROptions{
		TemplateID: 123456,
		BaseURL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("asked %s", r.RequestURI)
		}),
	})
	for _, tc := range []struct {
		message otp.Message
		want    error
	}{
		{changed("+4915112345678", otp.SMS, otp.ForLogin), errNotIranian},
		{changed("+989121234567", otp.SMS, otp.ForPhoneChange(uuid.New())), errNoLine},
	} {
		err := send(t, s, tc.message, time.Minute)
		if !errors.Is(err, tc.want) || errors.Is(err, otp.ErrUndeliverable) {
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
