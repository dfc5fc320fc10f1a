package redisstore

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

// a list is a reply as go-redis returns it.
type list = []any

var (
	anID       = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	aRef       = leaseRef{"box", "1-0", 2, "key", "1700", []receipt{{"address", "1700"}}}
	aLease     = []otp.Lease{{ID: anID, Send: 3, Length: 6, Letter: []byte("letter"), Life: time.Minute, Ref: aRef}}
	anUnlocked = otp.Unlocked{Wrong: 3, Since: time.Unix(1, 0).UTC(), Sends: 2}
	aMessage   = list{
		"box", "1-0", int64(2), "key", anID.String(), "3", "1700", "address 1700", "letter", "live", int64(6e7),
		int64(6),
	}
	accepted = list{
		int64(1), anID.String(), int64(2), "1700", int64(3e7), "address 1700\nnet 1700", "1-0", int64(6e7), int64(8),
	}
)

// A reader decodes the replies of one script.
type reader func(value any) (any, error)

func readerOf[R any](s script[R]) reader {
	return func(value any) (any, error) { return s.read(value) }
}

// readers returns the reader of each script by its name.
func readers() map[string]reader {
	s := newScripts(new(Client), otp.Policy{})
	return map[string]reader{
		"open":   readerOf(s.open),
		"take":   readerOf(s.take),
		"check":  readerOf(s.check),
		"close":  readerOf(s.close),
		"claim":  readerOf(s.claim),
		"renew":  readerOf(s.renew),
		"settle": readerOf(s.settle),
		"status": readerOf(s.status),
		"report": readerOf(s.report),
		"unlock": readerOf(s.unlock),
		"forget": readerOf(s.forget),
		"batch":  unwrap,
	}
}

// replies are one reply of each shape that the scripts return.
var replies = []struct {
	script string
	reply  list
	want   any
	err    error
}{
	{"open", accepted, opened{
		challenge: otp.Challenge{ID: anID, Send: 2, Length: 8, ResendIn: 30 * time.Second, ExpiresIn: time.Minute},
		time:      "1700",
		receipts:  []receipt{{"address", "1700"}, {"net", "1700"}},
		entry:     "1-0",
	}, nil},
	{"open", list{int64(1), anID.String(), int64(1), "0", int64(0), "", "", int64(0), int64(6)}, opened{
		challenge: otp.Challenge{ID: anID, Send: 1, Length: 6},
		time:      "0",
	}, nil},
	{"open", list{int64(0), "resend", int64(1000), int64(0), int64(0)}, opened{}, otp.ErrResendTooSoon},
	{"open", list{int64(0), "phone", int64(1000), int64(5e6), int64(6)}, opened{}, otp.ErrPhoneLimit},
	{"open", list{int64(0), "address", int64(1000), int64(0), int64(0)}, opened{}, otp.ErrAddressLimit},
	{"open", list{int64(0), "user", int64(1000), int64(0), int64(0)}, opened{}, otp.ErrUserLimit},
	{"open", list{int64(0), "daily", int64(1000), int64(0), int64(0)}, opened{}, otp.ErrDailyLimit},
	{"open", list{int64(0), "full", int64(0), int64(0), int64(0)}, opened{}, errFull},
	{"take", list{int64(1), "1700"}, taken{time: "1700"}, nil},
	{"take", list{int64(0), "address", int64(1000)}, taken{name: "address", wait: time.Millisecond}, nil},
	{"check", list{int64(1), anID.String(), int64(1), "a 1\nb 2", "pigeon", int64(3)}, matched{otp.Match{
		ID:       anID,
		Receipts: []otp.Receipt{"a 1", "b 2"},
		Tries:    3,
		Provider: "pigeon",
	}, true}, nil},
	{
		"check",
		list{int64(1), anID.String(), int64(0), "", "", int64(0)},
		matched{match: otp.Match{ID: anID}},
		nil,
	},
	{"check", list{int64(0), "none"}, matched{}, otp.ErrNotLive},
	{"check", list{int64(0), "wrong"}, matched{}, otp.ErrWrong},
	{"check", list{int64(0), "burnt"}, matched{}, otp.ErrBurnt},
	{"check", list{int64(0), "closed"}, matched{}, otp.ErrPhoneClosed},
	{"check", list{int64(0), "short"}, matched{}, otp.ErrTooShort},
	{"check", list{int64(0), "long"}, matched{}, otp.ErrCodeFormat},
	{"check", list{int64(0), "address", int64(1000)}, matched{}, otp.ErrAddressTries},
	{"check", list{int64(0), "user", int64(1000)}, matched{}, otp.ErrUserTries},
	{"close", list{int64(1)}, true, nil},
	{"close", list{int64(0)}, false, nil},
	{"unlock", list{int64(1), int64(0), "0", int64(2)}, otp.Unlocked{Sends: 2}, nil},
	{"unlock", list{int64(1), int64(3), "1000000", int64(2)}, anUnlocked, nil},
	{"claim", list{}, []otp.Lease(nil), nil},
	{"claim", list{aMessage}, aLease, nil},
	{"renew", list{int64(1)}, nothing{}, nil},
	{"renew", list{int64(0), "lost"}, nothing{}, otp.ErrLost},
	{"renew", list{int64(0), "expired"}, nothing{}, otp.ErrExpired},
	{"renew", list{int64(0), "none"}, nothing{}, otp.ErrNotLive},
	{"settle", list{int64(1)}, nothing{}, nil},
	{"settle", list{int64(0), "lost"}, nothing{}, otp.ErrLost},
	{
		"status",
		list{int64(1), "sent", int64(1000), "pigeon", int64(2), int64(5000)},
		otp.Status{
			State:     otp.Sent,
			ResendIn:  time.Millisecond,
			Provider:  "pigeon",
			Wrong:     2,
			ExpiresIn: 5 * time.Millisecond,
		},
		nil,
	},
	{"status", list{int64(0), "none"}, otp.Status{}, otp.ErrUnknown},
	{"report", list{}, nothing{}, nil},
	{"forget", list{}, nothing{}, nil},
	{"batch", list{list{int64(1)}}, list{int64(1)}, nil},
}

