package sms

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
)

const kavenegarURL = "https://api.kavenegar.com"

var kavenegar = Description{
	Provider: setting.Provider{
		Name: "kavenegar",
		Variables: []setting.Variable{
			{
				Name:     "KAVENEGAR_API_KEY",
				Example:  "3541373867344b3635526d327a394c3871577854",
				Required: true,
				Secret:   true,
				Shape:    regexp.MustCompile(`^[0-9A-Fa-f]{40,}={0,2}$`),
				Like:     "hexadecimal digits, 40 or more",
			},
			{Name: "KAVENEGAR_TEMPLATE", Example: "login"},
			{Name: "KAVENEGAR_CHANGE_TEMPLATE", Example: "change"},
			{
				Name:    "KAVENEGAR_SENDER",
				Example: "10004346",
				Shape:   regexp.MustCompile(`^\+?[0-9]{4,20}$`),
				Like:    "the digits of a line",
			},
			baseURLVariable("KAVENEGAR_BASE_URL", kavenegarURL),
		},
	},
	Channels:       []string{otp.SMS, otp.Voice}, // Voice needs KAVENEGAR_TEMPLATE.
	BaseURL:        kavenegarURL,
	ReportSettings: []string{"HOOK_SECRET"},
	New: func(in Inputs) (Provider, error) {
		return NewKavenegar(KavenegarOptions{
			APIKey:         in.Text("KAVENEGAR_API_KEY"),
			Template:       in.Text("KAVENEGAR_TEMPLATE"),
			ChangeTemplate: in.Text("KAVENEGAR_CHANGE_TEMPLATE"),
			Sender:         in.Text("KAVENEGAR_SENDER"),
			HookSecret:     in.HookSecret.Reveal(),
			BaseURL:        in.Text("KAVENEGAR_BASE_URL"),
		}), nil
	},
}

var errNoVoiceTemplate = &Failure{Text: "no template for a voice message of this purpose", Scope: ScopeMessage}

// KavenegarOptions are the inputs of NewKavenegar. A text message whose purpose has no template is sent as plain text;
// a voice message needs a template.
type KavenegarOptions struct {
	APIKey         string // Of the account.
	Template       string // Name of the template for logins, with %token for the code; voice is offered with it alone.
	ChangeTemplate string // The same for changes of phone.
	Sender         string // Line of plain messages, such as 10004346; defaults to the account's.
	HookSecret     string // Last part of the callback's path; if it is empty, every report counts as forged.
	BaseURL        string // Defaults to Kavenegar's.
}

// Kavenegar sends text and voice messages by the REST API of Kavenegar (https://kavenegar.com/rest.html), whose URLs
// contain the API key.
type Kavenegar struct {
	opaque
	options   KavenegarOptions
	url       string // Of all methods, up to their names.
	transport *http.Transport
}

var (
	_ Prober   = (*Kavenegar)(nil)
	_ Reporter = (*Kavenegar)(nil)
)

// NewKavenegar returns a provider with connections of its own.
func NewKavenegar(o KavenegarOptions) *Kavenegar {
	methods := baseURL(o.BaseURL, kavenegarURL) + "/v1/" + url.PathEscape(o.APIKey) + "/"
	return &Kavenegar{options: o, url: methods, transport: newTransport()}
}

// Channels implements Provider.
func (k *Kavenegar) Channels() []string {
	if k.options.Template == "" {
		return []string{otp.SMS}
	}
	return []string{otp.SMS, otp.Voice}
}

// Send implements Provider. It uses verify/lookup with the template of the message's purpose, or else sms/send.
func (k *Kavenegar) Send(ctx context.Context, m otp.Message) (id string, err error) {
	method, form, err := k.request(m)
	if err != nil {
		return "", err
	}
	a, err := postForm(ctx, k.transport, k.url+method, nil, form)
	if err != nil {
		return "", err
	}
	return readKavenegar(a, m.To)
}

// request returns the method of the API that delivers the message, and its parameters.
func (k *Kavenegar) request(m otp.Message) (method string, form url.Values, err error) {
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
		return "", nil, errNoVoiceTemplate
	}
	form = url.Values{"receptor": {receptor}, "message": {m.Text}, "localid": {localID(m.ID)}}
	if k.options.Sender != "" {
		form.Set("sender", k.options.Sender)
	}
	return "sms/send.json", form, nil
}

// kavenegarMessageCodes are: blocked, unknown, abroad, too long, not a token. A message is blocked (14) for subscribers
// who want nothing from advertising lines; another provider may have a line of another kind.
var kavenegarMessageCodes = []string{"14", "100", "411", "413", "422"}

// kavenegarAccepted are: queued, scheduled, sent (twice), delivered.
var kavenegarAccepted = []string{"1", "2", "4", "5", "10"}

// readKavenegar reads {"return":{"status","message"},"entries":[{"messageid","status","statustext"}]}. An invalid
// receptor (411) is the number's fault in Iran alone: elsewhere it may be a country that the account does not reach.
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
	_ = json.Unmarshal(a.body, &body) // What cannot be read stays empty.
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
		if slices.Contains(kavenegarAccepted, code) {
			return made.MessageID.String(), nil
		}
	}
	failure := a.failure(code, text)
	switch _, local := iranian(to); {
	case code == "451": // Too many calls.
		return "", failure.throttled()
	case code == "411" && local:
		failure.Scope = ScopeNumber
	case slices.Contains(kavenegarMessageCodes, code):
		failure.Scope = ScopeMessage
	default: // Kavenegar answers 4xx for the account's faults too.
		failure.Scope = ScopeProvider
	}
	return "", failure
}

// Read implements Reporter. It reads messageid and status of a query or a form, several of each with commas between
// them. Only the secret in the URL proves that a callback is Kavenegar's.
func (k *Kavenegar) Read(c otp.Callback) ([]otp.Report, error) {
	if !provesSecret(c, k.options.HookSecret) {
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
		case 6, 11, 13, 14: // Failed, undelivered, cancelled, blocked.
			reports = append(reports, otp.Report{ID: id})
		}
	}
	return reports, nil
}

// isID reports whether n can identify a message, which a positive number does.
func isID(n json.Number) bool {
	id, err := n.Int64()
	return err == nil && id > 0
}

// localID turns a message's identifier into a positive 63-bit number, because Kavenegar's localid is a long. Kavenegar
// sends one message for each localid.
func localID(id string) string {
	digest := sha256.Sum256([]byte(id))
	return strconv.FormatUint(binary.BigEndian.Uint64(digest[:8])>>1, 10)
}

// iranian returns a number of Iran as it is dialled there, such as 09121234567; ok is false for other numbers.
func iranian(n phone.Number) (dialled string, ok bool) {
	national, ok := strings.CutPrefix(n.E164(), "+98")
	return "0" + national, ok
}

// Probe calls account/info (kavenegar.com/rest.html).
func (k *Kavenegar) Probe(ctx context.Context) (Account, error) {
	var body struct {
		Return  struct{ Status json.Number }
		Entries struct{ RemainCredit *float64 }
	}
	a, err := get(ctx, k.transport, k.url+"account/info.json", nil, &body)
	switch code := body.Return.Status.String(); {
	case err != nil:
		return Account{}, err
	case !a.ok():
		return Account{}, a.probeError("")
	case code != "200":
		return Account{}, probe.Error("does not answer as it should")
	case body.Entries.RemainCredit == nil:
		return Account{}, errNoAnswer
	}
	return Account{Empty: *body.Entries.RemainCredit <= 0}, nil
}
