package sms

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

const telegramURL = "https://gatewayapi.telegram.org"

// telegramRejects are the errors that blame the number: none, not of a Telegram user, not to be written to.
// Telegram documents that there are errors and not which; these names are those that its clients have met.
var telegramRejects = []string{"PHONE_NUMBER_INVALID", "PHONE_NUMBER_NOT_FOUND", "PHONE_NUMBER_NOT_AVAILABLE"}

var errTelegramCode = refusal("a code there has 4 to 8 digits")

// TelegramOptions are the inputs of NewTelegram.
type TelegramOptions struct {
	Token   string // of the account's API settings at gateway.telegram.org
	BaseURL string // empty = Telegram's
}

// Telegram sends codes by the Telegram Gateway API. What the person reads is Telegram's, not the message's text.
type Telegram struct {
	private
	o         TelegramOptions
	transport *http.Transport
}

var _ Provider = (*Telegram)(nil)

// NewTelegram gives a provider with connections of its own.
func NewTelegram(o TelegramOptions) *Telegram {
	o.BaseURL = baseURL(o.BaseURL, telegramURL)
	return &Telegram{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Telegram) Channels() []string { return []string{otp.Telegram} }

// Send implements Provider. A code that the service could not take is an error before it is asked.
func (t *Telegram) Send(ctx context.Context, m otp.Message) (id string, err error) {
	if len(m.Code) < 4 || len(m.Code) > 8 {
		return "", errTelegramCode
	}
	a, err := postJSON(ctx, t.transport, t.o.BaseURL+"/sendVerificationMessage", bearer(t.o.Token), map[string]any{
		"phone_number": m.To.E164(),
		"code":         m.Code,
		"ttl":          int(min(max(m.TTL, 30*time.Second), time.Hour).Seconds()), // 30 to 3600
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
	failure.Rejected = slices.Contains(telegramRejects, failure.Code)
	if seconds, ok := strings.CutPrefix(failure.Code, "FLOOD_WAIT_"); ok {
		failure.Status, failure.Refused = http.StatusTooManyRequests, false
		failure.RetryAfter = retryAfter(http.Header{"Retry-After": {seconds}})
	}
	return "", failure
}
