package sms

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	twilioSID   = "ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
	twilioToken = "tw1l10-s3cr3t"
	twilioHook  = "https://otp.example.com/hooks/twilio"
)

func openTwilio(t *testing.T, base string) Provider {
	p := NewTwilio(TwilioOptions{
		AccountSID:     twilioSID,
		AuthToken:      twilioToken,
		From:           "+15005550006",
		BaseURL:        base,
		StatusCallback: twilioHook,
	})
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

// answerOf returns how a provider reads an answer: "accepted" and the identifier, "rejected" and the error, or the
// error.
func answerOf(t *testing.T, open func(*testing.T, string) Provider, status int, body string) string {
	t.Helper()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	id, err := open(t, address).Send(t.Context(), message)
	switch {
	case err == nil:
		return "accepted " + id
	case id != "":
		return "an identifier and " + err.Error()
	case errors.Is(err, otp.ErrUndeliverable):
		return "rejected, " + err.Error()
	}
	return err.Error()
}

// posted returns a request's form. It fails the test if the request has anything else.
func posted(t *testing.T, r *http.Request) url.Values {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("posted %v of type %q, query %q; want a form and no query",
			err, r.Header.Get("Content-Type"), r.URL.RawQuery)
	}
	return form
}

// flipped returns s with its byte i changed.
func flipped(s string, i int) string { return s[:i] + string(s[i]^1) + s[i+1:] }

// twilioForm returns the form of a message, with the given names and values in turn.
func twilioForm(pairs ...string) url.Values {
	form := url.Values{"To": {"+989121234567"}, "Body": {message.Text}}
	for pair := range slices.Chunk(pairs, 2) {
		form.Set(pair[0], pair[1])
	}
	return form
}

const twilioService = "MGXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"

var twilioCalls = []struct {
	name string
	o    TwilioOptions
	ttl  time.Duration
	want url.Values
}{
	{
		"a number",
		TwilioOptions{From: "+15005550006"},
		2 * time.Minute,
		twilioForm("From", "+15005550006", "ValidityPeriod", "120"),
	},
	{
		"a name",
		TwilioOptions{From: "MG Dekamond"},
		time.Minute,
		twilioForm("From", "MG Dekamond", "ValidityPeriod", "60"),
	},
	{
		"a service",
		TwilioOptions{From: twilioService},
		time.Minute,
		twilioForm("MessagingServiceSid", twilioService, "ValidityPeriod", "60"),
	},
	{
		"reports",
		TwilioOptions{From: "Dekamond", StatusCallback: twilioHook},
		time.Minute,
		twilioForm("From", "Dekamond", "ValidityPeriod", "60", "StatusCallback", twilioHook+"?reference="+message.ID),
	},
	{
		"a short life",
		TwilioOptions{From: "Dekamond"},
		time.Millisecond,
		twilioForm("From", "Dekamond", "ValidityPeriod", "1"),
	},
	{
		"a long life",
		TwilioOptions{From: "Dekamond"},
		11 * time.Hour,
		twilioForm("From", "Dekamond", "ValidityPeriod", "36000"),
	},
}

