package sms

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	vonageKey       = "abcd1234"
	vonageSecret    = "v0nag3-s3cr3t"
	vonageSigning   = "v0nag3-s1gn1ng"
	vonageHook      = "v0nag3-h00k"
	vonageReceiptTo = "https://otp.example.com/hooks/vonage/" + vonageHook
)

func openVonage(t *testing.T, base string) Provider {
	p := NewVonage(VonageOptions{
		APIKey:          vonageKey,
		APISecret:       vonageSecret,
		From:            "Dekamond",
		BaseURL:         base,
		Callback:        vonageReceiptTo,
		SignatureSecret: vonageSigning,
		HookSecret:      vonageHook,
	})
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

func TestVonageSends(t *testing.T) {
	const extended = "042137 ^{}\\[~]|€ @£$¥ Δ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ ¡¿ ÄÖÑÜ§ äöñüà"
	for _, tc := range []struct {
		name, text, callback, wantType, wantTTL string
		ttl                                     time.Duration
	}{
		{"Persian", message.Text, vonageReceiptTo, "unicode", "120000", 2 * time.Minute},
		{"GSM", "042137 is your code.\n@otp.example.com #042137", "", "", "120000", 2 * time.Minute},
		{"extended GSM", extended, "", "", "120000", 2 * time.Minute},
		{"a curly apostrophe", "042137 isn’t to be shared", "", "unicode", "120000", 2 * time.Minute},
		{"a backtick", "`042137`", "", "unicode", "120000", 2 * time.Minute},
		{"no UTF-8", "042137 \xff", "", "unicode", "120000", 2 * time.Minute},
		{"a short life", "042137", "", "", "20000", time.Second},
		{"a long life", "042137", "", "", "604800000", 8 * 24 * time.Hour},
	} {
		for _, slash := range []string{"", "/", "/prefix/"} {
			want := url.Values{
				"api_key":           {vonageKey},
				"api_secret":        {vonageSecret},
				"from":              {"Dekamond"},
				"to":                {"989121234567"},
				"text":              {tc.text},
				"client-ref":        {message.ID},
				"status-report-req": {"true"},
				"ttl":               {tc.wantTTL},
			}
			if tc.wantType != "" {
				want.Set("type", tc.wantType)
			}
			if tc.callback != "" {
				want.Set("callback", tc.callback)
			}
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				path := strings.TrimSuffix(slash, "/") + "/sms/json"
				if got, want := r.Method+" "+r.URL.Path, "POST "+path; got != want {
					t.Errorf("%s: %s; want %s", tc.name, got, want)
				}
				if got := posted(t, r); !reflect.DeepEqual(got, want) {
					t.Errorf("%s: posted %v; want %v", tc.name, got, want)
				}
				_, _ = io.WriteString(w, `{"message-count":"1","messages":[
					{"to":"989121234567","message-id":"0A1","status":"0",
					"remaining-balance":"3.14","message-price":"0.03","network":"43211"}]}`)
			})
			p := NewVonage(VonageOptions{
				APIKey:    vonageKey,
				APISecret: vonageSecret,
				From:      "Dekamond",
				BaseURL:   address + slash,
				Callback:  tc.callback,
			})
			t.Cleanup(p.transport.CloseIdleConnections)
			m := message
			m.Text, m.TTL = tc.text, tc.ttl
			if id, err := p.Send(t.Context(), m); id != "0A1" || err != nil {
				t.Errorf("%s: Send = %q, %v; want 0A1", tc.name, id, err)
			}
		}
	}
}

func TestVonageDefaults(t *testing.T) {
	if got := NewVonage(VonageOptions{}).o.BaseURL; got != "https://rest.nexmo.com" {
		t.Errorf("the base URL without one is %q; want Vonage's", got)
	}
	if got := NewVonage(VonageOptions{}).Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("Vonage offers %v; want sms", got)
	}
	if got := len(message.ID) + len("00"); got > 40 { // of the 100th message of a challenge
		t.Errorf("an identifier may have %d characters; want at most the 40 of a client-ref", got)
	}
}

