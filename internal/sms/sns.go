package sms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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
)

// credentialsTimeout bounds a call for credentials. The SDK lets it outlive the Send that wanted them, lets all
// that come later wait for it, and bounds it by nothing.
const credentialsTimeout = 10 * time.Second

var errNoCredentials = errors.New("no AWS credentials")

// SNSOptions are the inputs of NewSNS.
type SNSOptions struct {
	Region   string // such as eu-central-1, one that sends text messages; default that of the environment or the profile
	SenderID string // 3 to 11 letters and digits, where the country shows one; empty = the account's default
	BaseURL  string // default SNS's host in the region
}

// SNS delivers messages by Amazon SNS, with credentials of the AWS SDK's default chain: the environment, the
// shared files, the role of the container or the machine. They are fetched by the first Send, and renewed.
type SNS struct {
	private
	client      *sns.Client
	credentials aws.CredentialsProvider
	attributes  map[string]types.MessageAttributeValue
}

var _ Provider = (*SNS)(nil)

// NewSNS reads the environment and the shared files; nothing else is asked. Its errors are those of the SDK's
// configuration, and a missing region.
func NewSNS(o SNSOptions) (*SNS, error) {
	c, err := config.LoadDefaultConfig(context.Background(), config.WithRegion(o.Region), config.WithLogger(logging.Nop{}),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(credentialsTimeout)))
	if err != nil {
		return nil, fmt.Errorf("sms: SNS: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("sms: SNS: region: missing")
	}
	attribute := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: new("String"), StringValue: &s}
	}
	attributes := map[string]types.MessageAttributeValue{"AWS.SNS.SMS.SMSType": attribute("Transactional")}
	if o.SenderID != "" {
		attributes["AWS.SNS.SMS.SenderID"] = attribute(o.SenderID)
	}
	client := sns.NewFromConfig(c, func(options *sns.Options) {
		options.HTTPClient = asker{newTransport()}
		options.Retryer = aws.NopRetryer{}
		if o.BaseURL != "" {
			options.BaseEndpoint = new(strings.TrimSuffix(o.BaseURL, "/"))
		}
	})
	return &SNS{client: client, credentials: c.Credentials, attributes: attributes}, nil
}

// Channels implements Provider.
func (*SNS) Channels() []string { return []string{otp.SMS} }

// Send publishes to the number. Of a number that has opted out SNS tells nothing: it takes the message and
// drops it.
func (s *SNS) Send(ctx context.Context, m otp.Message) (id string, err error) {
	if _, err := s.credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", errNoCredentials // and not why: some causes quote them
	}
	out, err := s.client.Publish(ctx, &sns.PublishInput{
		PhoneNumber: new(m.To.E164()), Message: &m.Text, MessageAttributes: s.attributes,
	})
	if err != nil {
		return "", snsError(ctx, err)
	}
	if aws.ToString(out.MessageId) == "" {
		return "", errNoAnswer
	}
	return *out.MessageId, nil
}

// snsError makes a Failure of SNS's no, whose code is a word
// (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors).
func snsError(ctx context.Context, err error) error {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err) // of status 0 where there was no answer
	if !ok || response.HTTPStatusCode() == 0 {
		return cause(ctx, err)
	}
	a := answer{status: response.HTTPStatusCode(), header: response.Response.Header}
	if a.ok() {
		return errNoAnswer
	}
	failure := a.failure("", "")
	said, ok := errors.AsType[smithy.APIError](err)
	if ok && said.ErrorCode() != "UnknownError" { // the SDK's word for none
		failure = a.failure(said.ErrorCode(), said.ErrorMessage())
		switch code := said.ErrorCode(); {
		case strings.Contains(code, "Throttl"): // Throttled, Throttling, ThrottlingException, by 429 or by 400
			failure.Status, failure.Refused = http.StatusTooManyRequests, false
		case code == "InvalidParameter", code == "ParameterValueInvalid", code == "InvalidParameterValue":
			failure.Rejected = strings.Contains(said.ErrorMessage(), "PhoneNumber")
			failure.Refused = true
		case code == "OptedOut":
			failure.Rejected = true
		}
	}
	return failure
}

// An asker makes the SDK's calls as ask does.
type asker struct{ *http.Transport }

// Do implements the SDK's HTTPClient.
func (t asker) Do(r *http.Request) (*http.Response, error) {
	a, err := ask(t.Transport, r)
	if err != nil {
		return nil, err
	}
	body := io.NopCloser(bytes.NewReader(a.body))
	return &http.Response{StatusCode: a.status, Header: a.header, Body: body, Request: r}, nil
}
