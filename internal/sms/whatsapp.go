package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
)

const (
	whatsAppURL     = "https://graph.facebook.com"
	whatsAppVersion = "v25.0" // Of the Graph API; available until July 2028.
)

var whatsApp = Description{
	Provider: setting.Provider{
		Name: "whatsapp",
		Variables: []setting.Variable{
			{Name: "WHATSAPP_TOKEN", Example: "EAAGm0PX4ZCpsBAKZCqR", Required: true, Secret: true},
			{
				Name:     "WHATSAPP_PHONE_ID",
				Example:  "106540352242922",
				Required: true,
				Shape:    regexp.MustCompile(`^[1-9][0-9]{9,19}$`),
				Like:     "the digits of the sender's id, which is not its number",
			},
			{Name: "WHATSAPP_TEMPLATE", Example: "login", Required: true},
			{
				Name:    "WHATSAPP_LANGUAGE",
				Default: "en_US",
				Example: "fa",
				Shape:   regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`),
				Like:    "a language such as en or en_US",
			},
			baseURLVariable("WHATSAPP_BASE_URL", whatsAppURL),
		},
	},
	Channels: []string{otp.WhatsApp},
	BaseURL:  whatsAppURL,
	New: func(in Inputs) (Provider, error) {
		return NewWhatsApp(WhatsAppOptions{
			Token:         in.Text("WHATSAPP_TOKEN"),
			PhoneNumberID: in.Text("WHATSAPP_PHONE_ID"),
			Template:      in.Text("WHATSAPP_TEMPLATE"),
			Language:      in.Text("WHATSAPP_LANGUAGE"),
			BaseURL:       in.Text("WHATSAPP_BASE_URL"),
		}), nil
	},
}

// These are codes of the Cloud API's errors (developers.facebook.com, WhatsApp Business Platform, Error codes). The
// code of a sender that is not registered (133010) is a fault of the account. Throttling is answered with status 400.
var (
	whatsAppNumberCodes = []string{
		"131021", // The sender's own number.
		"131026", // Not on WhatsApp, or not able to receive this.
	}
	whatsAppMessageCodes = []string{
		"130472", // Kept from this person by an experiment.
		"131030", // Not on a test account's list.
		"131049", // The person has had enough of such messages.
		"131056", // The person has had too many from this sender.
	}
	whatsAppThrottleCodes = []string{"4", "80007", "130429", "131048"}
)

// WhatsAppOptions are the inputs of NewWhatsApp.
type WhatsAppOptions struct {
	Token         string // Of a system user with whatsapp_business_messaging.
	PhoneNumberID string // The sender's identifier in digits, which is not its number.
	Template      string // Name of an approved authentication template with a button that copies the code.
	Language      string // Of the template, such as en_US.
	BaseURL       string // Defaults to Meta's.
}

// WhatsApp sends codes by Meta's WhatsApp Cloud API. The person reads the template, not the message's text.
type WhatsApp struct {
	opaque
	o         WhatsAppOptions
	transport *http.Transport
}

var _ Prober = (*WhatsApp)(nil)

// NewWhatsApp returns a provider with connections of its own.
func NewWhatsApp(o WhatsAppOptions) *WhatsApp {
	o.BaseURL = baseURL(o.BaseURL, whatsAppURL)
	return &WhatsApp{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*WhatsApp) Channels() []string { return []string{otp.WhatsApp} }

// Send implements Provider.
func (w *WhatsApp) Send(ctx context.Context, m otp.Message) (id string, err error) {
	type object = map[string]any
	code := []object{{"type": "text", "text": m.Code}}
	address := w.o.BaseURL + "/" + whatsAppVersion + "/" + w.o.PhoneNumberID + "/messages"
	a, err := postJSON(ctx, w.transport, address, bearer(w.o.Token), object{
		"messaging_product": "whatsapp",
		"recipient_type":    "individual",
		"to":                strings.TrimPrefix(m.To.E164(), "+"),
		"type":              "template",
		"template": object{
			"name":     w.o.Template,
			"language": object{"code": w.o.Language},
			"components": []object{
				{"type": "body", "parameters": code},
				{"type": "button", "sub_type": "url", "index": "0", "parameters": code},
			},
		},
		"biz_opaque_callback_data": m.ID,
	})
	if err != nil {
		return "", err
	}
	var body struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
		Error struct {
			Code    json.Number `json:"code"`
			Message string      `json:"message"`
			Data    struct {
				Details string `json:"details"`
			} `json:"error_data"`
		} `json:"error"`
	}
	err = json.Unmarshal(a.body, &body)
	if !a.ok() { // The body may be unreadable or incomplete here.
		failure := a.failure(body.Error.Code.String(), cmp.Or(body.Error.Data.Details, body.Error.Message))
		switch {
		case slices.Contains(whatsAppThrottleCodes, failure.Code):
			return "", failure.throttled()
		case slices.Contains(whatsAppNumberCodes, failure.Code):
			failure.Scope = ScopeNumber
		case slices.Contains(whatsAppMessageCodes, failure.Code):
			failure.Scope = ScopeMessage
		}
		return "", failure
	}
	if err != nil || len(body.Messages) == 0 || body.Messages[0].ID == "" {
		return "", errNoAnswer
	}
	return body.Messages[0].ID, nil
}

// Probe fetches the sender (developers.facebook.com, WhatsApp Business Phone Number API).
func (w *WhatsApp) Probe(ctx context.Context) (Account, error) {
	var sender struct {
		ID      string
		Quality string `json:"quality_rating"`
	}
	address := w.o.BaseURL + "/" + whatsAppVersion + "/" + url.PathEscape(w.o.PhoneNumberID) +
		"?fields=id,quality_rating"
	a, err := get(ctx, w.transport, address, bearer(w.o.Token), &sender)
	if err != nil {
		return Account{}, err
	}
	if !a.ok() {
		var body struct{ Error struct{ Code json.Number } }
		_ = json.Unmarshal(a.body, &body) // What cannot be read stays empty.
		switch code := body.Error.Code.String(); {
		case code == "190": // With status 400 or 401.
			return Account{}, fmt.Errorf("%w (code 190: the token is wrong or has expired)", ErrCredentials)
		case code == "100" || a.status == http.StatusNotFound:
			return Account{}, probe.Error("has no sender of WHATSAPP_PHONE_ID, or none that this token may use")
		default:
			return Account{}, a.probeError(code)
		}
	}
	if sender.ID == "" {
		return Account{}, errNoAnswer
	}
	return Account{LowQuality: sender.Quality == "RED"}, nil
}
