package sms

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
)

const twilioURL = "https://api.twilio.com"

var twilio = Description{
	Provider: setting.Provider{
		Name: "twilio",
		Variables: []setting.Variable{
			{
				Name:     "TWILIO_ACCOUNT_SID",
				Example:  "AC00112233445566778899aabbccddeeff",
				Required: true,
				Shape:    regexp.MustCompile(`^AC[0-9a-f]{32}$`),
				Like:     "AC and 32 hexadecimal digits",
			},
			{
				Name:     "TWILIO_AUTH_TOKEN",
				Example:  "00112233445566778899aabbccddeeff",
				Required: true,
				Secret:   true,
				Shape:    regexp.MustCompile(`^[0-9a-f]{32}$`),
				Like:     "32 hexadecimal digits",
			},
			{
				Name:     "TWILIO_FROM",
				Example:  "+15005550006",
				Required: true,
				Shape: regexp.MustCompile(`^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|MG[0-9a-f]{32}|` +
					`[A-Za-z0-9 ]{0,10}[A-Za-z][A-Za-z0-9 ]{0,10})$`),
				Like: "a number with +, a short code, MG… or a name of at most 11 letters and digits",
			},
			baseURLVariable("TWILIO_BASE_URL", twilioURL),
		},
	},
	Channels:       []string{otp.SMS},
	BaseURL:        twilioURL,
	ReportSettings: []string{"PUBLIC_URL"}, // Reports are requested with each message, and signed with the auth token.
	New: func(in Inputs) (Provider, error) {
		return NewTwilio(TwilioOptions{
			AccountSID:     in.Text("TWILIO_ACCOUNT_SID"),
			AuthToken:      in.Text("TWILIO_AUTH_TOKEN"),
			From:           in.Text("TWILIO_FROM"),
			BaseURL:        in.Text("TWILIO_BASE_URL"),
			StatusCallback: in.Callback,
		}), nil
	},
}

// twilioNumberCodes are the errors that blame the number itself (twilio.com/docs/api/errors).
var twilioNumberCodes = []string{
	"21211", // Not a valid number.
	"21217", // The same, of calls.
	"21265", // A short code.
	"21614", // Not a mobile number.
	"21635", // A landline.
}

// twilioMessageCodes are the errors by which the account or its sender does not reach the number, or not with this
// text; another provider may.
var twilioMessageCodes = []string{
	"21408", // The country is not enabled.
	"21608", // Not verified, for a trial account.
	"21610", // The person answered STOP.
	"21612", // No route from the sender.
	"21617", // Too long.
}

// TwilioOptions are the inputs of NewTwilio.
type TwilioOptions struct {
	AccountSID string // AC and 32 hexadecimal digits.
	AuthToken  string // The primary one, which also signs the reports.
	// A number (E.164), a short code, a name of at most 11 characters, or a Messaging Service's SID.
	From           string
	BaseURL        string // Defaults to Twilio's.
	StatusCallback string // URL for reports, without a query; empty = no reports are requested.
}

// Twilio sends text messages by Twilio's Messages API, version 2010-04-01.
type Twilio struct {
	opaque
	o         TwilioOptions
	transport *http.Transport
}

var (
	_ Prober   = (*Twilio)(nil)
	_ Reporter = (*Twilio)(nil)
)

// NewTwilio returns a provider with connections of its own.
func NewTwilio(o TwilioOptions) *Twilio {
	o.BaseURL = baseURL(o.BaseURL, twilioURL)
	return &Twilio{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Twilio) Channels() []string { return []string{otp.SMS} }

// account returns the URL of the account.
func (t *Twilio) account() string { return t.o.BaseURL + "/2010-04-01/Accounts/" + t.o.AccountSID }

// Send implements Provider. Twilio knows no idempotency key; the message's identifier is part of the report's URL.
func (t *Twilio) Send(ctx context.Context, m otp.Message) (id string, err error) {
	form := url.Values{"To": {m.To.E164()}, "Body": {m.Text}}
	// The time in Twilio's own queue, 1 to 36000 seconds (error 21624).
	form.Set("ValidityPeriod", strconv.Itoa(int(min(max(m.TTL, time.Second), 10*time.Hour).Seconds())))
	if strings.HasPrefix(t.o.From, "MG") && len(t.o.From) > 11 { // A sender's name may begin with MG, and is shorter.
		form.Set("MessagingServiceSid", t.o.From)
	} else {
		form.Set("From", t.o.From)
	}
	if t.o.StatusCallback != "" {
		form.Set("StatusCallback", t.o.StatusCallback+"?reference="+m.ID)
	}
	a, err := postForm(ctx, t.transport, t.account()+"/Messages.json", basic(t.o.AccountSID, t.o.AuthToken), form)
	if err != nil {
		return "", err
	}
	var body struct {
		SID     string      `json:"sid"`
		Code    json.Number `json:"code"`
		Message string      `json:"message"`
	}
	err = json.Unmarshal(a.body, &body)
	if !a.ok() { // The body may be unreadable or incomplete here.
		failure := a.failure(body.Code.String(), body.Message)
		switch {
		case slices.Contains(twilioNumberCodes, failure.Code):
			failure.Scope = ScopeNumber
		case slices.Contains(twilioMessageCodes, failure.Code):
			failure.Scope = ScopeMessage
		}
		return "", failure
	}
	if err != nil || body.SID == "" {
		return "", errNoAnswer
	}
	return body.SID, nil
}

// Read implements Reporter. The status callback is a form, signed with its URL (twilio.com/docs/usage/security).
func (t *Twilio) Read(c otp.Callback) ([]otp.Report, error) {
	form, err := url.ParseQuery(string(c.Body))
	signed := hmac.Equal([]byte(c.Header("X-Twilio-Signature")), t.signature(c.URL, form))
	if err != nil || !signed || t.o.AuthToken == "" {
		return nil, otp.ErrForged
	}
	id, status := form.Get("MessageSid"), form.Get("MessageStatus")
	if id == "" || status == "" {
		return nil, otp.ErrCallback
	}
	switch status {
	case "delivered":
		return []otp.Report{{ID: id, Delivered: true}}, nil
	case "failed", "undelivered":
		return []otp.Report{{ID: id}}, nil
	}
	return nil, nil
}

func (t *Twilio) signature(address string, form url.Values) []byte {
	h := hmac.New(sha1.New, []byte(t.o.AuthToken))
	_, _ = io.WriteString(h, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			_, _ = io.WriteString(h, name+value)
		}
	}
	return base64.StdEncoding.AppendEncode(nil, h.Sum(nil))
}

// Probe fetches the account (twilio.com/docs/iam/api/account), which test credentials may not do (error 20008).
func (t *Twilio) Probe(ctx context.Context) (Account, error) {
	var account struct{ Status, Type string }
	a, err := get(ctx, t.transport, t.account()+".json", basic(t.o.AccountSID, t.o.AuthToken), &account)
	if err != nil {
		return Account{}, err
	}
	if !a.ok() {
		var body struct{ Code json.Number }
		_ = json.Unmarshal(a.body, &body) // What cannot be read stays empty.
		if body.Code == "20008" {
			return Account{}, probe.Error("has test credentials, which send nothing")
		}
		return Account{}, a.probeError(body.Code.String())
	}
	if account.Status == "" {
		return Account{}, errNoAnswer
	}
	return Account{Closed: account.Status != "active", TestOnly: account.Type == "Trial"}, nil
}
