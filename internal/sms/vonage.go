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
	"slices"
	"strconv"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/text"
)

const (
	vonageURL = "https://rest.nexmo.com"

	// vonageSkew is how far a receipt's timestamp may be from the clock here, as in Vonage's own libraries.
	vonageSkew = 5 * time.Minute
)

// vonageDeactivated is the status that blames the number itself; vonageRefuses are those of a message that Vonage finds
// no route for, and of a number that it bars, or that is not a demo account's (developer.vonage.com/api-errors/sms).
const vonageDeactivated = "33"

var vonageRefuses = []string{"6", "7", "29"}

var vonageHashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
}

// VonageOptions are the inputs of NewVonage.
type VonageOptions struct {
	APIKey    string
	APISecret string
	From      string // a number without +, or a name of at most 11 letters and digits
	BaseURL   string // empty = Vonage's
	Callback  string // URL that the receipts are sent to, with the HookSecret in it; empty = the account's

	// A receipt proves itself by the account's signature, or by the secret in its path. Without either of the two
	// none is believed.
	SignatureSecret string // empty = the account does not sign
	SignatureMethod string // md5hash, md5, sha1, sha256 or sha512, as the account is set; empty = md5hash
	HookSecret      string
}

// Vonage sends text messages by Vonage's SMS API.
type Vonage struct {
	private
	o         VonageOptions
	transport *http.Transport
}

var (
	_ Provider = (*Vonage)(nil)
	_ Reporter = (*Vonage)(nil)
)

// NewVonage gives a provider with connections of its own.
func NewVonage(o VonageOptions) *Vonage {
	o.BaseURL = baseURL(o.BaseURL, vonageURL)
	o.SignatureMethod = cmp.Or(o.SignatureMethod, "md5hash")
	return &Vonage{o: o, transport: newTransport()}
}

// Channels implements Provider.
func (*Vonage) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. The identifier is that of the message's first part.
func (v *Vonage) Send(ctx context.Context, m otp.Message) (id string, err error) {
	form := url.Values{
		"api_key":           {v.o.APIKey},
		"api_secret":        {v.o.APISecret},
		"from":              {v.o.From},
		"to":                {strings.TrimPrefix(m.To.E164(), "+")},
		"text":              {m.Text},
		"client-ref":        {m.ID}, // at most 40 characters
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

// readVonage takes a message for accepted where all its parts are.
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
			failure.Rejected = part.Status == vonageDeactivated
			failure.Refused = slices.Contains(vonageRefuses, part.Status)
			if part.Status == "1" {
				failure.Status, failure.Refused = http.StatusTooManyRequests, false
			}
			return "", failure
		}
	}
	return body.Parts[0].ID, nil
}

// Read implements Reporter. A delivery receipt comes as a query, a form or JSON, as the account is set.
func (v *Vonage) Read(c otp.Callback) ([]otp.Report, error) {
	fields := vonageFields(c)
	if !bySecret(c, v.o.HookSecret) && !v.signed(fields) {
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

// vonageFields gives the fields of a receipt; none where it cannot be read.
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

// signed tells whether the account's signature is right and of now.
func (v *Vonage) signed(fields map[string]string) bool {
	seconds, err := strconv.ParseInt(fields["timestamp"], 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > vonageSkew {
		return false
	}
	got, err := hex.DecodeString(fields["sig"])
	want := v.signature(fields)
	return err == nil && want != nil && hmac.Equal(got, want)
}

// signature is nil without a secret and for an unknown method (developer.vonage.com, Signing Messages).
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
