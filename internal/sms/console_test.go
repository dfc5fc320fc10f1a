package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"dekamond-otp/internal/otp"
)

// writes records each Write. It has no lock, so that the race detector notices calls that overlap.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestConsole(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"042137 is your login code.", "SMS to +989121234567: 042137 is your login code.\n"},
		{"کد ورود: 042137", "SMS to +989121234567: کد ورود: 042137\n"},
		{
			"042137 is your code.\r\n\n@example.com #042137\n",
			"SMS to +989121234567: 042137 is your code. @example.com #042137\n",
		},
		{"100% of 042137", "SMS to +989121234567: 100% of 042137\n"},
	} {
		var out writes
		m := message
		m.Text = tc.text
		_, err := NewConsole(&out, 0).Send(t.Context(), m)
		if got := strings.Join(out, "|"); got != tc.want || err != nil {
			t.Errorf("Send(%q) wrote %q, %v; want %q", tc.text, got, err, tc.want)
		}
	}
}

func TestConsoleKeepsLinesWhole(t *testing.T) {
	var out writes
	c := NewConsole(&out, 0)
	want := make(map[string]bool)
	var senders sync.WaitGroup
	for i := range 64 {
		m := message
		m.Text = fmt.Sprintf("%06d is your login code.", i)
		want["SMS to +989121234567: "+m.Text+"\n"] = true
		senders.Go(func() {
			if _, err := c.Send(t.Context(), m); err != nil {
				t.Errorf("Send(%q) = %v", m.Text, err)
			}
		})
	}
	senders.Wait()
	for _, line := range out {
		if !want[line] {
			t.Errorf("wrote %q; want each message once, as one line", line)
		}
		delete(want, line)
	}
	if len(want) > 0 {
		t.Errorf("%d messages are missing", len(want))
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestConsoleReturnsTheWritersError(t *testing.T) {
	broken := errors.New("broken pipe")
	if _, err := NewConsole(brokenWriter{broken}, 0).Send(context.Background(), message); !errors.Is(err, broken) {
		t.Errorf("Send to a broken writer = %v; want %v", err, broken)
	}
}

func TestConsoleKeepsTheLastMessages(t *testing.T) {
	c := NewConsole(io.Discard, 2)
	began := time.Now()
	for _, id := range []string{"a", "b", "c"} {
		if _, err := c.Send(t.Context(), otp.Message{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for m, at := range c.Recent {
		got += m.ID
		if at.Before(began) || at.After(time.Now()) {
			t.Errorf("message %s at %v", m.ID, at)
		}
	}
	if got != "cb" {
		t.Errorf("the last messages are %q; want cb", got)
	}
}