func TestReplies(t *testing.T) {
	readers := readers()
	for _, tc := range replies {
		got, err := readers[tc.script](tc.reply)
		if !errors.Is(err, tc.err) || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s %v: %+v, %v; want %+v, %v", tc.script, tc.reply, got, err, tc.want, tc.err)
		}
	}
	_, err := readers["batch"](list{nil, "ERR no list"})
	if err == nil || err.Error() != "ERR no list" {
		t.Errorf("the error of a call: %v; want the text that Redis returned", err)
	}
}

// unexpected are replies with values of the right type that no script returns.
var unexpected = []struct {
	script string
	reply  list
}{
	{"open", changed(accepted, 0, int64(2))},
	{"open", changed(accepted, 1, "secret")},
	{"open", changed(accepted, 5, "secret")},
	{"open", list{int64(0), "secret", int64(0), int64(0), int64(0)}},
	{"open", list{int64(0), "", int64(0), int64(0), int64(0)}},
	{"take", list{int64(-1), "1700"}},
	{"take", list{int64(0), "secret", int64(1)}},
	{"check", list{int64(1), anID.String()[1:], int64(0), "", "", int64(0)}},
	{"check", list{int64(1), anID.String(), int64(2), "", "", int64(0)}},
	{"check", list{int64(0), "secret"}},
	{"check", list{int64(0), "lost"}}, // a word of another script
	{"renew", list{int64(2)}},
	{"renew", list{int64(0), "secret"}},
	{"settle", list{int64(0), "none"}},
	{"status", list{int64(0), "secret"}},
	{"status", list{int64(1), "secret", int64(0), "", int64(0), int64(0)}},
	{"status", list{int64(1), "sent", int64(0)}},
	{"claim", list{list{}}},
	{"claim", list{changed(aMessage, 4, "secret")}},
	{"claim", list{changed(aMessage, 5, "secret")}},
	{"claim", list{changed(aMessage, 7, "secret")}},
	{"claim", list{changed(aMessage, 9, "secret")}},
	{"batch", list{}},
	{"batch", list{nil, int64(1)}},
	{"batch", list{nil, "secret", "secret"}},
}

// TestUnexpectedReplies checks that a reply that the script's header does not declare is an error, which wraps
// ErrUnavailable and does not quote the reply.
func TestUnexpectedReplies(t *testing.T) {
	readers := readers()
	for name := range readers {
		for _, value := range others(list{}) {
			wantUnexpected(t, readers, name, value)
		}
	}
	for _, tc := range unexpected {
		wantUnexpected(t, readers, tc.script, tc.reply)
	}
	for _, tc := range replies {
		if tc.script == "batch" { // takes a reply of any shape
			continue
		}
		wantUnexpected(t, readers, tc.script, append(append(list{}, tc.reply...), "secret"))
		for i := range tc.reply {
			if tc.script != "claim" { // whose reply may have any length
				wantUnexpected(t, readers, tc.script, tc.reply[:i])
			}
			for _, other := range others(tc.reply[i]) {
				wantUnexpected(t, readers, tc.script, changed(tc.reply, i, other))
			}
		}
	}
	for i := range aMessage {
		wantUnexpected(t, readers, "claim", list{aMessage[:i]})
		for _, other := range others(aMessage[i]) {
			wantUnexpected(t, readers, "claim", list{changed(aMessage, i, other)})
		}
	}
}

// others returns values of all other types than that of the value.
func others(value any) (values []any) {
	for _, other := range []any{
		nil, "secret", int64(7), 1.5, true, list{}, map[any]any{"secret": 1}, errors.New("secret"),
	} {
		if reflect.TypeOf(other) != reflect.TypeOf(value) {
			values = append(values, other)
		}
	}
	return values
}

func changed(reply list, i int, value any) list {
	reply = append(list{}, reply...)
	reply[i] = value
	return reply
}

func wantUnexpected(t *testing.T, readers map[string]reader, script string, value any) {
	t.Helper()
	_, err := readers[script](value)
	if !errors.Is(err, errReply) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%s %v: %v; want an error that does not quote it", script, value, err)
	}
	if script != "batch" && !errors.Is(err, otp.ErrUnavailable) {
		t.Errorf("%s %v: %v; want ErrUnavailable", script, value, err)
	}
}

// FuzzReplies checks that no reply makes a decoder panic.
func FuzzReplies(f *testing.F) {
	for _, tc := range replies {
		text, err := json.Marshal(tc.reply)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	readers := readers()
	f.Fuzz(func(_ *testing.T, text []byte) {
		var value any
		if json.Unmarshal(text, &value) != nil {
			return
		}
		for _, read := range readers {
			_, _ = read(integers(value))
		}
	})
}

// integers replaces the numbers of JSON by those of Redis.
func integers(value any) any {
	switch v := value.(type) {
	case float64:
		return int64(v)
	case list:
		for i := range v {
			v[i] = integers(v[i])
		}
	}
	return value
}
