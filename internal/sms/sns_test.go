package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

const (
	snsKey    = "AKIDEXAMPLE"
	snsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	snsToken  = "the-session-token"
	snsMade   = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
		<PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult>
		<ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata>
		</PublishResponse>`
)

// noAWS leaves the SDK's chain without credentials, and returns a counter of the calls for the machine's role.
func noAWS(t *testing.T) (asked func() int) {
	t.Helper()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE",
		"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SNS",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	calls := make(chan string, 100)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls <- r.URL.Path
		w.WriteHeader(http.StatusNotFound)
	}))
	return func() int { return len(calls) }
}

// openSNS returns a provider with credentials from the environment.
func openSNS(t *testing.T, o SNSOptions) *SNS {
	t.Helper()
	noAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", snsKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", snsSecret)
	t.Setenv("AWS_SESSION_TOKEN", snsToken)
	o.Region = "eu-central-1"
	s, err := NewSNS(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSNSAsks(t *testing.T) {
	signed := regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-central-1/sns/aws4_request, ` +
		`SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$`)
	for _, tc := range []struct {
		sender string
		want   url.Values
	}{
		{"", url.Values{
			"MessageAttributes.entry.1.Name":              {"AWS.SNS.SMS.SMSType"},
			"MessageAttributes.entry.1.Value.DataType":    {"String"},
			"MessageAttributes.entry.1.Value.StringValue": {"Transactional"},
		}},
		{"Dekamond", url.Values{
			"MessageAttributes.entry.1.Name":              {"AWS.SNS.SMS.SMSType"},
			"MessageAttributes.entry.1.Value.DataType":    {"String"},
			"MessageAttributes.entry.1.Value.StringValue": {"Transactional"},
			"MessageAttributes.entry.2.Name":              {"AWS.SNS.SMS.SenderID"},
			"MessageAttributes.entry.2.Value.DataType":    {"String"},
			"MessageAttributes.entry.2.Value.StringValue": {"Dekamond"},
		}},
	} {
		tc.want["Action"], tc.want["Version"] = []string{"Publish"}, []string{"2010-03-31"}
		tc.want["PhoneNumber"], tc.want["Message"] = []string{"+989121234567"}, []string{message.Text}
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if got, want := r.Method+" "+r.RequestURI, "POST /proxy"; got != want {
				t.Errorf("asked %s; want %s", got, want)
			}
			if got := r.Header.Get("Authorization"); !signed.MatchString(got) {
				t.Errorf("Authorization: %q; want %v", got, signed)
			}
			if got := r.Header.Get("X-Amz-Security-Token"); got != snsToken {
				t.Errorf("X-Amz-Security-Token: %q; want %q", got, snsToken)
			}
			body, _ := io.ReadAll(r.Body)
			got, err := url.ParseQuery(string(body))
			if err != nil || inOrder(got) != inOrder(tc.want) {
				t.Errorf("posted %v, %v; want %v", got, err, tc.want)
			}
			_, _ = io.WriteString(w, snsMade)
		})
		id, err := openSNS(t, SNSOptions{SenderID: tc.sender, BaseURL: base + "/proxy/"}).Send(t.Context(), message)
		if id != "94f20ce6-13c5-43a0-9a9e-ca52d816e90b" || err != nil {
			t.Errorf("Send with sender %q = %q, %v; want it accepted", tc.sender, id, err)
		}
	}
}

// inOrder writes a form with its attributes in one order: the SDK numbers them by a map's.
func inOrder(form url.Values) string {
	if form.Get("MessageAttributes.entry.1.Name") == "AWS.SNS.SMS.SenderID" {
		swapped := url.Values{}
		for name, values := range form {
			swapped[strings.NewReplacer(".1.", ".2.", ".2.", ".1.").Replace(name)] = values
		}
		form = swapped
	}
	return form.Encode()
}

const snsBadNumber = "Invalid parameter: PhoneNumber Reason: +989121234567 is not valid to publish to"

// snsNo returns the body of a negative answer.
func snsNo(code, text string) string {
	return fmt.Sprintf(`<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>`+
		`<Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>`+
		`<RequestId>9d06150f-28fe-51c5-8fee-4e7dff7f5d0e</RequestId></ErrorResponse>`, code, text)
}

