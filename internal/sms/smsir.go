package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"dekamond-otp/internal/otp"
)

const smsIRURL = "https://api.sms.ir"

var (
	errAbroad = refusal("not a number of Iran")
	errNoLine = refusal("neither a template of this purpose nor a line")
)

// SMSIROptions are the inputs of NewSMSIR. A message whose purpose has no template is sent as plain text by Line.
type SMSIROptions struct {
	APIKey           string // of the panel for developers
	TemplateID       int    // of the template of logins; 0 = none
	ChangeTemplateID int    // the same for changes of phone
	Parameter        string // name of the code in the templates, without the # around it; default CODE
	Line             int64  // of plain messages, such as 30004505000017; 0 = none
	BaseURL          string // default https://api.sms.ir
}

// SMSIR delivers messages to numbers of Iran by version 1 of SMS.ir's REST API (https://sms.ir/rest-api), which
// knows no identifier of the caller's.
type SMSIR struct {
	private
	options   SMSIROptions
	url       string // of all methods, up to their names
	transport *http.Transport
}

var _ Provider = (*SMSIR)(nil)

// NewSMSIR gives a provider with connections of its own. Its error names every missing option.
func NewSMSIR(o SMSIROptions) (*SMSIR, error) {
	var keyErr, lineErr error
	if o.APIKey == "" {
		keyErr = errors.New("sms: SMS.ir: API key: missing")
	}
	if o.TemplateID == 0 && o.Line == 0 {
		lineErr = errors.New("sms: SMS.ir: template and line: both missing")
	}
	if err := errors.Join(keyErr, lineErr); err != nil {
		return nil, err
	}
	o.Parameter = cmp.Or(o.Parameter, "CODE")
	return &SMSIR{options: o, url: baseURL(o.BaseURL, smsIRURL) + "/v1/send/", transport: newTransport()}, nil
}

// Channels implements Provider.
func (*SMSIR) Channels() []string { return []string{otp.SMS} }

// Send posts to send/verify with the template of the message's purpose, or else to send/bulk.
func (s *SMSIR) Send(ctx context.Context, m otp.Message) (id string, err error) {
	mobile, ok := iranian(m.To)
	if !ok {
		return "", errAbroad
	}
	template := s.options.TemplateID
	if m.Purpose != otp.ForLogin {
		template = s.options.ChangeTemplateID
	}
	type object map[string]any
	method, content := "bulk", object{"lineNumber": s.options.Line, "messageText": m.Text, "mobiles": []string{mobile}}
	switch {
	case template != 0:
		code := object{"name": s.options.Parameter, "value": m.Code}
		method, content = "verify", object{"mobile": mobile, "templateId": template, "parameters": []object{code}}
	case s.options.Line == 0:
		return "", errNoLine
	}
	a, err := postJSON(ctx, s.transport, s.url+method, http.Header{"Accept": {"application/json"}, "X-Api-Key": {s.options.APIKey}}, content)
	if err != nil {
		return "", err
	}
	return readSMSIR(a, template != 0)
}

// readSMSIR reads {"status","message","data":{"messageId"}} or, of plain messages, "messageIds". A blacklisted
// number is at fault if not even a template's message reaches it: plain ones come by advertising lines, which
// the subscriber may have blocked, and which then answer 115 or give the message the identifier 0.
func readSMSIR(a answer, template bool) (id string, err error) {
	var body struct {
		Status  json.Number
		Message string
		Data    struct {
			MessageID  json.Number
			MessageIDs []json.Number
		}
	}
	_ = json.Unmarshal(a.body, &body) // what cannot be read stays empty
	code, made := body.Status.String(), body.Data.MessageID
	if len(body.Data.MessageIDs) == 1 {
		made = body.Data.MessageIDs[0]
	}
	switch {
	case !a.ok() || code != "" && code != "1":
		failure := a.failure(code, body.Message)
		if code == "20" { // too many requests
			failure.Status, failure.Refused = http.StatusTooManyRequests, false
		}
		failure.Rejected = code == "104" || code == "115" && template
		failure.Refused = failure.Refused || code == "115"
		return "", failure
	case code == "1" && isID(made):
		return made.String(), nil
	case code == "1" && len(body.Data.MessageIDs) == 1:
		failure := a.failure("", "no message was made for the number")
		failure.Refused = true
		return "", failure
	}
	return "", errNoAnswer
}
