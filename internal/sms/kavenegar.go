package sms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

const kavenegarURL = "https://api.kavenegar.com"

var errNoCall = refusal("no template for a call of this purpose")

// KavenegarOptions are the inputs of NewKavenegar. A message whose purpose has no template is sent as plain
// text by a line; a call is not.
type KavenegarOptions struct {
	APIKey         string // of the account
	Template       string // name of the template of logins, with %token for the code; with it, voice is offered too
	ChangeTemplate string // the same for changes of phone
	Sender         string // line of plain messages, such as 10004346; empty = the account's default
	HookSecret     string // the path's last part in the URL of the callback; empty = no callback is read
	BaseURL        string // default https://api.kavenegar.com
}

// Kavenegar delivers messages and calls by the REST API of Kavenegar, in whose URLs the key stands
// (https://kavenegar.com/rest.html).
type Kavenegar struct {
	private
	options   KavenegarOptions
	url       string // of all methods, up to their names
	transport *http.Transport
}

var (
	_ Provider = (*Kavenegar)(nil)
	_ Reporter = (*Kavenegar)(nil)
)

// NewKavenegar gives a provider with connections of its own. Its error is a missing key.
func NewKavenegar(o KavenegarOptions) (*Kavenegar, error) {
	if o.APIKey == "" {
		return nil, errors.New("sms: Kavenegar: API key: missing")
	}
	return &Kavenegar{options: o, url: baseURL(o.BaseURL, kavenegarURL) + "/v1/" + url.PathEscape(o.APIKey) + "/", transport: newTransport()}, nil
}

// Channels implements Provider.
func (k *Kavenegar) Channels() []string {
	if k.options.Template == "" {
		return []string{otp.SMS}
	}
	return []string{otp.SMS, otp.Voice}
}

// Send calls verify/lookup with the template of the message's purpose, or else sms/send.
func (k *Kavenegar) Send(ctx context.Context, m otp.Message) (id string, err error) {
	method, form, err := k.call(m)
	if err != nil {
		return "", err
	}
	a, err := postForm(ctx, k.transport, k.url+method, nil, form)
	if err != nil {
		return "", err
	}
	return readKavenegar(a, m.To)
}

// call gives the method that delivers the message, and its parameters.
func (k *Kavenegar) call(m otp.Message) (method string, form url.Values, err error) {
	receptor, ok := iranian(m.To)
	if !ok {
		receptor = "00" + strings.TrimPrefix(m.To.E164(), "+")
	}
	template, kind := k.options.Template, "sms"
	if m.Purpose != otp.ForLogin {
		template = k.options.ChangeTemplate
	}
	if m.Channel == otp.Voice {
		kind = "call"
	}
	if template != "" {
		form = url.Values{"receptor": {receptor}, "template": {template}, "token": {m.Code}, "type": {kind}}
		return "verify/lookup.json", form, nil
	}
	if m.Channel != otp.SMS {
		return "", nil, errNoCall
	}
	form = url.Values{"receptor": {receptor}, "message": {m.Text}, "localid": {localID(m.ID)}}
	if k.options.Sender != "" {
		form.Set("sender", k.options.Sender)
	}
	return "sms/send.json", form, nil
}

// readKavenegar reads {"return":{"status","message"},"entries":[{"messageid","status","statustext"}]}. An
// invalid receptor (411) is the number's fault in Iran alone: elsewhere it may be a country that the account
// does not reach. A blocked message (14) is not: the subscriber wants nothing from advertising lines, and
// another provider may have a line of another kind.
func readKavenegar(a answer, to phone.Number) (id string, err error) {
	var body struct {
		Return struct {
			Status  json.Number
			Message string
		}
		Entries []struct {
			MessageID, Status json.Number
			StatusText        string
		}
	}
	_ = json.Unmarshal(a.body, &body) // what cannot be read stays empty
	code, text := body.Return.Status.String(), body.Return.Message
	if a.ok() && (code == "" || code == "200") {
		if code == "" || len(body.Entries) != 1 {
			return "", errNoAnswer
		}
		made := body.Entries[0]
		if !isID(made.MessageID) || made.Status == "" {
			return "", errNoAnswer
		}
		code, text = made.Status.String(), made.StatusText
		if slices.Contains([]string{"1", "2", "4", "5", "10"}, code) { // queued, scheduled, sent (twice), delivered
			return made.MessageID.String(), nil
		}
	}
	failure := a.failure(code, text)
	if code == "451" { // too many calls
		failure.Status = http.StatusTooManyRequests
	}
	_, local := iranian(to)
	failure.Rejected = local && code == "411"
	failure.Refused = slices.Contains([]string{"14", "100", "411", "413", "422"}, code) // blocked, unknown, abroad, too long, not a token
	return "", failure
}

// Read reads messageid and status of a query or a form, several of each with commas between them. Nothing in a
// callback proves that it is Kavenegar's: the URL's secret does.
func (k *Kavenegar) Read(c otp.Callback) ([]otp.Report, error) {
	if !bySecret(c, k.options.HookSecret) {
		return nil, otp.ErrForged
	}
	form, err := url.ParseQuery(cmp.Or(string(c.Body), c.Query))
	if err != nil {
		return nil, otp.ErrCallback
	}
	ids, states := strings.Split(form.Get("messageid"), ","), strings.Split(form.Get("status"), ",")
	if len(ids) != len(states) {
		return nil, otp.ErrCallback
	}
	var reports []otp.Report
	for i, id := range ids {
		state, err := strconv.Atoi(states[i])
		if err != nil || !isID(json.Number(id)) {
			return nil, otp.ErrCallback
		}
		switch state {
		case 10:
			reports = append(reports, otp.Report{ID: id, Delivered: true})
		case 6, 11, 13, 14: // failed, undelivered, cancelled, blocked
			reports = append(reports, otp.Report{ID: id})
		}
	}
	return reports, nil
}

// isID tells whether n is a message's identifier: positive.
func isID(n json.Number) bool {
	id, err := n.Int64()
	return err == nil && id > 0
}

// localID makes a positive 63-bit number of a message's identifier: Kavenegar's localid is a long, and it sends
// one message for each.
func localID(id string) string {
	digest := sha256.Sum256([]byte(id))
	return strconv.FormatUint(binary.BigEndian.Uint64(digest[:8])>>1, 10)
}

// iranian gives a number of Iran as it is dialled there, such as 09121234567.
func iranian(n phone.Number) (dialled string, ok bool) {
	national, ok := strings.CutPrefix(n.E164(), "+98")
	return "0" + national, ok
}
