package sms

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

const (
	kavenegarKey    = "5A6D/4b67 key"
	kavenegarSecret = "the-path-secret"
	kavenegarOK     = `{"return":{"status":200,"message":"تایید شد"},"entries":[{"messageid":8792343,"message":"…",
		"status":5,"statustext":"ارسال به مخابرات","sender":"10004346",
		"receptor":"09121234567","date":1356619709,"cost":120}]}`
)

func openKavenegar(t *testing.T, o KavenegarOptions) *Kavenegar {
	t.Helper()
	o.APIKey = cmp.Or(o.APIKey, kavenegarKey)
	k := NewKavenegar(o)
	t.Cleanup(k.transport.CloseIdleConnections)
	return k
}

// changed returns the message with another number, channel and purpose.
func changed(e164, channel string, purpose otp.Purpose) otp.Message {
	m := message
	m.To, m.Channel, m.Purpose = phone.Stored(e164), channel, purpose
	return m
}

const (
	kavenegarMethods = "POST /proxy/v1/5A6D%2F4b67%20key/"
	kavenegarLookup  = kavenegarMethods + "verify/lookup.json"
	kavenegarSend    = kavenegarMethods + "sms/send.json"
	kavenegarLocalID = "5882654319921077939" // Half the first 64 bits of the identifier's SHA-256, by sha256sum.
)

var (
	forChange       = otp.ForPhoneChange(uuid.MustParse("0199d2c4-0000-7000-8000-000000000001"))
	kavenegarLogin  = KavenegarOptions{Template: "login"}
	kavenegarChange = KavenegarOptions{Template: "login", ChangeTemplate: "change"}
	kavenegarPlain  = KavenegarOptions{Sender: "10004346"}
)

var kavenegarCalls = []struct {
	name    string
	options KavenegarOptions
	message otp.Message
	want    string
	form    url.Values
}{
	{
		"a login by template", kavenegarLogin, message, kavenegarLookup,
		url.Values{"receptor": {"09121234567"}, "token": {"042137"}, "template": {"login"}, "type": {"sms"}},
	},
	{
		"a call", kavenegarLogin, changed("+989121234567", otp.Voice, otp.ForLogin), kavenegarLookup,
		url.Values{"receptor": {"09121234567"}, "token": {"042137"}, "template": {"login"}, "type": {"call"}},
	},
	{
		"a change by template", kavenegarChange, changed("+989121234567", otp.SMS, forChange), kavenegarLookup,
		url.Values{"receptor": {"09121234567"}, "token": {"042137"}, "template": {"change"}, "type": {"sms"}},
	},
	{
		"a change by a call", kavenegarChange, changed("+989121234567", otp.Voice, forChange), kavenegarLookup,
		url.Values{"receptor": {"09121234567"}, "token": {"042137"}, "template": {"change"}, "type": {"call"}},
	},
	{
		"a change without a template", kavenegarLogin, changed("+989121234567", otp.SMS, forChange), kavenegarSend,
		url.Values{"receptor": {"09121234567"}, "message": {message.Text}, "localid": {kavenegarLocalID}},
	},
	{
		"a login without a template", kavenegarPlain, message, kavenegarSend,
		url.Values{
			"receptor": {"09121234567"},
			"message":  {message.Text},
			"localid":  {kavenegarLocalID},
			"sender":   {"10004346"},
		},
	},
	{
		"a number abroad", kavenegarPlain, changed("+4915112345678", otp.SMS, otp.ForLogin), kavenegarSend,
		url.Values{
			"receptor": {"004915112345678"},
			"message":  {message.Text},
			"localid":  {kavenegarLocalID},
			"sender":   {"10004346"},
		},
	},
}

