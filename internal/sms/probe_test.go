package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// probers open the providers that are probed over HTTP, with credentials that no error may quote.
var probers = map[string]func(t *testing.T, base string) Prober{
	"twilio": func(t *testing.T, base string) Prober { return openTwilio(t, base).(Prober) },
	"vonage": func(t *testing.T, base string) Prober {
		v := NewVonage(VonageOptions{APIKey: "hunter1", APISecret: "hunter2", BaseURL: base})
		t.Cleanup(v.transport.CloseIdleConnections)
		return v
	},
	"kavenegar": func(t *testing.T, base string) Prober { return openKavenegar(t, KavenegarOptions{BaseURL: base}) },
	"smsir": func(t *testing.T, base string) Prober {
		s := NewSMSIR(SMSIROptions{APIKey: "hunter2", Line: 1, BaseURL: base})
		t.Cleanup(s.transport.CloseIdleConnections)
		return s
	},
	"whatsapp": func(t *testing.T, base string) Prober {
		w := NewWhatsApp(WhatsAppOptions{Token: "hunter2", PhoneNumberID: "106540352242922", BaseURL: base})
		t.Cleanup(w.transport.CloseIdleConnections)
		return w
	},
	"telegram": func(t *testing.T, base string) Prober { return openTelegram(t, base).(Prober) },
	"sns":      func(t *testing.T, base string) Prober { return openSNS(t, SNSOptions{BaseURL: base}) },
}

var credentials = []string{twilioToken, "hunter1", "hunter2", kavenegarKey, telegramToken, snsSecret}

const snsError403 = `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
	<Error><Type>Sender</Type><Code>%s</Code><Message>hunter2</Message></Error></ErrorResponse>`

func snsSandbox(in bool) string {
	return fmt.Sprintf(`<GetSMSSandboxAccountStatusResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
		<GetSMSSandboxAccountStatusResult><IsInSandbox>%v</IsInSandbox></GetSMSSandboxAccountStatusResult>
		</GetSMSSandboxAccountStatusResponse>`, in)
}

