package sms

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/setting"
)

// consoleKeeps is the number of messages that the console of a development keeps for its login page.
const consoleKeeps = 50

var console = Description{
	Provider: setting.Provider{Name: "console", Development: true},
	Channels: []string{otp.SMS},
	New: func(in Inputs) (Provider, error) {
		keeps := consoleKeeps
		if in.Production {
			keeps = 0
		}
		return NewConsole(in.Stdout, keeps), nil
	},
}

// Console writes messages to the developer's terminal, with number and code in the clear.
type Console struct {
	w      io.Writer
	keeps  int
	mu     sync.Mutex // Held while w is written to and while recent is used.
	recent []shown    // The oldest first.
}

type shown struct {
	message otp.Message
	at      time.Time
}

// NewConsole returns a console that writes to w, which should be standard output and never the log. It keeps the last
// messages for Recent, at most as many as keeps.
func NewConsole(w io.Writer, keeps int) *Console { return &Console{w: w, keeps: keeps} }

// Recent yields the kept messages and when they were written, the newest first.
func (c *Console) Recent(yield func(otp.Message, time.Time) bool) {
	c.mu.Lock()
	recent := slices.Clone(c.recent)
	c.mu.Unlock()
	for _, s := range slices.Backward(recent) {
		if !yield(s.message, s.at) {
			return
		}
	}
}

// Channels implements Provider.
func (*Console) Channels() []string { return []string{otp.SMS} }

// Send writes the message as one line in one call of Write. Its only error is the writer's.
func (c *Console) Send(_ context.Context, m otp.Message) (id string, err error) {
	text := strings.Join(strings.Fields(m.Text), " ") // A text may have several lines.
	line := fmt.Appendf(nil, "SMS to %s: %s\n", m.To.E164(), text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.w.Write(line); err != nil {
		return "", err
	}
	c.recent = append(c.recent, shown{m, time.Now()})
	c.recent = c.recent[max(0, len(c.recent)-c.keeps):]
	return "", nil
}
