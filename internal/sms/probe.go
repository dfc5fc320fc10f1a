package sms

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"dekamond-otp/internal/config"
	"dekamond-otp/internal/doctor"
)

// A Prober asks its service something that sends nothing and costs nothing. Its errors are doctor.ErrRefused where the
// service does not take the credentials, a doctor.Said, and otherwise what kept it from answering.
type Prober interface {
	Probe(ctx context.Context) (doctor.Account, error)
}

var (
	_ = []Prober{(*Twilio)(nil), (*Vonage)(nil), (*Kavenegar)(nil), (*SMSIR)(nil), (*SNS)(nil)}
	_ = []Prober{(*WhatsApp)(nil), (*Telegram)(nil), (*Webhook)(nil), (*SMTP)(nil)}
)

// Patients gives every provider that the settings name, whatever is wrong with it.
func Patients(c *config.Config) (patients []doctor.Provider) {
	for _, name := range c.UsedProviders() {
		p, hears, err := open(c, name, io.Discard)
		patient := doctor.Provider{Name: name, Fault: err}
		if prober, ok := p.(Prober); ok && err == nil {
			patient.Probe = prober.Probe
		}
		_, patient.Could = p.(Reporter)
		patient.Reports = patient.Could && hears
		patients = append(patients, patient)
	}
	return patients
}

// get makes a call without a body, and reads the JSON of a yes.
func get(ctx context.Context, t *http.Transport, address string, h http.Header, value any) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	if h != nil {
		r.Header = h
	}
	a, err := ask(t, r)
	if err == nil && a.ok() && json.Unmarshal(a.body, value) != nil {
		err = errNoAnswer
	}
	return a, err
}

var shownCode = regexp.MustCompile(`^[0-9]{1,6}$`)

// no is what a service's answer says that is no yes: its status, and its code where that is a short number.
func (a answer) no(code string) error {
	text := fmt.Sprintf("answered %d", a.status)
	if shownCode.MatchString(code) && code != fmt.Sprint(a.status) {
		text += ", code " + code
	}
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		return fmt.Errorf("%w (%s)", doctor.ErrRefused, text)
	}
	return doctor.Said("does not answer as it should (" + text + ")")
}

// Probe fetches the account (twilio.com/docs/iam/api/account). Test credentials may not (error 20008).
func (t *Twilio) Probe(ctx context.Context) (doctor.Account, error) {
	var account struct{ Status, Type string }
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(t.o.AccountSID+":"+t.o.AuthToken))
	a, err := get(ctx, t.transport, t.o.BaseURL+"/2010-04-01/Accounts/"+t.o.AccountSID+".json", http.Header{"Authorization": {basic}}, &account)
	if err != nil {
		return doctor.Account{}, err
	}
	if !a.ok() {
		var body struct{ Code json.Number }
		_ = json.Unmarshal(a.body, &body) // what cannot be read stays empty
		if body.Code == "20008" {
			return doctor.Account{}, doctor.Said("has test credentials, which send nothing")
		}
		return doctor.Account{}, a.no(body.Code.String())
	}
	if account.Status == "" {
		return doctor.Account{}, errNoAnswer
	}
	return doctor.Account{Closed: account.Status != "active", TestOnly: account.Type == "Trial"}, nil
}

// Probe asks for the balance (developer.vonage.com, Account API).
func (v *Vonage) Probe(ctx context.Context) (doctor.Account, error) {
	var balance struct{ Value *float64 }
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(v.o.APIKey+":"+v.o.APISecret))
	a, err := get(ctx, v.transport, v.o.BaseURL+"/account/get-balance", http.Header{"Authorization": {basic}}, &balance)
	switch {
	case err != nil:
		return doctor.Account{}, err
	case !a.ok():
		return doctor.Account{}, a.no("")
	case balance.Value == nil:
		return doctor.Account{}, errNoAnswer
	}
	return doctor.Account{Empty: *balance.Value <= 0}, nil
}

// Probe calls account/info (kavenegar.com/rest.html).
func (k *Kavenegar) Probe(ctx context.Context) (doctor.Account, error) {
	var body struct {
		Return  struct{ Status json.Number }
		Entries struct{ RemainCredit *float64 }
	}
	a, err := get(ctx, k.transport, k.url+"account/info.json", nil, &body)
	switch code := body.Return.Status.String(); {
	case err != nil:
		return doctor.Account{}, err
	case !a.ok():
		return doctor.Account{}, a.no("")
	case code != "200":
		return doctor.Account{}, doctor.Said("does not answer as it should")
	case body.Entries.RemainCredit == nil:
		return doctor.Account{}, errNoAnswer
	}
	return doctor.Account{Empty: *body.Entries.RemainCredit <= 0}, nil
}

// Probe calls credit (sms.ir/rest-api).
func (s *SMSIR) Probe(ctx context.Context) (doctor.Account, error) {
	var body struct {
		Status json.Number
		Data   *float64
	}
	h := http.Header{"Accept": {"application/json"}, "X-Api-Key": {s.options.APIKey}}
	a, err := get(ctx, s.transport, strings.TrimSuffix(s.url, "send/")+"credit", h, &body)
	switch {
	case err != nil:
		return doctor.Account{}, err
	case !a.ok():
		_ = json.Unmarshal(a.body, &body) // what cannot be read stays empty
		return doctor.Account{}, a.no(body.Status.String())
	case body.Status != "1" || body.Data == nil:
		return doctor.Account{}, errNoAnswer
	}
	return doctor.Account{Empty: *body.Data <= 0}, nil
}

