// Package sms owns the delivery of a message: one file a provider, and the Router that chooses between them.
// What a message says, who gets one and what a failed delivery means is left to package otp.
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
)

// Console delivers messages to the developer's terminal, with number and code in clear.
type Console struct {
	w      io.Writer
	keeps  int
	mu     sync.Mutex
	recent []shown // the oldest first
}

type shown struct {
	message otp.Message
	at      time.Time
}

// NewConsole gives a console that writes to w: standard output, and never the log. It keeps the last messages, as many
// as keeps says, for Recent.
func NewConsole(w io.Writer, keeps int) *Console { return &Console{w: w, keeps: keeps} }

// Recent gives the kept messages and when they were shown, the newest first.
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
	text := strings.Join(strings.Fields(m.Text), " ") // a text may have lines of its own
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