func TestVonageReadsTheAnswer(t *testing.T) {
	no := func(status string) string {
		return `{"message-count":"1","messages":[{"status":"` + status + `","error-text":"it says no"}]}`
	}
	for _, tc := range []struct {
		status     int
		body, want string
	}{
		{200, `{"messages":[{"message-id":"0A1","status":"0"}]}`, "accepted 0A1"},
		{200, `{"messages":[{"message-id":"0A1","status":"0"},{"message-id":"0A2","status":"0"}]}`, "accepted 0A1"},

		{200, no("7"), "answered 200, code 7: it says no"},
		{200, no("33"), "rejected, answered 200, code 33: it says no"},
		{
			200, `{"messages":[{"status":"33","error-text":"Number barred: +989121234567"}]}`,
			"rejected, answered 200, code 33: Number barred: •••",
		},
		{
			200, `{"messages":[{"message-id":"0A1","status":"0"},{"status":"33","error-text":"it says no"}]}`,
			"rejected, answered 200, code 33: it says no",
		},

		{200, no("1"), "answered 429, code 1: it says no"},   // throttled
		{200, no("2"), "answered 200, code 2: it says no"},   // a parameter is missing
		{200, no("3"), "answered 200, code 3: it says no"},   // any parameter
		{200, no("4"), "answered 200, code 4: it says no"},   // the credentials
		{200, no("5"), "answered 200, code 5: it says no"},   // the service
		{200, no("6"), "answered 200, code 6: it says no"},   // no route
		{200, no("8"), "answered 200, code 8: it says no"},   // the account is barred
		{200, no("9"), "answered 200, code 9: it says no"},   // the balance
		{200, no("10"), "answered 200, code 10: it says no"}, // too many connections
		{200, no("11"), "answered 200, code 11: it says no"}, // the account is not for this API
		{200, no("12"), "answered 200, code 12: it says no"}, // the text is too long
		{200, no("14"), "answered 200, code 14: it says no"}, // the account wants signatures
		{200, no("15"), "answered 200, code 15: it says no"}, // the sender
		{200, no("22"), "answered 200, code 22: it says no"}, // the network's code
		{200, no("23"), "answered 200, code 23: it says no"}, // the callback
		{200, no("29"), "answered 200, code 29: it says no"}, // a demo account
		{200, no("32"), "answered 200, code 32: it says no"}, // the account wants signatures
		{200, no("99"), "answered 200, code 99: it says no"},
		{200, no("00"), "answered 200, code 00: it says no"},
		{
			200, `{"messages":[{"message-id":"0A1","status":"0"},{"status":"9","error-text":"it says no"}]}`,
			"answered 200, code 9: it says no",
		},
		{429, no("7"), "answered 429"},
		{500, no("7"), "answered 500"},
		{401, `{"messages":[{"message-id":"0A1","status":"0"}]}`, "answered 401"},
		{302, ``, "answered 302"},

		{200, ``, "no valid HTTP answer"},
		{200, `{}`, "no valid HTTP answer"},
		{200, `{"message-count":"0","messages":[]}`, "no valid HTTP answer"},
		{200, `{"messages":[{}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"message-id":"0A1"}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"status":"0"}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"message-id":"0A1","status":0}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"message-id":"0A1","status":"0"},{"status":"0"}]}`, "no valid HTTP answer"},
		{200, `{"messages":[{"message-id":"0A1","status":"0"`, "no valid HTTP answer"},
		{200, `<html>0A1</html>`, "no valid HTTP answer"},
	} {
		if got := answerOf(t, openVonage, tc.status, tc.body); got != tc.want {
			t.Errorf("Send answered %d %s = %s; want %s", tc.status, tc.body, got, tc.want)
		}
	}
}

func TestVonageFaults(t *testing.T) {
	testFaults(t, openVonage, vonageKey, vonageSecret, vonageSigning, vonageHook)
}

// TestVonageSignature checks the vectors of the tests of Vonage's Python library.
func TestVonageSignature(t *testing.T) {
	fields := map[string]string{"timestamp": "1461605396", "b": "2", "a": "1", "sig": "not part of it"}
	for method, want := range map[string]string{
		"":        "6af838ef94998832dbfc29020b564830",
		"md5hash": "6af838ef94998832dbfc29020b564830",
		"md5":     "c15c21ced558c93a226c305f58f902f2",
		"sha1":    "3e19a4e6880fdc2c1426bfd0587c98b9532f0210",
		"sha256":  "a321e824b9b816be7c3f28859a31749a098713d39f613c80d455bbaffae1cd24",
		"sha512": "812a18f76680fa0fe1b8bd9ee1625466ceb1bd96242e4d050d2cfd9a7b40166c" +
			"63ed26ec9702168781b6edcf1633db8ff95af9341701004eec3fcf9550572ee8",
		"sha3": "",
	} {
		p := NewVonage(VonageOptions{SignatureSecret: "secret", SignatureMethod: method})
		if got := hex.EncodeToString(p.signature(fields)); got != want {
			t.Errorf("signature by %q = %s; want %s", method, got, want)
		}
	}
}