func TestKavenegarAsks(t *testing.T) {
	for _, tc := range kavenegarCalls {
		t.Run(tc.name, func(t *testing.T) {
			tc.options.BaseURL = serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.RequestURI; got != tc.want {
					t.Errorf("asked %s; want %s", got, tc.want)
				}
				if got := r.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
					t.Errorf("Content-Type %q", got)
				}
				body, _ := io.ReadAll(r.Body)
				if got, err := url.ParseQuery(string(body)); err != nil || got.Encode() != tc.form.Encode() {
					t.Errorf("posted %v, %v; want %v", got, err, tc.form)
				}
				_, _ = io.WriteString(w, kavenegarOK)
			}) + "/proxy/"
			id, err := openKavenegar(t, tc.options).Send(t.Context(), tc.message)
			if id != "8792343" || err != nil {
				t.Errorf("Send = %q, %v; want 8792343", id, err)
			}
		})
	}
}

const (
	accepted   = "accepted"
	rejected   = "rejected"   // The number is at fault.
	refused    = "refused"    // Something else is at fault.
	throttled  = "throttled"  // Refused for now.
	unreadable = "unreadable" // Not an answer of the protocol.
)

// classOf returns what an error of Send says, and the service's code.
func classOf(err error) (class, code string) {
	failure, _ := errors.AsType[*Failure](err)
	switch {
	case err == nil:
		return accepted, ""
	case errors.Is(err, errNoAnswer):
		return unreadable, ""
	case failure == nil:
		return err.Error(), ""
	case errors.Is(err, otp.ErrUndeliverable):
		return rejected, failure.Code
	case failure.Status == http.StatusTooManyRequests:
		return throttled, failure.Code
	}
	return refused, failure.Code
}

// kavenegarEntry returns an answer with one message.
func kavenegarEntry(id string, status int) string {
	const format = `{"return":{"status":200},"entries":[{"messageid":%s,"status":%d,"statustext":"…"}]}`
	return fmt.Sprintf(format, id, status)
}

// kavenegarNo returns an answer without a message.
func kavenegarNo(code int) string {
	const format = `{"return":{"status":%d,"message":"گیرنده 09121234567 نامعتبر است"},"entries":null}`
	return fmt.Sprintf(format, code)
}

var kavenegarAnswers = []struct {
	http       int
	body       string
	to         string // Defaults to the message's own.
	want, code string
}{
	{200, kavenegarEntry("85463238", 1), "", accepted, ""},
	{200, kavenegarEntry("85463238", 2), "", accepted, ""},
	{200, kavenegarEntry("85463238", 4), "", accepted, ""},
	{200, kavenegarEntry(`"85463238"`, 5), "", accepted, ""},
	{200, kavenegarEntry("85463238", 10), "", accepted, ""},
	{200, kavenegarEntry("85463238", 6), "", refused, "6"},
	{200, kavenegarEntry("85463238", 11), "", refused, "11"},
	{200, kavenegarEntry("85463238", 13), "", refused, "13"},
	{200, kavenegarEntry("85463238", 14), "", refused, "14"},
	{200, kavenegarEntry("85463238", 100), "", refused, "100"},
	{411, kavenegarNo(411), "", rejected, "411"},
	{200, kavenegarNo(411), "", rejected, "411"},
	{411, kavenegarNo(411), "+4915112345678", refused, "411"},
	{429, kavenegarNo(429), "", throttled, "429"},
	{451, kavenegarNo(451), "", throttled, "451"},
	{200, kavenegarNo(418), "", refused, "418"},
	{400, kavenegarNo(400), "", refused, "400"},
	{401, kavenegarNo(401), "", refused, "401"},
	{402, kavenegarNo(402), "", refused, "402"},
	{403, kavenegarNo(403), "", refused, "403"},
	{405, kavenegarNo(405), "", refused, "405"},
	{407, kavenegarNo(407), "", refused, "407"},
	{409, kavenegarNo(409), "", refused, "409"},
	{412, kavenegarNo(412), "", refused, "412"},
	{413, kavenegarNo(413), "", refused, "413"},
	{414, kavenegarNo(414), "", refused, "414"},
	{416, kavenegarNo(416), "", refused, "416"},
	{418, kavenegarNo(418), "", refused, "418"},
	{420, kavenegarNo(420), "", refused, "420"},
	{422, kavenegarNo(422), "", refused, "422"},
	{424, kavenegarNo(424), "", refused, "424"},
	{426, kavenegarNo(426), "", refused, "426"},
	{427, kavenegarNo(427), "", refused, "427"},
	{428, kavenegarNo(428), "", refused, "428"},
	{431, kavenegarNo(431), "", refused, "431"},
	{432, kavenegarNo(432), "", refused, "432"},
	{501, kavenegarNo(501), "", refused, "501"},
	{607, kavenegarNo(607), "", refused, "607"},
	{502, kavenegarNo(200), "", refused, "200"},
	{502, "<html>411</html>", "", refused, ""},
	{200, kavenegarEntry("0", 1), "", unreadable, ""},
	{200, kavenegarEntry("-1", 1), "", unreadable, ""},
	{200, kavenegarEntry("null", 1), "", unreadable, ""},
	{200, `{"return":{"status":200},"entries":[{"messageid":85463238}]}`, "", unreadable, ""},
	{200, `{"return":{"status":200},"entries":[]}`, "", unreadable, ""},
	{200, `{"entries":[{"messageid":85463238,"status":1}]}`, "", unreadable, ""},
	{200, kavenegarOK[:80], "", unreadable, ""},
	{200, "OK", "", unreadable, ""},
	{204, "", "", unreadable, ""},
}

