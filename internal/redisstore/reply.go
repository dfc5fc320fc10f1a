package redisstore

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/otp"
)

var errReply = errors.New("unexpected reply")

// A reply reads the elements of a script's reply in turn. After an element that is missing or not as expected, every
// method returns a zero value, and end returns the error.
type reply struct {
	rest []any
	read int // elements so far
	err  error
}

func newReply(value any) *reply {
	r := new(reply)
	list, ok := value.([]any)
	if !ok {
		r.fail("%T in place of a list", value)
	}
	r.rest = list
	return r
}

// fail records an error. It must not contain what the reply contains.
func (r *reply) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: element %d: %s", errReply, r.read, fmt.Sprintf(format, args...))
	}
}

// end returns the error of a reply that was not as expected, or that has elements left.
func (r *reply) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d more than expected", len(r.rest))
	}
	return r.err
}

// next returns the next element, of any type.
func (r *reply) next() any {
	if r.err != nil {
		return nil
	}
	if len(r.rest) == 0 {
		r.fail("missing")
		return nil
	}
	value := r.rest[0]
	r.rest, r.read = r.rest[1:], r.read+1
	return value
}

func (r *reply) integer() int64 {
	value := r.next()
	n, ok := value.(int64)
	if !ok {
		r.fail("%T in place of an integer", value)
	}
	return n
}

func (r *reply) text() string {
	value := r.next()
	s, ok := value.(string)
	if !ok {
		r.fail("%T in place of a string", value)
	}
	return s
}

// list reads an element that is a list itself.
func (r *reply) list() *reply { return newReply(r.next()) }

// accepted reads 1 or 0.
func (r *reply) accepted() bool {
	n := r.integer()
	if n != 0 && n != 1 {
		r.fail("neither 0 nor 1")
	}
	return n == 1
}

// duration reads microseconds.
func (r *reply) duration() time.Duration { return time.Duration(r.integer()) * time.Microsecond }

func (r *reply) id() otp.ChallengeID {
	id, err := uuid.Parse(r.text())
	if err != nil {
		r.fail("not a UUID")
	}
	return id
}

// send reads the number of a message in its challenge, which Redis returns as text if it is a field of a stream.
func (r *reply) send() int {
	n, err := strconv.Atoi(r.text())
	if err != nil {
		r.fail("not a number")
	}
	return n
}

func (r *reply) state() otp.State {
	switch s := otp.State(r.text()); s {
	case otp.Queued, otp.Sent, otp.Failed, otp.Delivered:
		return s
	}
	r.fail("not a state")
	return ""
}

// reason reads a word and returns the error that it stands for.
func (r *reply) reason(reasons map[string]error) error {
	err, ok := reasons[r.text()]
	if !ok {
		r.fail("unknown reason")
	}
	return err
}

// receipts reads receipts, of which there may be none.
func (r *reply) receipts() []receipt {
	parsed, err := parseReceipts(r.text())
	if err != nil {
		r.fail("not a receipt")
	}
	return parsed
}