var snsAnswers = []struct {
	http       int
	body       string
	want, code string
}{
	{200, snsMade, accepted, ""},
	{400, snsNo("InvalidParameter", snsBadNumber), rejected, "InvalidParameter"},
	{400, snsNo("InvalidParameterValue", snsBadNumber), rejected, "InvalidParameterValue"},
	{400, snsNo("ParameterValueInvalid", snsBadNumber), rejected, "ParameterValueInvalid"},
	{400, snsNo("OptedOut", "+989121234567 is opted out"), rejected, "OptedOut"},
	{400, snsNo("InvalidParameter", "Invalid parameter: Message too long"), refused, "InvalidParameter"},
	{400, snsNo("InvalidParameterValue", "Invalid parameter: SenderID"), refused, "InvalidParameterValue"},
	{400, snsNo("ValidationError", snsBadNumber), refused, "ValidationError"},
	{429, snsNo("Throttled", "Rate exceeded"), throttled, "Throttled"},
	{400, snsNo("Throttling", "Rate exceeded for +989121234567"), throttled, "Throttling"},
	{400, snsNo("ThrottlingException", "Rate exceeded"), throttled, "ThrottlingException"},
	{403, snsNo("AuthorizationError", "User: arn:aws:iam::123456789012:user/otp"), refused, "AuthorizationError"},
	{403, snsNo("SignatureDoesNotMatch", "…"), refused, "SignatureDoesNotMatch"},
	{403, snsNo("InvalidClientTokenId", "The security token is invalid."), refused, "InvalidClientTokenId"},
	{403, snsNo("ExpiredToken", "…"), refused, "ExpiredToken"},
	{403, snsNo("OptInRequired", "…"), refused, "OptInRequired"},
	{404, snsNo("NotFound", "…"), refused, "NotFound"},
	{400, snsNo("EndpointDisabled", "…"), refused, "EndpointDisabled"},
	{400, snsNo("KMSAccessDenied", "…"), refused, "KMSAccessDenied"},
	{400, snsNo("KMSOptInRequired", "…"), refused, "KMSOptInRequired"},
	{500, snsNo("InternalError", "…"), refused, "InternalError"},
	{503, snsNo("ServiceUnavailable", "…"), refused, "ServiceUnavailable"},
	{502, "<html>bad gateway</html>", refused, ""},
	{502, "", refused, ""},
	{200, "", unreadable, ""},
	{200, "OK", unreadable, ""},
	{200, `{"MessageId":"1"}`, unreadable, ""},
	{200, `<PublishResponse><PublishResult></PublishResult></PublishResponse>`, unreadable, ""},
	{
		200,
		`<PublishResponse><PublishResult><MessageId></MessageId></PublishResult></PublishResponse>`,
		unreadable,
		"",
	},
	{200, snsMade[:120], unreadable, ""},
}

func TestSNSTellsTheNumbersFault(t *testing.T) {
	for _, tc := range snsAnswers {
		requests := make(chan string, 100)
		s := openSNS(t, SNSOptions{BaseURL: serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests <- r.URL.Path
			w.WriteHeader(tc.http)
			_, _ = io.WriteString(w, tc.body)
		})})
		id, err := s.Send(t.Context(), message)
		if got, code := classOf(err); got != tc.want || code != tc.code || (err == nil) == (id == "") {
			t.Errorf("Send answered %d %s = %q, %v: %s; want %s by code %q",
				tc.http, tc.body, id, err, got, tc.want, tc.code)
		}
		if len(requests) != 1 {
			t.Errorf("Send answered %d %s asked %d times; want once", tc.http, tc.body, len(requests))
		}
		if err != nil && (strings.Contains(err.Error(), "9121234567") || strings.Contains(err.Error(), "9d06150f")) {
			t.Errorf("Send answered %d %s = %v; want no number and no request identifier",
				tc.http, tc.body, err)
		}
	}
}

func TestSNSFaults(t *testing.T) {
	testFaults(t, func(t *testing.T, base string) Provider { return openSNS(t, SNSOptions{BaseURL: base}) },
		snsKey, snsSecret, snsToken)
	err := send(t, openSNS(t, SNSOptions{BaseURL: "http://" + closed(t)}), message, time.Minute)
	if _, ok := errors.AsType[*net.OpError](err); !ok || strings.Contains(err.Error(), "9121234567") {
		t.Errorf("Send to a closed port = %v; want the network's error", err)
	}
}

// Neither a start without the network nor a login waits for a role that cannot be had.
func TestSNSTakesCredentialsFromTheChain(t *testing.T) {
	asked := noAWS(t)
	t.Setenv("AWS_REGION", "eu-central-1")
	base := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked without credentials") })
	s, err := NewSNS(SNSOptions{BaseURL: base})
	if err != nil || asked() != 0 {
		t.Fatalf("NewSNS = %v after %d calls to the machine's role; want none", err, asked())
	}
	if err := send(t, s, message, time.Minute); !errors.Is(err, errNoCredentials) || asked() == 0 {
		t.Errorf("Send without credentials = %v after %d calls to the machine's role; want %v",
			err, asked(), errNoCredentials)
	}
	ended := make(chan struct{}) // the SDK's call outlives Send
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(func() { close(ended) })
	s, err = NewSNS(SNSOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t, s, message, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send while the container's role hangs = %v; want DeadlineExceeded", err)
	}
	if got := s.Channels(); !slices.Equal(got, []string{otp.SMS}) {
		t.Errorf("Channels = %v; want sms", got)
	}
}

func TestNewSNSWantsARegion(t *testing.T) {
	noAWS(t)
	if s, err := NewSNS(SNSOptions{}); err == nil || err.Error() != "region: missing" {
		t.Errorf("NewSNS = %v, %v; want a missing region", s, err)
	}
	t.Setenv("AWS_PROFILE", "absent")
	if s, err := NewSNS(SNSOptions{Region: "eu-central-1"}); err == nil || s != nil {
		t.Errorf("NewSNS with an absent profile = %v, nil", s)
	}
}
