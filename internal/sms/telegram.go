package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/setting"
)

const telegramURL = "https://gatewayapi.telegram.org"

var telegram = Description{
	Provider: setting.Provider{
		Name: "telegram",
		Variables: []setting.Variable{
			{Name: "TELEGRAM_TOKEN", Example: "AAEAAQNhSMgqX4PzVkTw9Q2Lr7Bf", Required: true, Secret: true},
			baseURLVariable("TELEGRAM_BASE_URL", telegramURL),
		},
		MaxCodeLength: 8, // core.telegram.org/gateway/api
	},
	Channels: []string{otp.Telegram},
	BaseURL:  telegramURL,
	New: func(in Inputs) (Provider, error) {
		return NewTelegram(TelegramOptions{
			Token:   in.Text("TELEGRAM_TOKEN"),
			BaseURL: in.Text("TELEGRAM_BASE_URL"),
		}), nil
	},
}

// telegramNumberCodes are the errors that blame the number: it is not valid, is no Telegram user's, or cannot be
// written to. Telegram does not document its errors; its clients have met these.
var telegramNumberCodes = []string{"PHONE_NUMBER_INVALID", "PHONE_NUMBER_NOT_FOUND", "PHONE_NUMBER_NOT_AVAILABLE"}

// TelegramOptions are the inputs of NewTelegram.
type TelegramOptions struct {
	Token   string // From the account's API settings at gateway.telegram.org.
	BaseURL string // Defaults to Telegram's.
}

// Telegram sends codes by the Telegram Gateway API. The person reads a text of Telegram's, not the message's.
type Telegram struct {
	opaque
	o         TelegramOptions
	transport *http.Transport
}

var _ Prober = (*Telegram)(nil)

// NewTelegram returns a provider with connections of its own.
func NewTelegram(o TelegramOptions) *Telegram {
	o.BaseURL = baseURL(o.BaseURL, telegramURL)
	return &Telegram{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Telegram) Channels() []string { return []string{otp.Telegram} }

// Send implements Provider.
func (t *Telegram) Send(ctx context.Context, m otp.Message) (id string, err error) {
	a, err := postJSON(ctx, t.transport, t.o.BaseURL+"/sendVerificationMessage", bearer(t.o.Token), map[string]any{
		"phone_number": m.To.E164(),
		"code":         m.Code,
		"ttl":          int(min(max(m.TTL, 30*time.Second), time.Hour).Seconds()), // 30 to 3600.
		"payload":      m.ID,
	})
	if err != nil {
		return "", err
	}
	var body struct {
		OK     bool   `json:"ok"`
		Error  string `json:"error"`
		Result struct {
			ID string `json:"request_id"`
		} `json:"result"`
	}
	err = json.Unmarshal(a.body, &body)
	if a.ok() && err == nil && body.OK && body.Result.ID != "" {
		return body.Result.ID, nil
	}
	if a.ok() && (err != nil || body.OK || body.Error == "") {
		return "", errNoAnswer
	}
	failure := a.failure(body.Error, "")
	if seconds, ok := strings.CutPrefix(failure.Code, "FLOOD_WAIT_"); ok {
		failure.RetryAfter = retryAfter(http.Header{"Retry-After": {seconds}})
		return "", failure.throttled()
	}
	if slices.Contains(telegramNumberCodes, failure.Code) {
		failure.Scope = ScopeNumber
	}
	return "", failure
}

// Probe asks for the status of a message that does not exist, which is the only call that is free. A wrong token is
// answered with ACCESS_TOKEN_INVALID (core.telegram.org/gateway/api). It is not documented that the token is looked at
// first, so that any other answer does not prove it right.
func (t *Telegram) Probe(ctx context.Context) (Account, error) {
	address := t.o.BaseURL + "/checkVerificationStatus"
	a, err := postJSON(ctx, t.transport, address, bearer(t.o.Token), map[string]string{"request_id": "0"})
	if err != nil {
		return Account{}, err
	}
	var body struct {
		OK    *bool
		Error string
	}
	switch err := json.Unmarshal(a.body, &body); {
	case body.Error == "ACCESS_TOKEN_INVALID" || a.status == http.StatusUnauthorized:
		return Account{}, ErrCredentials
	case err != nil || body.OK == nil:
		return Account{}, a.probeError("")
	}
	return Account{Unproved: true}, nil
}
