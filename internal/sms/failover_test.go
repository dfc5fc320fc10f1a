package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dekamond-otp/internal/otp"
)

var (
	errDown = errors.New("down")
	errBusy = errors.New("busy")
)

// A provider answers every message with err and keeps count of its tries.
type provider struct {
	err   error
	tries int
}

func (p *provider) Send(_ context.Context, m otp.Message) error {
	if m != message {
		return errors.New("another message")
	}
	p.tries++
	return p.err
}

func TestFailover(t *testing.T) {
	for _, tc := range []struct {
		name   string
		errs   []error
		tries  []int
		want   []error  // that the error wraps; none = accepted
		logged []string // "provider>next: error"
	}{
		{"the first takes it", []error{nil, nil}, []int{1, 0}, nil, nil},
		{"the second takes it", []error{errDown, nil, nil}, []int{1, 1, 0}, nil, []string{"a>b: down"}},
		{"the last takes it", []error{errDown, errBusy, nil}, []int{1, 1, 1}, nil, []string{"a>b: down", "b>c: busy"}},
		{"none takes it", []error{errDown, errBusy}, []int{1, 1}, []error{errDown, errBusy}, []string{"a>b: down"}},
		{"the only one fails", []error{errDown}, []int{1}, []error{errDown}, nil},
		{"there is none", nil, nil, []error{errNotTaken}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			var providers []*provider
			var named []Named
			for i, err := range tc.errs {
				providers = append(providers, &provider{err: err})
				named = append(named, Named{string(rune('a' + i)), providers[i]})
			}
			err := NewFailover(slog.New(slog.NewJSONHandler(&log, nil)), named...).Send(t.Context(), message)
			if (err == nil) != (tc.want == nil) {
				t.Errorf("Send = %v; want %v", err, tc.want)
			}
			for _, want := range tc.want {
				if !errors.Is(err, want) {
					t.Errorf("Send = %v; want it to wrap %v", err, want)
				}
			}
			for i, p := range providers {
				if p.tries != tc.tries[i] {
					t.Errorf("provider %s was asked %d times; want %d", named[i].Name, p.tries, tc.tries[i])
				}
			}
			if got := handovers(t, log.String()); !slices.Equal(got, tc.logged) {
				t.Errorf("logged %q; want %q", got, tc.logged)
			}
		})
	}
}

// handovers reads the log back as "provider>next: error". Every line has to be a warning that shows
// the number masked.
func handovers(t *testing.T, log string) (got []string) {
	t.Helper()
	if strings.Contains(log, "9121234567") || strings.Contains(log, message.Code) {
		t.Errorf("logged %s; want neither number nor code", log)
	}
	for line := range strings.Lines(log) {
		var entry struct{ Level, Provider, Next, Phone, Error string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level != "WARN" || entry.Phone != "+98912•••67" {
			t.Errorf("logged %s; want a warning with the masked number", line)
		}
		got = append(got, entry.Provider+">"+entry.Next+": "+entry.Error)
	}
	return got
}

func TestFailoverNamesEveryFailure(t *testing.T) {
	f := NewFailover(slog.New(slog.DiscardHandler), Named{"a", &provider{err: errDown}}, Named{"b", &provider{err: errBusy}})
	const want = "sms: no provider took the message; a: down; b: busy"
	if got := f.Send(t.Context(), message); got == nil || got.Error() != want {
		t.Errorf("Send = %v; want %s", got, want)
	}
}

// stuck takes no message, until ctx is done.
type stuck struct{}

func (stuck) Send(ctx context.Context, _ otp.Message) error {
	<-ctx.Done()
	return errDown
}

func TestFailoverStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var log bytes.Buffer
		next := new(provider)
		f := NewFailover(slog.New(slog.NewTextHandler(&log, nil)), Named{"a", stuck{}}, Named{"b", next})
		for _, what := range []string{"whose deadline passes", "that is done already"} {
			err := f.Send(ctx, message)
			if !errors.Is(err, context.DeadlineExceeded) || next.tries != 0 || log.Len() != 0 {
				t.Errorf("Send with a context %s = %v, the next provider asked %d times, logged %q; want DeadlineExceeded, 0, nothing",
					what, err, next.tries, log.String())
			}
		}
	})
}

func TestFailoverDoesNotStartWithoutTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := new(provider)
	err := NewFailover(slog.New(slog.NewTextHandler(io.Discard, nil)), Named{"a", p}).Send(ctx, message)
	if !errors.Is(err, context.Canceled) || p.tries != 0 {
		t.Errorf("Send with a cancelled context = %v after %d tries; want Canceled after 0", err, p.tries)
	}
}