var probeTests = []struct {
	provider, asked string
	status          int
	answer          string
	want            Account
	fault           string // "" = none
}{
	{
		"twilio",
		"GET /2010-04-01/Accounts/" + twilioSID + ".json",
		200,
		`{"sid":"AC","status":"active","type":"Full"}`,
		Account{},
		"",
	},
	{"twilio", "", 200, `{"status":"active","type":"Trial"}`, Account{TestOnly: true}, ""},
	{"twilio", "", 200, `{"status":"suspended","type":"Full"}`, Account{Closed: true}, ""},
	{
		"twilio",
		"",
		401,
		`{"code":20003,"message":"hunter2"}`,
		Account{},
		"refuses the credentials (answered 401, code 20003)",
	},
	{
		"twilio",
		"",
		403,
		`{"code":20008,"message":"hunter2"}`,
		Account{},
		"has test credentials, which send nothing",
	},
	{"twilio", "", 200, `{}`, Account{}, errNoAnswer.Error()},
	{"twilio", "", 500, `hunter2`, Account{}, "does not answer as it should (answered 500)"},
	{"twilio", "", 400, `{"code":"hunter2"}`, Account{}, "does not answer as it should (answered 400)"},
	{"vonage", "GET /account/get-balance", 200, `{"value":10.28,"autoReload":false}`, Account{}, ""},
	{"vonage", "", 200, `{"value":0}`, Account{Empty: true}, ""},
	{"vonage", "", 200, `{}`, Account{}, errNoAnswer.Error()},
	{"vonage", "", 401, `{"error-code":"401"}`, Account{}, "refuses the credentials (answered 401)"},
	{
		"kavenegar",
		"GET /v1/5A6D%2F4b67%20key/account/info.json",
		200,
		`{"return":{"status":200,"message":"تایید شد"},
			"entries":{"remaincredit":1500000,"expiredate":13548889,"type":"Master"}}`,
		Account{},
		"",
	},
	{"kavenegar", "", 200, `{"return":{"status":200},"entries":{"remaincredit":0}}`, Account{Empty: true}, ""},
	{
		"kavenegar",
		"",
		200,
		`{"return":{"status":407,"message":"hunter2"},"entries":{}}`,
		Account{},
		"does not answer as it should",
	},
	{
		"kavenegar",
		"",
		403,
		`{"return":{"status":403,"message":"hunter2"},"entries":null}`,
		Account{},
		"refuses the credentials (answered 403)",
	},
	{"smsir", "GET /v1/credit", 200, `{"status":1,"message":"موفق","data":100.0}`, Account{}, ""},
	{"smsir", "", 200, `{"status":1,"data":0}`, Account{Empty: true}, ""},
	{
		"smsir",
		"",
		401,
		`{"status":10,"message":"hunter2","data":null}`,
		Account{},
		"refuses the credentials (answered 401, code 10)",
	},
	{"smsir", "", 200, `{"status":0,"data":5}`, Account{}, errNoAnswer.Error()},
	{
		"whatsapp",
		"GET /v25.0/106540352242922?fields=id,quality_rating",
		200,
		`{"id":"106540352242922","quality_rating":"GREEN"}`,
		Account{},
		"",
	},
	{"whatsapp", "", 200, `{"id":"106540352242922","quality_rating":"RED"}`, Account{LowQuality: true}, ""},
	{
		"whatsapp",
		"",
		401,
		`{"error":{"code":190,"message":"hunter2"}}`,
		Account{},
		"refuses the credentials (code 190: the token is wrong or has expired)",
	},
	{
		"whatsapp",
		"",
		400,
		`{"error":{"code":100,"message":"hunter2"}}`,
		Account{},
		"has no sender of WHATSAPP_PHONE_ID, or none that this token may use",
	},
	{
		"whatsapp",
		"",
		400,
		`{"error":{"code":4,"message":"hunter2"}}`,
		Account{},
		"does not answer as it should (answered 400, code 4)",
	},
	{
		"telegram",
		"POST /checkVerificationStatus",
		200,
		`{"ok":false,"error":"REQUEST_ID_INVALID"}`,
		Account{Unproved: true},
		"",
	},
	{"telegram", "", 200, `{"ok":false,"error":"ACCESS_TOKEN_INVALID"}`, Account{}, "refuses the credentials"},
	{"telegram", "", 502, `hunter2`, Account{}, "does not answer as it should (answered 502)"},
	{"sns", "POST /", 200, snsSandbox(false), Account{}, ""},
	{"sns", "", 200, snsSandbox(true), Account{TestOnly: true}, ""},
	{
		"sns",
		"",
		403,
		fmt.Sprintf(snsError403, "InvalidClientTokenId"),
		Account{},
		"refuses the credentials (InvalidClientTokenId)",
	},
	{
		"sns",
		"",
		403,
		fmt.Sprintf(snsError403, "AuthorizationError"),
		Account{
			Unchecked: "may not ask whether the account is in the SMS sandbox (sns:GetSMSSandboxAccountStatus)",
		},
		"",
	},
	{
		"sns",
		"",
		500,
		fmt.Sprintf(snsError403, "InternalError"),
		Account{},
		"does not answer as it should (answered 500)",
	},
}

func TestProbe(t *testing.T) {
	for _, tc := range probeTests {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Method + " " + r.RequestURI; tc.asked != "" && got != tc.asked {
				t.Errorf("%s is asked %s; want %s", tc.provider, got, tc.asked)
			}
			if tc.provider == "sns" {
				w.Header().Set("Content-Type", "text/xml")
			}
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.answer)
		})
		got, err := probers[tc.provider](t, base).Probe(t.Context())
		fault := ""
		if err != nil {
			fault = err.Error()
		}
		if got != tc.want || fault != tc.fault {
			t.Errorf("%s answers %d %s: %+v, %q; want %+v, %q",
				tc.provider, tc.status, tc.answer, got, fault, tc.want, tc.fault)
		}
	}
}

