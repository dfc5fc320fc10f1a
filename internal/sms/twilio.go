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
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

const twilioURL = "https://api.twilio.com"

// twilioRejects are the codes that blame the number itself (twilio.com/docs/api/errors), twilioRefuses those by which
// the account or its sender does not reach it, or not with this text: another provider may.
var twilioRejects = []string{
	"21211", // not a valid number
	"21217", // the same, said of calls
	"21265", // a short code
	"21614", // not a mobile number
	"21635", // a landline
}

var twilioRefuses = []string{
	"21408", // country not enabled
	"21608", // not verified, for a trial account
	"21610", // answered STOP
	"21612", // no route from the sender
	"21617", // too long
}

// TwilioOptions are the inputs of NewTwilio.
type TwilioOptions struct {
	AccountSID     string // AC and 32 hex digits
	AuthToken      string // the primary one: it signs the reports too
	From           string // a number (E.164), a short code, a name of at most 11 characters, or a Messaging Service's SID
	BaseURL        string // empty = Twilio's
	StatusCallback string // URL that the reports are sent to, without a query; empty = none are sent
}

// Twilio sends text messages by Twilio's Messages API, version 2010-04-01.
type Twilio struct {
	private
	o         TwilioOptions
	transport *http.Transport
}

var (
	_ Provider = (*Twilio)(nil)
	_ Reporter = (*Twilio)(nil)
)

// NewTwilio gives a provider with connections of its own.
func NewTwilio(o TwilioOptions) *Twilio {
	o.BaseURL = baseURL(o.BaseURL, twilioURL)
	return &Twilio{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Twilio) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. Twilio knows no idempotency key: the message's identifier is in the report's URL.
func (t *Twilio) Send(ctx context.Context, m otp.Message) (id string, err error) {
	form := url.Values{"To": {m.To.E164()}, "Body": {m.Text}}
	// The time in Twilio's own queue, 1 to 36000 seconds (error 21624).
	form.Set("ValidityPeriod", strconv.Itoa(int(min(max(m.TTL, time.Second), 10*time.Hour).Seconds())))
	if strings.HasPrefix(t.o.From, "MG") && len(t.o.From) > 11 { // a name may begin like that, and is shorter
		form.Set("MessagingServiceSid", t.o.From)
	} else {
		form.Set("From", t.o.From)
	}
	if t.o.StatusCallback != "" {
		form.Set("StatusCallback", t.o.StatusCallback+"?reference="+m.ID)
	}
	address := t.o.BaseURL + "/2010-04-01/Accounts/" + t.o.AccountSID + "/Messages.json"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(t.o.AccountSID+":"+t.o.AuthToken))
	a, err := postForm(ctx, t.transport, address, http.Header{"Authorization": {basic}}, form)
	if err != nil {
		return "", err
	}
	var body struct {
		SID     string      `json:"sid"`
		Code    json.Number `json:"code"`
		Message string      `json:"message"`
	}
	err = json.Unmarshal(a.body, &body)
	if !a.ok() { // whatever it could read of the body
		failure := a.failure(body.Code.String(), body.Message)
		failure.Rejected = slices.Contains(twilioRejects, failure.Code)
		failure.Refused = failure.Refused || slices.Contains(twilioRefuses, failure.Code)
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