// vonageReceipt returns a delivery receipt, with a signature that shares no code with Vonage.
func vonageReceipt(secret, method string, at time.Time, id, status string) url.Values {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	text := "&api-key=" + vonageKey + "&client-ref=a_b_c&err-code=0&messageId=" + id + "&msisdn=989121234567" +
		"&nonce=ec11dd3e&status=" + status + "&timestamp=" + timestamp + "&to=Dekamond"
	sum := md5.Sum([]byte(text + secret))
	sig := hex.EncodeToString(sum[:])
	if method == "sha256" {
		h := hmac.New(sha256.New, []byte(secret))
		_, _ = io.WriteString(h, text)
		sig = strings.ToUpper(hex.EncodeToString(h.Sum(nil))) // As in Vonage's description of the API.
	}
	return url.Values{
		"api-key":    {vonageKey},
		"client-ref": {"a&b=c"},
		"err-code":   {"0"},
		"messageId":  {id},
		"msisdn":     {"989121234567"},
		"nonce":      {"ec11dd3e"},
		"status":     {status},
		"timestamp":  {timestamp},
		"to":         {"Dekamond"},
		"sig":        {sig},
	}
}

// vonageWays are the three ways in which an account can have its receipts sent.
var vonageWays = map[string]func(url.Values) otp.Callback{
	"query": func(fields url.Values) otp.Callback { return otp.Callback{Query: fields.Encode()} },
	"form": func(fields url.Values) otp.Callback {
		return otp.Callback{
			ContentType: "application/x-www-form-urlencoded; charset=UTF-8",
			Body:        []byte(fields.Encode()),
		}
	},
	"JSON": func(fields url.Values) otp.Callback {
		object := map[string]string{}
		for name := range fields {
			object[name] = fields.Get(name)
		}
		body, _ := json.Marshal(object) // It consists of strings alone.
		return otp.Callback{ContentType: "application/json; charset=utf-8", Body: body}
	},
}

func TestVonageReads(t *testing.T) {
	bySignature := NewVonage(VonageOptions{SignatureSecret: vonageSigning, SignatureMethod: "sha256"})
	byHash := NewVonage(VonageOptions{SignatureSecret: vonageSigning})
	byPath := NewVonage(VonageOptions{HookSecret: vonageHook})
	byEither := NewVonage(VonageOptions{SignatureSecret: vonageSigning, HookSecret: vonageHook})
	for _, tc := range []struct {
		id, status string
		want       []otp.Report
		err        error
	}{
		{"0A1", "delivered", []otp.Report{{ID: "0A1", Delivered: true}}, nil},
		{"0A1", "expired", []otp.Report{{ID: "0A1"}}, nil},
		{"0A1", "failed", []otp.Report{{ID: "0A1"}}, nil},
		{"0A1", "rejected", []otp.Report{{ID: "0A1"}}, nil},
		{"0A1", "undelivered", []otp.Report{{ID: "0A1"}}, nil},
		{"0A1", "accepted", nil, nil},
		{"0A1", "buffered", nil, nil},
		{"0A1", "unknown", nil, nil},
		{"0A1", "unheard-of", nil, nil},
		{"", "delivered", nil, otp.ErrCallback},
		{"0A1", "", nil, otp.ErrCallback},
	} {
		for way, callback := range vonageWays {
			read := func(who string, p *Vonage, method, pathSecret string) {
				t.Helper()
				c := callback(vonageReceipt(vonageSigning, method, time.Now(), tc.id, tc.status))
				c.Secret = pathSecret
				if got, err := p.Read(c); !slices.Equal(got, tc.want) || !errors.Is(err, tc.err) {
					t.Errorf("%s, by %s: Read of %s, status %q = %v, %v; want %v, %v",
						way, who, tc.id, tc.status, got, err, tc.want, tc.err)
				}
			}
			read("HMAC", bySignature, "sha256", "")
			read("hash", byHash, "md5hash", "")
			read("path", byPath, "not the account's", vonageHook)
			read("either's signature", byEither, "md5hash", "another")
			read("either's path", byEither, "sha256", vonageHook)
		}
	}
	for _, c := range []otp.Callback{
		{Secret: vonageHook},
		{Secret: vonageHook, Query: "messageId=0A1&status=delivered&%"},
		{Secret: vonageHook, ContentType: "application/json", Body: []byte(`{"messageId":"0A1","status":"delivered"`)},
		{Secret: vonageHook, ContentType: "application/json", Body: []byte(`{"messageId":1,"status":"delivered"}`)},
		{Secret: vonageHook, ContentType: "application/json", Body: []byte(`null`)},
		{Secret: vonageHook, ContentType: "application/json", Query: "messageId=0A1&status=delivered"},
	} {
		if got, err := byPath.Read(c); got != nil || !errors.Is(err, otp.ErrCallback) {
			t.Errorf("Read of type %q, %s %s = %v, %v; want it unreadable", c.ContentType, c.Query, c.Body, got, err)
		}
	}
}

