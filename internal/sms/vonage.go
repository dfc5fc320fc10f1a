package sms

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/setting"
	"dekamond-otp/internal/text"
)

const (
	vonageURL = "https://rest.nexmo.com"

	// vonageSkew is how far a report's timestamp may differ from the clock here, as in Vonage's own libraries.
	vonageSkew = 5 * time.Minute
)

var vonage = Description{
	Provider: setting.Provider{
		Name: "vonage",
		Variables: []setting.Variable{
			{
				Name:     "VONAGE_API_KEY",
				Example:  "abcd1234",
				Required: true,
				Shape:    regexp.MustCompile(`^[0-9a-z]{8}$`),
				Like:     "8 letters and digits",
			},
			{Name: "VONAGE_API_SECRET", Example: "qB4fjK9sWn2RtY7x", Required: true, Secret: true},
			{
				Name:     "VONAGE_FROM",
				Example:  "447700900000",
				Required: true,
				Shape:    regexp.MustCompile(`^([0-9]{3,15}|[A-Za-z0-9 ]{0,10}[A-Za-z][A-Za-z0-9 ]{0,10})$`),
				Like:     "a number without + or a name of at most 11 letters and digits",
			},
			{Name: "VONAGE_SIGNATURE_SECRET", Example: "gR6mTz8qLx2VbN5k", Secret: true},
			{
				Name:    "VONAGE_SIGNATURE_METHOD",
				Default: "md5hash",
				Example: "sha256",
				Check:   setting.Checked(setting.OneOf("md5hash", "md5", "sha1", "sha256", "sha512")),
			},
			baseURLVariable("VONAGE_BASE_URL", vonageURL),
		},
	},
	Channels:       []string{otp.SMS},
	BaseURL:        vonageURL,
	ReportSettings: []string{"VONAGE_SIGNATURE_SECRET", "HOOK_SECRET"},
	New: func(in Inputs) (Provider, error) {
		o := VonageOptions{
			APIKey:          in.Text("VONAGE_API_KEY"),
			APISecret:       in.Text("VONAGE_API_SECRET"),
			From:            in.Text("VONAGE_FROM"),
			BaseURL:         in.Text("VONAGE_BASE_URL"),
			SignatureSecret: in.Text("VONAGE_SIGNATURE_SECRET"),
			SignatureMethod: in.Text("VONAGE_SIGNATURE_METHOD"),
			HookSecret:      in.HookSecret.Reveal(),
		}
		switch {
		case in.Callback == "":
		case o.SignatureSecret != "":
			o.Callback = in.Callback
		case o.HookSecret != "":
			o.Callback = in.Callback + "/" + o.HookSecret
		}
		return NewVonage(o), nil
	},
}

const vonageDeactivated = "33" // The status that blames the number itself (developer.vonage.com/api-errors/sms).

// vonageMessageCodes are the statuses of a message that has no route, and of a number that is barred, or is not on a
// demo account's list.
var vonageMessageCodes = []string{"6", "7", "29"}

var vonageHashes = map[string]func() hash.Hash{
	"md5":    md5.New,
	"sha1":   sha1.New,
	"sha256": sha256.New,
	"sha512": sha512.New,
}

// VonageOptions are the inputs of NewVonage.
type VonageOptions struct {
	APIKey    string
	APISecret string
	From      string // A number without +, or a name of at most 11 letters and digits.
	BaseURL   string // Defaults to Vonage's.

	// Callback is the URL for reports, which ends in the HookSecret if there is no SignatureSecret. It defaults to the
	// account's.
	Callback string

	// A report is genuine if it has the account's signature, or the HookSecret in its path. Without either setting
	// every report counts as forged.
	SignatureSecret string // Empty = the account does not sign.
	SignatureMethod string // The account's: md5hash, md5, sha1, sha256 or sha512. Defaults to md5hash.
	HookSecret      string
}

// Vonage sends text messages by Vonage's SMS API.
type Vonage struct {
	opaque
	o         VonageOptions
	transport *http.Transport
}

var (
	_ Prober   = (*Vonage)(nil)
	_ Reporter = (*Vonage)(nil)
)