func TestKavenegarTellsTheNumbersFault(t *testing.T) {
	for _, tc := range kavenegarAnswers {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tc.http)
			_, _ = io.WriteString(w, tc.body)
		})
		k := openKavenegar(t, KavenegarOptions{Template: "login", BaseURL: base})
		id, err := k.Send(t.Context(), changed(cmp.Or(tc.to, "+989121234567"), otp.SMS, otp.ForLogin))
		got, code := classOf(err)
		if got != tc.want || code != tc.code || (err == nil) != (id == "85463238") {
			t.Errorf("Send answered %d %s = %q, %v: %s; want %s by code %q",
				tc.http, tc.body, id, err, got, tc.want, tc.code)
		}
		if err != nil && strings.Contains(err.Error(), "9121234567") {
			t.Errorf("Send answered %d %s = %v; want no number", tc.http, tc.body, err)
		}
	}
}

func TestKavenegarFaults(t *testing.T) {
	testFaults(t, func(t *testing.T, base string) Provider {
		return openKavenegar(t, KavenegarOptions{BaseURL: base, HookSecret: kavenegarSecret})
	}, kavenegarKey, url.PathEscape(kavenegarKey), kavenegarSecret)
	for _, base := range []string{"http://" + closed(t), "://", "http://%zz"} {
		err := send(t, openKavenegar(t, KavenegarOptions{BaseURL: base}), message, time.Minute)
		if err == nil || errors.Is(err, otp.ErrUndeliverable) || strings.Contains(err.Error(), "5A6D") {
			t.Errorf("Send to %s = %v; want an error that does not blame the number or quote the key", base, err)
		}
	}
}

// TestKavenegarDoesNotCallWithoutATemplate checks that a call is not replaced by plain text.
func TestKavenegarDoesNotCallWithoutATemplate(t *testing.T) {
	base := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s", r.RequestURI) })
	k := openKavenegar(t, KavenegarOptions{Template: "login", BaseURL: base})
	err := send(t, k, changed("+989121234567", otp.Voice, otp.ForPhoneChange(uuid.New())), time.Minute)
	if !errors.Is(err, errNoVoiceTemplate) || errors.Is(err, otp.ErrUndeliverable) {
		t.Errorf("Send of a voice message without a template = %v; want %v", err, errNoVoiceTemplate)
	}
}