// Probe fetches the sender (developers.facebook.com, WhatsApp Business Phone Number API).
func (w *WhatsApp) Probe(ctx context.Context) (doctor.Account, error) {
	var sender struct {
		ID      string
		Quality string `json:"quality_rating"`
	}
	address := w.o.BaseURL + "/" + whatsAppVersion + "/" + url.PathEscape(w.o.PhoneNumberID) + "?fields=id,quality_rating"
	a, err := get(ctx, w.transport, address, bearer(w.o.Token), &sender)
	if err != nil {
		return doctor.Account{}, err
	}
	if !a.ok() {
		var body struct{ Error struct{ Code json.Number } }
		_ = json.Unmarshal(a.body, &body) // what cannot be read stays empty
		switch code := body.Error.Code.String(); {
		case code == "190": // by 400 or 401
			return doctor.Account{}, fmt.Errorf("%w (code 190: the token is wrong or has expired)", doctor.ErrRefused)
		case code == "100" || a.status == http.StatusNotFound:
			return doctor.Account{}, doctor.Said("has no sender of WHATSAPP_PHONE_ID, or none that this token may use")
		default:
			return doctor.Account{}, a.no(code)
		}
	}
	if sender.ID == "" {
		return doctor.Account{}, errNoAnswer
	}
	return doctor.Account{LowQuality: sender.Quality == "RED"}, nil
}

// Probe asks for the status of a message that there is not: the only call that is free. A wrong token is answered with
// ACCESS_TOKEN_INVALID (core.telegram.org/gateway/api); whether that is looked at first is not documented.
func (t *Telegram) Probe(ctx context.Context) (doctor.Account, error) {
	a, err := postJSON(ctx, t.transport, t.o.BaseURL+"/checkVerificationStatus", bearer(t.o.Token), map[string]string{"request_id": "0"})
	if err != nil {
		return doctor.Account{}, err
	}
	var body struct {
		OK    *bool
		Error string
	}
	switch err := json.Unmarshal(a.body, &body); {
	case body.Error == "ACCESS_TOKEN_INVALID" || a.status == http.StatusUnauthorized:
		return doctor.Account{}, doctor.ErrRefused
	case err != nil || body.OK == nil:
		return doctor.Account{}, a.no("")
	}
	return doctor.Account{Unproved: true}, nil
}

// snsRefuses are the codes of credentials that AWS does not know, or that have ended (SNS API, Common errors).
var snsRefuses = []string{
	"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "MissingAuthenticationToken",
	"IncompleteSignature", "OptInRequired",
}

// Probe asks whether the account is still in the SMS sandbox. A role that may do no more than publish may not ask, and
// has shown by then that AWS knows it.
func (s *SNS) Probe(ctx context.Context) (doctor.Account, error) {
	if _, err := s.credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return doctor.Account{}, ctx.Err()
		}
		return doctor.Account{}, doctor.Said("has no credentials: neither the environment nor a file nor a role has any")
	}
	out, err := s.client.GetSMSSandboxAccountStatus(ctx, new(sns.GetSMSSandboxAccountStatusInput))
	if err == nil {
		return doctor.Account{TestOnly: out.IsInSandbox}, nil
	}
	failure, ok := errors.AsType[*Failure](snsError(ctx, err))
	switch {
	case !ok:
		return doctor.Account{}, snsError(ctx, err)
	case slices.Contains(snsRefuses, failure.Code):
		return doctor.Account{}, fmt.Errorf("%w (%s)", doctor.ErrRefused, failure.Code)
	case failure.Code == "AuthorizationError" || failure.Code == "AccessDenied":
		return doctor.Account{Unsaid: "may not ask whether the account is in the SMS sandbox (sns:GetSMSSandboxAccountStatus)"}, nil
	}
	return doctor.Account{}, answer{status: failure.Status}.no("")
}

// Probe opens a connection, with TLS where the URL has it, and sends nothing over it.
func (w *Webhook) Probe(ctx context.Context) (account doctor.Account, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, http.NoBody)
	if err != nil {
		return account, cause(ctx, err)
	}
	if proxy, err := http.ProxyFromEnvironment(r); err == nil && proxy != nil {
		return doctor.Account{Proxied: true}, nil
	}
	dial, port := (&net.Dialer{Timeout: dialTimeout}).DialContext, "80"
	if r.URL.Scheme == "https" {
		dial, port = (&tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: w.transport.TLSClientConfig}).DialContext, "443"
	}
	if own := r.URL.Port(); own != "" {
		port = own
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(r.URL.Hostname(), port))
	if err != nil {
		return account, err
	}
	account.Unproved = true
	if secured, ok := conn.(*tls.Conn); ok {
		account.Certificate = secured.ConnectionState().PeerCertificates[0].NotAfter
	}
	_ = conn.Close() // nothing was written that could be lost
	return account, nil
}

// Probe greets the server and does nothing.
func (s *SMTP) Probe(ctx context.Context) (doctor.Account, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return doctor.Account{}, cause(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := smtp.NewClient(conn, s.host)
	if err == nil {
		err = c.Noop()
	}
	if err != nil {
		return doctor.Account{}, cause(ctx, err)
	}
	_, _ = c.Text.Cmd("QUIT") // whose answer nobody waits for
	return doctor.Account{Unproved: true}, nil
}