// NewVonage returns a provider with connections of its own.
func NewVonage(o VonageOptions) *Vonage {
	o.BaseURL = baseURL(o.BaseURL, vonageURL)
	o.SignatureMethod = cmp.Or(o.SignatureMethod, "md5hash")
	return &Vonage{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Vonage) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. It returns the identifier of the message's first part.
func (v *Vonage) Send(ctx context.Context, m otp.Message) (id string, err error) {
	form := url.Values{
		"api_key":           {v.o.APIKey},
		"api_secret":        {v.o.APISecret},
		"from":              {v.o.From},
		"to":                {strings.TrimPrefix(m.To.E164(), "+")},
		"text":              {m.Text},
		"client-ref":        {m.ID}, // At most 40 characters.
		"status-report-req": {"true"},
		// 20 seconds to 7 days, in milliseconds.
		"ttl": {strconv.FormatInt(min(max(m.TTL, 20*time.Second), 7*24*time.Hour).Milliseconds(), 10)},
	}
	if !text.IsGSM(m.Text) {
		form.Set("type", "unicode")
	}
	if v.o.Callback != "" {
		form.Set("callback", v.o.Callback)
	}
	a, err := postForm(ctx, v.transport, v.o.BaseURL+"/sms/json", nil, form)
	if err != nil {
		return "", err
	}
	return readVonage(a)
}

// readVonage counts a message as accepted if all its parts are.
func readVonage(a answer) (id string, err error) {
	if !a.ok() {
		return "", a.failure("", "")
	}
	var body struct {
		Parts []struct {
			ID     string `json:"message-id"`
			Status string `json:"status"`
			Text   string `json:"error-text"`
		} `json:"messages"`
	}
	if json.Unmarshal(a.body, &body) != nil || len(body.Parts) == 0 {
		return "", errNoAnswer
	}
	for _, part := range body.Parts {
		if part.Status == "" || part.Status == "0" && part.ID == "" {
			return "", errNoAnswer
		}
		if part.Status != "0" {
			failure := a.failure(part.Status, part.Text)
			switch {
			case part.Status == "1":
				return "", failure.throttled()
			case part.Status == vonageDeactivated:
				failure.Scope = ScopeNumber
			case slices.Contains(vonageMessageCodes, part.Status):
				failure.Scope = ScopeMessage
			}
			return "", failure
		}
	}
	return body.Parts[0].ID, nil
}

// Read implements Reporter. A delivery report is a query, a form or JSON, depending on the account.
func (v *Vonage) Read(c otp.Callback) ([]otp.Report, error) {
	fields := vonageFields(c)
	if !provesSecret(c, v.o.HookSecret) && !v.signed(fields) {
		return nil, otp.ErrForged
	}
	id, status := fields["messageId"], fields["status"]
	if id == "" || status == "" {
		return nil, otp.ErrCallback
	}
	switch status {
	case "delivered":
		return []otp.Report{{ID: id, Delivered: true}}, nil
	case "expired", "failed", "rejected", "undelivered":
		return []otp.Report{{ID: id}}, nil
	}
	return nil, nil
}

// vonageFields returns the fields of a report, or none if it cannot be read.
func vonageFields(c otp.Callback) map[string]string {
	fields := map[string]string{}
	if strings.HasPrefix(c.ContentType, "application/json") {
		_ = json.Unmarshal(c.Body, &fields)
	} else if form, err := url.ParseQuery(cmp.Or(string(c.Body), c.Query)); err == nil {
		for name := range form {
			fields[name] = form.Get(name)
		}
	}
	return fields
}

// signed reports whether the account's signature is right and recent.
func (v *Vonage) signed(fields map[string]string) bool {
	seconds, err := strconv.ParseInt(fields["timestamp"], 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > vonageSkew {
		return false
	}
	got, err := hex.DecodeString(fields["sig"])
	want := v.signature(fields)
	return err == nil && want != nil && hmac.Equal(got, want)
}

// signature returns nil without a secret and for an unknown method (developer.vonage.com, Signing Messages).
func (v *Vonage) signature(fields map[string]string) []byte {
	text, escape := "", strings.NewReplacer("&", "_", "=", "_")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "sig" {
			text += "&" + name + "=" + escape.Replace(fields[name])
		}
	}
	var h hash.Hash
	switch secret, method := v.o.SignatureSecret, vonageHashes[v.o.SignatureMethod]; {
	case secret == "":
		return nil
	case v.o.SignatureMethod == "md5hash":
		h, text = md5.New(), text+secret
	case method == nil:
		return nil
	default:
		h = hmac.New(method, []byte(secret))
	}
	h.Write([]byte(text))
	return h.Sum(nil)
}

// Probe asks for the balance (developer.vonage.com, Account API).
func (v *Vonage) Probe(ctx context.Context) (Account, error) {
	var balance struct{ Value *float64 }
	address := v.o.BaseURL + "/account/get-balance"
	a, err := get(ctx, v.transport, address, basic(v.o.APIKey, v.o.APISecret), &balance)
	switch {
	case err != nil:
		return Account{}, err
	case !a.ok():
		return Account{}, a.probeError("")
	case balance.Value == nil:
		return Account{}, errNoAnswer
	}
	return Account{Empty: *balance.Value <= 0}, nil
}