// TestProbeAuthenticates checks that the calls have the credentials.
func TestProbeAuthenticates(t *testing.T) {
	for provider, want := range map[string]string{
		"vonage":   "Basic aHVudGVyMTpodW50ZXIy",
		"whatsapp": "Bearer hunter2",
		"telegram": "Bearer " + telegramToken,
		"smsir":    "hunter2",
	} {
		base := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key"); got != want {
				t.Errorf("%s is asked with %q; want %q", provider, got, want)
			}
		})
		_, _ = probers[provider](t, base).Probe(t.Context())
	}
}

// TestProbeFaults checks that every provider returns an error in time that quotes no credential, whatever the service
// does.
func TestProbeFaults(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.RequestURI, r.Header)
	}
	for name, url := range map[string]string{
		"echo":    serve(t, echo),
		"denied":  serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401); echo(w, r) }),
		"garbage": serveRaw(t, func(c net.Conn, request []byte) { _, _ = c.Write(request) }),
		"hang":    serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		"closed":  "http://127.0.0.1:1",
	} {
		for provider, open := range probers {
			timeout := 300 * time.Millisecond // for servers that have no answer
			if name == "denied" {
				timeout = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			began := time.Now()
			_, err := open(t, url).Probe(ctx)
			cancel()
			if name == "echo" && provider == "sns" { // the SDK takes any 200 for an answer
				continue
			}
			refuses := errors.Is(err, ErrCredentials)
			if err == nil || time.Since(began) > time.Minute || (name == "denied") != refuses && provider != "sns" {
				t.Errorf("%s, %s: %v after %v; want an error in time", provider, name, err, time.Since(began))
			}
			for _, secret := range credentials {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s, %s: %v; want no credential", provider, name, err)
				}
			}
		}
	}
}

func TestProbeSNSWithoutCredentials(t *testing.T) {
	noAWS(t)
	s, err := NewSNS(SNSOptions{Region: "eu-central-1", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "has no credentials") {
		t.Errorf("Probe: %v; want that there are none", err)
	}
}

// TestProbeWebhook checks that the endpoint is connected to, and is sent nothing.
func TestProbeWebhook(t *testing.T) {
	unasked := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the endpoint is asked %s", r.Method)
	})
	plain, secured := httptest.NewServer(unasked), httptest.NewUnstartedServer(unasked)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer plain.Close()
	defer secured.Close()
	open := func(url string) *Webhook {
		return NewWebhook(WebhookOptions{URL: url})
	}
	got, err := open(plain.URL + "/send").Probe(t.Context())
	if want := (Account{Unproved: true}); got != want || err != nil {
		t.Errorf("Probe over http: %+v, %v; want %+v", got, err, want)
	}
	if _, err := open(secured.URL).Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Probe over https: %v; want that the certificate is not trusted", err)
	}
	trusting := open(secured.URL)
	trusting.transport.TLSClientConfig = secured.Client().Transport.(*http.Transport).TLSClientConfig
	if got, err := trusting.Probe(t.Context()); err != nil || got.Certificate.IsZero() {
		t.Errorf("Probe over https, trusted: %+v, %v; want the certificate's end", got, err)
	}
	if _, err := open("http://127.0.0.1:1").Probe(t.Context()); err == nil {
		t.Error("Probe of a closed port: no error")
	}
}

func TestProbeSMTP(t *testing.T) {
	good, bad := serveSMTP(t, nil), serveSMTP(t, map[string]string{"NOOP": "421 hunter2"})
	probe := func(c *catcher) (Account, error) {
		return NewSMTP(SMTPOptions{Addr: c.addr}).Probe(t.Context())
	}
	if got, err := probe(good); err != nil || !got.Unproved {
		t.Errorf("Probe: %+v, %v; want it reached", got, err)
	}
	for range 2 {
		if command := <-good.commands; strings.HasPrefix(command, "MAIL") {
			t.Errorf("Probe sends %s; want no mail", command)
		}
	}
	if _, err := probe(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Probe: %v; want an error that does not quote the server", err)
	}
}