func TestKavenegarChannels(t *testing.T) {
	for template, want := range map[string][]string{"": {otp.SMS}, "login": {otp.SMS, otp.Voice}} {
		if got := openKavenegar(t, KavenegarOptions{Template: template}).Channels(); !slices.Equal(got, want) {
			t.Errorf("with template %q: %v; want %v", template, got, want)
		}
	}
	const want = "KAVENEGAR_API_KEY: must be set for kavenegar in SMS_PROVIDERS or SMS_ROUTES"
	if got := faults("kavenegar", "KAVENEGAR_TEMPLATE=login"); got != want {
		t.Errorf("the settings without a key: %q; want %q", got, want)
	}
}

func TestKavenegarReadsReports(t *testing.T) {
	query := func(q string) otp.Callback { return otp.Callback{Secret: kavenegarSecret, Query: q} }
	form := func(b string) otp.Callback {
		return otp.Callback{
			Secret:      kavenegarSecret,
			ContentType: "application/x-www-form-urlencoded",
			Query:       "from=panel",
			Body:        []byte(b),
		}
	}
	delivered := []otp.Report{{ID: "30034577", Delivered: true}}
	lost := []otp.Report{{ID: "30034577"}}
	for _, tc := range []struct {
		callback otp.Callback
		want     []otp.Report
		err      error
	}{
		{query("messageid=30034577&status=10"), delivered, nil},
		{form("messageid=30034577&status=10"), delivered, nil},
		{form("messageid=30034577&status=6"), lost, nil},
		{form("messageid=30034577&status=11"), lost, nil},
		{form("messageid=30034577&status=13"), lost, nil},
		{form("messageid=30034577&status=14"), lost, nil},
		{form("messageid=30034577&status=1"), nil, nil},
		{form("messageid=30034577&status=2"), nil, nil},
		{form("messageid=30034577&status=4"), nil, nil},
		{form("messageid=30034577&status=5"), nil, nil},
		{form("messageid=30034577&status=100"), nil, nil},
		{query("messageid=1,2,3&status=10,4,11"), []otp.Report{{ID: "1", Delivered: true}, {ID: "3"}}, nil},
		{
			query("messageid=1%2C2&status=10%2C10"),
			[]otp.Report{{ID: "1", Delivered: true}, {ID: "2", Delivered: true}},
			nil,
		},
		{query(""), nil, otp.ErrCallback},
		{query("messageid=30034577"), nil, otp.ErrCallback},
		{query("status=10"), nil, otp.ErrCallback},
		{query("messageid=30034577&status=delivered"), nil, otp.ErrCallback},
		{query("messageid=a&status=10"), nil, otp.ErrCallback},
		{query("messageid=1,2&status=10"), nil, otp.ErrCallback},
		{query("messageid=1&status=%zz"), nil, otp.ErrCallback},
		{form(`{"messageid":30034577,"status":10}`), nil, otp.ErrCallback},
		{otp.Callback{Query: "messageid=30034577&status=10"}, nil, otp.ErrForged},
		{otp.Callback{Secret: "another", Query: "messageid=30034577&status=10"}, nil, otp.ErrForged},
		{otp.Callback{Secret: kavenegarSecret + "x", Query: "messageid=30034577&status=10"}, nil, otp.ErrForged},
	} {
		got, err := openKavenegar(t, KavenegarOptions{HookSecret: kavenegarSecret}).Read(tc.callback)
		if !slices.Equal(got, tc.want) || !errors.Is(err, tc.err) {
			t.Errorf("Read(%q, %q, %q) = %v, %v; want %v, %v",
				tc.callback.Secret, tc.callback.Query, tc.callback.Body, got, err, tc.want, tc.err)
		}
	}
	got, err := openKavenegar(t, KavenegarOptions{}).Read(otp.Callback{Query: "messageid=1&status=10"})
	if !errors.Is(err, otp.ErrForged) {
		t.Errorf("Read without a secret = %v, %v; want %v", got, err, otp.ErrForged)
	}
}