func TestTwilioSends(t *testing.T) {
	for _, tc := range twilioCalls {
		for _, slash := range []string{"", "/", "/prefix/"} {
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				path := strings.TrimSuffix(slash, "/") + "/2010-04-01/Accounts/" + twilioSID + "/Messages.json"
				if got, want := r.Method+" "+r.URL.Path, "POST "+path; got != want {
					t.Errorf("%s: %s; want %s", tc.name, got, want)
				}
				credentials := "Basic " + base64.StdEncoding.EncodeToString([]byte(twilioSID+":"+twilioToken))
				if got := r.Header.Get("Authorization"); got != credentials {
					t.Errorf("%s: Authorization: %s; want %s", tc.name, got, credentials)
				}
				if got := posted(t, r); !reflect.DeepEqual(got, tc.want) {
					t.Errorf("%s: posted %v; want %v", tc.name, got, tc.want)
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"sid":"SM1","status":"queued","error_code":null,"error_message":null}`)
			})
			tc.o.AccountSID, tc.o.AuthToken, tc.o.BaseURL = twilioSID, twilioToken, address+slash
			m := message
			m.TTL = tc.ttl
			p := NewTwilio(tc.o)
			t.Cleanup(p.transport.CloseIdleConnections)
			if id, err := p.Send(t.Context(), m); id != "SM1" || err != nil {
				t.Errorf("%s: Send = %q, %v; want SM1", tc.name, id, err)
			}
		}
	}
	if got := NewTwilio(TwilioOptions{}).o.BaseURL; got != "https://api.twilio.com" {
		t.Errorf("the base URL without one is %q; want Twilio's", got)
	}
	if got := NewTwilio(TwilioOptions{}).Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("Twilio offers %v; want sms", got)
	}
}

func TestTwilioReadsTheAnswer(t *testing.T) {
	const no = `{"code":CODE,"message":"it says no","more_info":"https://www.twilio.com/docs/errors/CODE","status":400}`
	body := func(code string) string { return strings.ReplaceAll(no, "CODE", code) }
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{201, `{"sid":"SM1","status":"accepted"}`, "accepted SM1"},
		{200, `{"sid":"SM1"}`, "accepted SM1"},

		{400, body("21211"), "rejected, answered 400, code 21211: it says no"},
		{400, body("21217"), "rejected, answered 400, code 21217: it says no"},
		{400, body("21265"), "rejected, answered 400, code 21265: it says no"},
		{400, body("21610"), "answered 400, code 21610: it says no"},
		{400, body("21614"), "rejected, answered 400, code 21614: it says no"},
		{400, body("21635"), "rejected, answered 400, code 21635: it says no"},
		{
			400, `{"code":21211,"message":"The 'To' number +989121234567 is not a valid phone number.","status":400}`,
			"rejected, answered 400, code 21211: The 'To' number ••• is not a valid phone number.",
		},

		{401, body("20003"), "answered 401, code 20003: it says no"}, // the credentials
		{429, body("20429"), "answered 429, code 20429: it says no"}, // too many requests
		{500, body("20500"), "answered 500, code 20500: it says no"}, // the service
		{400, body("21212"), "answered 400, code 21212: it says no"}, // the sender's number
		{400, body("21214"), "answered 400, code 21214: it says no"}, // not reached, said of calls
		{400, body("21401"), "answered 400, code 21401: it says no"}, // the sender's number
		{400, body("21407"), "answered 400, code 21407: it says no"}, // the sender's number
		{400, body("21408"), "answered 400, code 21408: it says no"}, // the region is not enabled
		{400, body("21421"), "answered 400, code 21421: it says no"}, // the sender's number
		{400, body("21606"), "answered 400, code 21606: it says no"}, // the sender's number
		{400, body("21608"), "answered 400, code 21608: it says no"}, // a trial account
		{400, body("21612"), "answered 400, code 21612: it says no"}, // no route from this sender
		{400, body("21624"), "answered 400, code 21624: it says no"}, // the validity
		{400, body("30001"), "answered 400, code 30001: it says no"}, // the queue is full
		{503, `<html>Service Unavailable</html>`, "answered 503"},
		{400, `{"code":"+989121234567","message":{}}`, "answered 400"},
		{400, `{"code":null,"message":null}`, "answered 400"},
		{302, `{"sid":"SM1"}`, "answered 302"},

		{201, ``, "no valid HTTP answer"},
		{201, `{}`, "no valid HTTP answer"},
		{201, `{"sid":""}`, "no valid HTTP answer"},
		{201, `{"sid":1}`, "no valid HTTP answer"},
		{201, `{"sid":"SM1","message":1}`, "no valid HTTP answer"},
		{201, `{"code":21211,"message":"it says no"}`, "no valid HTTP answer"},
		{201, `<html>{"sid":"SM1"}</html>`, "no valid HTTP answer"},
		{201, `{"sid":"SM1","message":"cut off`, "no valid HTTP answer"},
		{201, strings.Repeat(" ", maxAnswer) + `{"sid":"SM1"}`, "no valid HTTP answer"},
	} {
		if got := answerOf(t, openTwilio, tc.status, tc.body); got != tc.want {
			t.Errorf("Send answered %d %.200s = %s; want %s", tc.status, tc.body, got, tc.want)
		}
	}
}

func TestTwilioFaults(t *testing.T) { testFaults(t, openTwilio, twilioSID, twilioToken) }

// TestTwilioSignature checks the vectors of the tests of Twilio's own libraries.
func TestTwilioSignature(t *testing.T) {
	p := NewTwilio(TwilioOptions{AuthToken: "12345"})
	for want, form := range map[string]url.Values{
		"RSOYDt4T1cUTdK1PDd93/VVr8B8=": {
			"CallSid": {"CA1234567890ABCDE"},
			"Caller":  {"+14158675309"},
			"Digits":  {"1234"},
			"From":    {"+14158675309"},
			"To":      {"+18005551212"},
		},
		"IK+Dwps556ElfBT0I3Rgjkr1wJU=": {"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"}},
	} {
		if got := string(p.signature("https://mycompany.com/myapp.php?foo=1&bar=2", form)); got != want {
			t.Errorf("signature of %v = %s; want %s", form, got, want)
		}
	}
}

// twilioCallback returns a status callback as Twilio sends it, with a signature that shares no code with Twilio.
func twilioCallback(token, id, status string) otp.Callback {
	address := twilioHook + "?reference=" + message.ID
	h := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(h, address+"AccountSid"+twilioSID+"ApiVersion2010-04-01From+15005550006MessageSid"+id+
		"MessageStatus"+status+"SmsSid"+id+"SmsStatus"+status+"To+989121234567")
	header := http.Header{"X-Twilio-Signature": {base64.StdEncoding.EncodeToString(h.Sum(nil))}}
	return otp.Callback{
		URL:         address,
		Query:       "reference=" + message.ID,
		ContentType: "application/x-www-form-urlencoded",
		Header:      header.Get,
		Body: []byte("SmsSid=" + id + "&SmsStatus=" + status + "&MessageStatus=" + status + "&To=%2B989121234567" +
			"&MessageSid=" + id + "&AccountSid=" + twilioSID + "&From=%2B15005550006&ApiVersion=2010-04-01"),
	}
}

func TestTwilioReads(t *testing.T) {
	p := NewTwilio(TwilioOptions{AuthToken: twilioToken})
	for _, tc := range []struct {
		id, status string
		want       []otp.Report
		err        error
	}{
		{"SM1", "delivered", []otp.Report{{ID: "SM1", Delivered: true}}, nil},
		{"SM1", "undelivered", []otp.Report{{ID: "SM1"}}, nil},
		{"SM1", "failed", []otp.Report{{ID: "SM1"}}, nil},
		{"SM1", "accepted", nil, nil},
		{"SM1", "scheduled", nil, nil},
		{"SM1", "queued", nil, nil},
		{"SM1", "sending", nil, nil},
		{"SM1", "sent", nil, nil},
		{"SM1", "canceled", nil, nil},
		{"SM1", "unheard-of", nil, nil},
		{"", "delivered", nil, otp.ErrCallback},
		{"SM1", "", nil, otp.ErrCallback},
	} {
		got, err := p.Read(twilioCallback(twilioToken, tc.id, tc.status))
		if !slices.Equal(got, tc.want) || !errors.Is(err, tc.err) {
			t.Errorf("Read of %s, status %q = %v, %v; want %v, %v", tc.id, tc.status, got, err, tc.want, tc.err)
		}
	}
}

func TestTwilioRefusesForgeries(t *testing.T) {
	genuine := twilioCallback(twilioToken, "SM1", "delivered")
	signature := genuine.Header("X-Twilio-Signature")
	header := func(value string) func(string) string {
		return http.Header{"X-Twilio-Signature": {value}}.Get
	}
	add := func(parameter string) func(c *otp.Callback) {
		return func(c *otp.Callback) { c.Body = append(slices.Clone(c.Body), parameter...) }
	}
	forgeries := map[string]func(c *otp.Callback){
		"no header":         func(c *otp.Callback) { c.Header = http.Header{}.Get },
		"no body":           func(c *otp.Callback) { c.Body = nil },
		"no form":           func(c *otp.Callback) { c.Body = []byte("%") },
		"a parameter more":  add("&MessageStatus=failed"),
		"one that breaks":   add("&%zz=failed"),
		"another URL":       func(c *otp.Callback) { c.URL = twilioHook },
		"a longer header":   func(c *otp.Callback) { c.Header = header(signature + "=") },
		"another's token":   func(c *otp.Callback) { *c = twilioCallback("another", "SM1", "delivered") },
		"an empty token":    func(c *otp.Callback) { *c = twilioCallback("", "SM1", "delivered") },
		"an empty callback": func(c *otp.Callback) { *c = otp.Callback{Header: http.Header{}.Get} },
	}
	for i := range genuine.URL {
		forgeries["URL "+flipped(genuine.URL, i)] = func(c *otp.Callback) { c.URL = flipped(c.URL, i) }
	}
	for i := range genuine.Body {
		body := flipped(string(genuine.Body), i)
		forgeries["body "+body] = func(c *otp.Callback) { c.Body = []byte(body) }
	}
	for i := range signature {
		forged := flipped(signature, i)
		forgeries["signature "+forged] = func(c *otp.Callback) { c.Header = header(forged) }
	}
	for _, token := range []string{twilioToken, ""} {
		p := NewTwilio(TwilioOptions{AuthToken: token})
		for name, forge := range forgeries {
			c := genuine
			forge(&c)
			if got, err := p.Read(c); got != nil || !errors.Is(err, otp.ErrForged) {
				t.Errorf("token %q: Read of %s = %v, %v; want it forged", token, name, got, err)
			}
		}
	}
}