func TestVonageRefusesForgeries(t *testing.T) {
	now := time.Now()
	receipt := func(secret, method string) url.Values { return vonageReceipt(secret, method, now, "0A1", "delivered") }
	for _, tc := range []struct {
		name string
		o    VonageOptions
	}{
		{"no secret", VonageOptions{}},
		{"no secret, HMAC", VonageOptions{SignatureMethod: "sha256"}},
		{"hash", VonageOptions{SignatureSecret: vonageSigning}},
		{"HMAC", VonageOptions{SignatureSecret: vonageSigning, SignatureMethod: "sha256"}},
		{"unknown method", VonageOptions{SignatureSecret: vonageSigning, SignatureMethod: "sha3"}},
		{"path", VonageOptions{HookSecret: vonageHook}},
		{"both", VonageOptions{SignatureSecret: vonageSigning, HookSecret: vonageHook}},
	} {
		p := NewVonage(tc.o)
		method := tc.o.SignatureMethod
		forged := map[string]url.Values{
			"an empty secret": receipt("", method),
			"another secret":  receipt(vonageSecret, method),
			"another method":  receipt(vonageSigning, map[string]string{"": "sha256", "sha256": ""}[method]),
			"nothing":         {},
		}
		genuine := receipt(vonageSigning, method)
		for name := range genuine {
			without := maps.Clone(genuine)
			delete(without, name)
			forged["no "+name] = without
			for i := range genuine.Get(name) {
				with := maps.Clone(genuine)
				with[name] = []string{flipped(genuine.Get(name), i)}
				forged[name+"="+with.Get(name)] = with
			}
		}
		more := maps.Clone(genuine)
		more["err-text"] = []string{""}
		forged["a parameter more"] = more
		emptySig := maps.Clone(genuine)
		emptySig["sig"] = []string{""}
		forged["an empty signature"] = emptySig
		for way, callback := range vonageWays {
			for name, fields := range forged {
				for _, pathSecret := range []string{"", "another", vonageHook[1:], vonageHook + "x", vonageSigning} {
					c := callback(fields)
					c.Secret = pathSecret
					if got, err := p.Read(c); got != nil || !errors.Is(err, otp.ErrForged) {
						t.Errorf("%s, %s: Read of %s, secret %q = %v, %v; want it forged",
							tc.name, way, name, pathSecret, got, err)
					}
				}
			}
		}
		genuineBody := vonageWays["form"](genuine)
		for i := range genuineBody.Body {
			c := genuineBody
			c.Body = []byte(flipped(string(c.Body), i))
			if got, err := p.Read(c); got != nil || !errors.Is(err, otp.ErrForged) {
				t.Errorf("%s: Read of %s = %v, %v; want it forged", tc.name, c.Body, got, err)
			}
		}
	}
}

func TestVonageRefusesOldReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewVonage(VonageOptions{SignatureSecret: vonageSigning})
		for _, tc := range []struct {
			age time.Duration
			err error
		}{
			{0, nil},
			{5 * time.Minute, nil},
			{5*time.Minute + time.Second, otp.ErrForged},
			{24 * time.Hour, otp.ErrForged},
			{-5 * time.Minute, nil},
			{-5*time.Minute - time.Second, otp.ErrForged},
		} {
			c := vonageWays["form"](vonageReceipt(vonageSigning, "", time.Now().Add(-tc.age), "0A1", "delivered"))
			if _, err := p.Read(c); !errors.Is(err, tc.err) {
				t.Errorf("Read of a receipt %v old = %v; want %v", tc.age, err, tc.err)
			}
		}
	})
}
