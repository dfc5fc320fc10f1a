package otp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A letter is the content of a queued message, apart from the fields of its Lease. The store sees it only sealed.
// During an upgrade, copies of two versions share the outbox: a field may be added if it is optional, and none may be
// removed or renamed.
type letter struct {
	To        string  `json:"to"` // E.164
	Region    string  `json:"region"`
	Channel   string  `json:"channel"`
	Purpose   Purpose `json:"purpose,omitempty"`
	Asked     string  `json:"asked,omitempty"` // the locale that the client asked for
	Locale    string  `json:"locale"`          // of the text
	Parent    string  `json:"traceparent,omitempty"`
	State     string  `json:"tracestate,omitempty"`
	RequestID string  `json:"request_id,omitempty"` // of the HTTP request, for the log

	From Pseudonym `json:"from,omitempty"` // of the client address
}

func (k *keys) seal(l *letter) ([]byte, error) {
	text, err := json.Marshal(l)
	return k.letters.Seal(nil, nil, text, nil), err
}

func (k *keys) unseal(sealed []byte) (*letter, error) {
	text, err := k.letters.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, err
	}
	l := new(letter)
	return l, json.Unmarshal(text, l)
}

// A ticket names one message of a challenge. Clients hold it sealed, so that they learn nothing from it.
type ticket struct {
	Place
	id   ChallengeID
	send int
}

// opened returns when the challenge was opened, by the clock of the copy that opened it.
func (t ticket) opened() time.Time { return time.Unix(t.id.Time().UnixTime()).UTC() }

func (k *keys) ticket(t ticket) string {
	text := fmt.Appendf(t.id[:], "%d %s %s", t.send, t.Phone, t.Purpose)
	if t.Device != "" {
		text = fmt.Appendf(text, " %s", t.Device)
	}
	return encode(k.tickets.Seal(nil, nil, text, nil))
}

func (k *keys) readTicket(s string) (t ticket, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return ticket{}, false
	}
	text, err := k.tickets.Open(nil, nil, sealed, nil)
	if err != nil || len(text) < len(t.id) {
		return ticket{}, false
	}
	t.id = ChallengeID(text)
	fields := strings.Split(string(text[len(t.id):]), " ")
	if len(fields) < 3 || len(fields) > 4 {
		return ticket{}, false
	}
	t.send, err = strconv.Atoi(fields[0])
	t.Phone, t.Purpose = Pseudonym(fields[1]), Purpose(fields[2])
	if len(fields) == 4 {
		t.Device = DeviceID(fields[3])
	}
	return t, err == nil
}
