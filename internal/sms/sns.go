package sms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/probe"
	"dekamond-otp/internal/setting"
)

// snsURL is where SNS is published in each region.
const snsURL = "https://sns.REGION.amazonaws.com"

var snsProvider = Description{
	Provider: setting.Provider{
		Name: "sns",
		Variables: []setting.Variable{
			{
				Name:     "SNS_REGION",
				Example:  "eu-central-1",
				Required: true,
				Shape:    regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,2}-[0-9]$`),
				Like:     "a region such as eu-central-1",
			},
			{
				Name:    "SNS_SENDER_ID",
				Example: "Dekamond",
				Shape:   regexp.MustCompile(`^[A-Za-z0-9-]{3,11}$`),
				Like:    "3 to 11 letters and digits",
			},
			baseURLVariable("SNS_BASE_URL", snsURL),
		},
	},
	Channels: []string{otp.SMS},
	BaseURL:  snsURL,
	New: func(in Inputs) (Provider, error) {
		s, err := NewSNS(SNSOptions{
			Region:   in.Text("SNS_REGION"),
			SenderID: in.Text("SNS_SENDER_ID"),
			BaseURL:  in.Text("SNS_BASE_URL"),
		})
		if err != nil {
			return nil, err // Not s, which would be a Provider that is not nil.
		}
		return s, nil
	},
}

// credentialsTimeout bounds a call for credentials. The SDK bounds it by nothing: the call outlives the Send that
// wanted the credentials, and all later ones wait for it.
const credentialsTimeout = 10 * time.Second

var errNoCredentials = errors.New("no AWS credentials")

// SNSOptions are the inputs of NewSNS.
type SNSOptions struct {
	Region   string // Such as eu-central-1. Defaults to the region of the environment or the profile.
	SenderID string // 3 to 11 letters and digits, where the country shows one; defaults to the account's.
	BaseURL  string // Defaults to SNS's host in the region.
}

// SNS sends messages by Amazon SNS, with credentials of the AWS SDK's default chain: the environment, the shared files,
// the role of the container or the machine. The first Send fetches them; they are renewed when they expire.
type SNS struct {
	opaque
	client      *sns.Client
	credentials aws.CredentialsProvider
	attributes  map[string]types.MessageAttributeValue
}

var _ Prober = (*SNS)(nil)

// NewSNS returns a provider with connections of its own. It reads the environment and the shared files, and connects to
// nothing. Its errors are those of the SDK's configuration, and a missing region.
func NewSNS(o SNSOptions) (*SNS, error) {
	c, err := config.LoadDefaultConfig(context.Background(),
		config.WithRegion(o.Region),
		config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(credentialsTimeout)),
	)
	if err != nil {
		return nil, err
	}
	if c.Region == "" {
		return nil, errors.New("region: missing")
	}
	attribute := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: new("String"), StringValue: &s}
	}
	attributes := map[string]types.MessageAttributeValue{"AWS.SNS.SMS.SMSType": attribute("Transactional")}
	if o.SenderID != "" {
		attributes["AWS.SNS.SMS.SenderID"] = attribute(o.SenderID)
	}
	client := sns.NewFromConfig(c, func(options *sns.Options) {
		options.HTTPClient = sdkClient{newTransport()}
		options.Retryer = aws.NopRetryer{}
		if o.BaseURL != "" {
			options.BaseEndpoint = new(strings.TrimSuffix(o.BaseURL, "/"))
		}
	})
	return &SNS{client: client, credentials: c.Credentials, attributes: attributes}, nil
}

// Channels implements Provider.
func (*SNS) Channels() []string { return []string{otp.SMS} }

// Send implements Provider. A message to a number that has opted out is accepted too: SNS drops it without an error.
func (s *SNS) Send(ctx context.Context, m otp.Message) (id string, err error) {
	if _, err := s.credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", errNoCredentials // Without the cause, because some causes quote the credentials.
	}
	out, err := s.client.Publish(ctx, &sns.PublishInput{
		PhoneNumber:       new(m.To.E164()),
		Message:           &m.Text,
		MessageAttributes: s.attributes,
	})
	if err != nil {
		return "", snsError(ctx, err)
	}
	if aws.ToString(out.MessageId) == "" {
		return "", errNoAnswer
	}
	return *out.MessageId, nil
}

// snsError returns a Failure for a negative answer of SNS, whose codes are words
// (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors).
func snsError(ctx context.Context, err error) error {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err) // Its status is 0 without an answer.
	if !ok || response.HTTPStatusCode() == 0 {
		return cause(ctx, err)
	}
	a := answer{status: response.HTTPStatusCode(), header: response.Response.Header}
	if a.ok() {
		return errNoAnswer
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() == "UnknownError" { // This is the SDK's word for a missing code.
		return a.failure("", "")
	}
	failure := a.failure(api.ErrorCode(), api.ErrorMessage())
	switch code := api.ErrorCode(); {
	case strings.Contains(code, "Throttl"): // Throttled, Throttling or ThrottlingException, with status 429 or 400.
		return failure.throttled()
	case slices.Contains(snsInvalid, code) && strings.Contains(api.ErrorMessage(), "PhoneNumber"), code == "OptedOut":
		failure.Scope = ScopeNumber
	case slices.Contains(snsInvalid, code):
		failure.Scope = ScopeMessage
	}
	return failure
}

var snsInvalid = []string{"InvalidParameter", "ParameterValueInvalid", "InvalidParameterValue"}

// An sdkClient makes the SDK's calls as call does.
type sdkClient struct{ *http.Transport }

// Do implements the SDK's HTTPClient.
func (t sdkClient) Do(r *http.Request) (*http.Response, error) {
	a, err := call(t.Transport, r)
	if err != nil {
		return nil, err
	}
	body := io.NopCloser(bytes.NewReader(a.body))
	return &http.Response{StatusCode: a.status, Header: a.header, Body: body, Request: r}, nil
}

// snsCredentialCodes are the errors of credentials that AWS does not know, or that have expired (SNS API, Common
// errors).
var snsCredentialCodes = []string{
	"InvalidClientTokenId",
	"UnrecognizedClientException",
	"SignatureDoesNotMatch",
	"ExpiredToken",
	"ExpiredTokenException",
	"MissingAuthenticationToken",
	"IncompleteSignature",
	"OptInRequired",
}

// Probe asks whether the account is still in the SMS sandbox. A role that may only publish may not ask that; the answer
// shows nevertheless that AWS knows it.
func (s *SNS) Probe(ctx context.Context) (Account, error) {
	if _, err := s.credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return Account{}, ctx.Err()
		}
		return Account{}, probe.Error("has no credentials: neither the environment nor a file nor a role has any")
	}
	out, err := s.client.GetSMSSandboxAccountStatus(ctx, new(sns.GetSMSSandboxAccountStatusInput))
	if err == nil {
		return Account{TestOnly: out.IsInSandbox}, nil
	}
	failure, ok := errors.AsType[*Failure](snsError(ctx, err))
	switch {
	case !ok:
		return Account{}, snsError(ctx, err)
	case slices.Contains(snsCredentialCodes, failure.Code):
		return Account{}, fmt.Errorf("%w (%s)", ErrCredentials, failure.Code)
	case failure.Code == "AuthorizationError" || failure.Code == "AccessDenied":
		const unchecked = "may not ask whether the account is in the SMS sandbox (sns:GetSMSSandboxAccountStatus)"
		return Account{Unchecked: unchecked}, nil
	}
	return Account{}, answer{status: failure.Status}.probeError("")
}
