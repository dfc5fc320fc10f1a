package sms

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"dekamond-otp/internal/otp"
)

const (
	whatsAppURL     = "https://graph.facebook.com"
	whatsAppVersion = "v25.0" // of the Graph API: available until July 2028
)

// Codes of the Cloud API's errors (developers.facebook.com, WhatsApp Business Platform, Error codes). That of a sender
// who is not registered (133010) is the account's. The throttles are answered with status 400.
var (
	whatsAppRejects = []string{
		"131021", // the sender's own number
		"131026", // not on WhatsApp, or not able to receive this
	}
	whatsAppRefuses = []string{
		"130472", // kept from this person by an experiment
		"131030", // not on a test account's list
		"131049", // has had enough of such messages
		"131056", // has had too many from this sender
	}
	whatsAppThrottles = []string{"4", "80007", "130429", "131048"}
)

// WhatsAppOptions are the inputs of NewWhatsApp.
type WhatsAppOptions struct {
	Token         string // of a system user with whatsapp_business_messaging
	PhoneNumberID string // the sender's identifier in digits, which is not its number
	Template      string // name of an approved authentication template with a button that copies the code
	Language      string // the template's, like en_US
	BaseURL       string // empty = Meta's
}

// WhatsApp sends codes by Meta's WhatsApp Cloud API. The person reads the template, not the message's text.
type WhatsApp struct {
	private
	o         WhatsAppOptions
	transport *http.Transport
}

var _ Provider = (*WhatsApp)(nil)

// NewWhatsApp gives a provider with connections of its own.
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
	if !a.ok() { // whatever it could read of the body
		failure := a.failure(body.Error.Code.String(), cmp.Or(body.Error.Data.Details, body.Error.Message))
		failure.Rejected = slices.Contains(whatsAppRejects, failure.Code)
		failure.Refused = failure.Refused || slices.Contains(whatsAppRefuses, failure.Code)
		if slices.Contains(whatsAppThrottles, failure.Code) {
			failure.Status, failure.Refused = http.StatusTooManyRequests, false
		}
		return "", failure
	}
	if err != nil || len(body.Messages) == 0 || body.Messages[0].ID == "" {
		return "", errNoAnswer
	}
	return body.Messages[0].ID, nil
}
