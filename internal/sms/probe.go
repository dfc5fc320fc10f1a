package sms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"dekamond-otp/internal/probe"
)

// A Prober asks its service something that sends nothing and costs nothing. Its errors are ErrCredentials where the
// service does not accept the credentials, a probe.Error, and otherwise what kept the service from answering.
type Prober interface {
	Probe(ctx context.Context) (Account, error)
}

// An Account is what a probe found out about the operator's account with a provider.
type Account struct {
	Unproved    bool      // The service can be reached, and no free call shows whether the credentials are right.
	Closed      bool      // The account sends nothing any more.
	TestOnly    bool      // It sends to some numbers only.
	Empty       bool      // It has no credit.
	LowQuality  bool      // Many people block what it sends.
	Proxied     bool      // The service is behind a proxy, which was not asked to connect.
	Unchecked   string    // What could not be found out, as the rest of a sentence about the provider; may be empty.
	Certificate time.Time // When the service's certificate expires; zero if none was seen.
}

// ErrCredentials means that a service does not accept the credentials.
var ErrCredentials = errors.New("refuses the credentials")

// get makes a request without a body. It decodes the JSON of an answer of 2xx into value.
func get(ctx context.Context, t *http.Transport, address string, h http.Header, value any) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, cause(ctx, err)
	}
	if h != nil {
		r.Header = h
	}
	a, err := call(t, r)
	if err == nil && a.ok() && json.Unmarshal(a.body, value) != nil {
		err = errNoAnswer
	}
	return a, err
}

var shownCode = regexp.MustCompile(`^[0-9]{1,6}$`)

// probeError returns what the status of an answer says, with the service's code if that is a short number.
func (a answer) probeError(code string) error {
	text := "answered " + strconv.Itoa(a.status)
	if shownCode.MatchString(code) && code != strconv.Itoa(a.status) {
		text += ", code " + code
	}
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		return fmt.Errorf("%w (%s)", ErrCredentials, text)
	}
	return probe.Error("does not answer as it should (" + text + ")")
}
