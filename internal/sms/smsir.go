package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/setting"
)

const smsIRURL = "https://api.sms.ir"

var smsIR = Description{
	Provider: setting.Provider{
		Name: "smsir",
		Variables: []setting.Variable{
			{Name: "SMSIR_API_KEY", Example: "k2PqX8vLzN5tRw7YbM4s", Required: true, Secret: true},
			{Name: "SMSIR_TEMPLATE", Example: "123456", Check: smsIRTemplate},
			{Name: "SMSIR_CHANGE_TEMPLATE", Example: "123457", Check: smsIRTemplate},
			{Name: "SMSIR_PARAMETER", Default: "CODE", Example: "OTP"},
			{Name: "SMSIR_LINE", Example: "30004505000017", Check: setting.Checked(setting.Int(1, math.MaxInt))},
			baseURLVariable("SMSIR_BASE_URL", smsIRURL),
		},
		Alternatives: []string{"SMSIR_TEMPLATE", "SMSIR_LINE"},
	},
	Channels: []string{otp.SMS},
	BaseURL:  smsIRURL,
	Regions:  []string{"IR"},
	New: func(in Inputs) (Provider, error) {
		return NewSMSIR(SMSIROptions{
			APIKey:           in.Text("SMSIR_API_KEY"),
			TemplateID:       in.Int("SMSIR_TEMPLATE"),
			ChangeTemplateID: in.Int("SMSIR_CHANGE_TEMPLATE"),
			Parameter:        in.Text("SMSIR_PARAMETER"),
			Line:             int64(in.Int("SMSIR_LINE")),
			BaseURL:          in.Text("SMSIR_BASE_URL"),
		}), nil
	},
}

var smsIRTemplate = setting.Checked(setting.Int(1, math.MaxInt32))

var (
	errNotIranian = &Failure{Text: "not a number of Iran", Scope: ScopeMessage}
	errNoLine     = &Failure{Text: "neither a template for this purpose nor a line", Scope: ScopeMessage}
)

// SMSIROptions are the inputs of NewSMSIR. A message whose purpose has no template is sent as plain text by Line.
type SMSIROptions struct {
	APIKey           string // Of the panel for developers.
	TemplateID       int    // Of the template for logins; 0 = none.
	ChangeTemplateID int    // The same for changes of phone.
	Parameter        string // Name of the code in the templates, without the # around it. Defaults to CODE.
	Line             int64  // Of plain messages, such as 30004505000017; 0 = none.
	BaseURL          string // Defaults to SMS.ir's.
}

// SMSIR sends messages to numbers of Iran by version 1 of SMS.ir's REST API (https://sms.ir/rest-api), which takes no
// identifier of the caller's.
type SMSIR struct {
	opaque
	options   SMSIROptions
	url       string // Of the methods that send, up to their names.
	transport *http.Transport
}

var _ Prober = (*SMSIR)(nil)

// NewSMSIR returns a provider with connections of its own.
func NewSMSIR(o SMSIROptions) *SMSIR {
	o.Parameter = cmp.Or(o.Parameter, "CODE")
	return &SMSIR{options: o, url: baseURL(o.BaseURL, smsIRURL) + "/v1/send/", transport: newTransport()}
}

// Channels implements Provider.
func (*SMSIR) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. It uses send/verify with the template of the message's purpose, or else send/bulk.
func (s *SMSIR) Send(ctx context.Context, m otp.Message) (id string, err error) {
	mobile, ok := iranian(m.To)
	if !ok {
		return "", errNotIranian
	}
	template := s.options.TemplateID
	if m.Purpose != otp.ForLogin {
		template = s.options.ChangeTemplateID
	}
	type object map[string]any
	method := "bulk"
	content := object{"lineNumber": s.options.Line, "messageText": m.Text, "mobiles": []string{mobile}}
	switch {
	case template != 0:
		code := object{"name": s.options.Parameter, "value": m.Code}
		method, content = "verify", object{"mobile": mobile, "templateId": template, "parameters": []object{code}}
	case s.options.Line == 0:
		return "", errNoLine
	}
	a, err := postJSON(ctx, s.transport, s.url+method, s.header(), content)
	if err != nil {
		return "", err
	}
	return readSMSIR(a, template != 0)
}

func (s *SMSIR) header() http.Header {
	return http.Header{"Accept": {"application/json"}, "X-Api-Key": {s.options.APIKey}}
}

// readSMSIR reads {"status","message","data":{"messageId"}} or, for plain messages, "messageIds". A blacklisted number
// (115) is at fault only if not even a message by template reaches it. Plain messages come from advertising lines,
// which the subscriber may have blocked; SMS.ir then answers 115, or the identifier 0.
func readSMSIR(a answer, template bool) (id string, err error) {
	var body struct {
		Status  json.Number
		Message string
		Data    struct {
			MessageID  json.Number
			MessageIDs []json.Number
		}
	}
	_ = json.Unmarshal(a.body, &body) // What cannot be read stays empty.
	code, made := body.Status.String(), body.Data.MessageID
	if len(body.Data.MessageIDs) == 1 {
		made = body.Data.MessageIDs[0]
	}
	switch {
	case !a.ok() || code != "" && code != "1":
		failure := a.failure(code, body.Message)
		switch {
		case code == "20": // Too many requests.
			return "", failure.throttled()
		case code == "104", code == "115" && template:
			failure.Scope = ScopeNumber
		case code == "115":
			failure.Scope = ScopeMessage
		}
		return "", failure
	case code == "1" && isID(made):
		return made.String(), nil
	case code == "1" && len(body.Data.MessageIDs) == 1:
		failure := a.failure("", "no message was made for the number")
		failure.Scope = ScopeMessage
		return "", failure
	}
	return "", errNoAnswer
}

// Probe asks for the credit (sms.ir/rest-api).
func (s *SMSIR) Probe(ctx context.Context) (Account, error) {
	var body struct {
		Status json.Number
		Data   *float64
	}
	a, err := get(ctx, s.transport, strings.TrimSuffix(s.url, "send/")+"credit", s.header(), &body)
	switch {
	case err != nil:
		return Account{}, err
	case !a.ok():
		_ = json.Unmarshal(a.body, &body) // What cannot be read stays empty.
		return Account{}, a.probeError(body.Status.String())
	case body.Status != "1" || body.Data == nil:
		return Account{}, errNoAnswer
	}
	return Account{Empty: *body.Data <= 0}, nil
}
