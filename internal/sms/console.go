// Package sms owns the delivery of a message: one file a provider, and the Router that chooses between them.
// What a message says, who gets one and what a failed delivery means is left to package otp.
package sms

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"dekamond-otp/internal/otp"
)

// Console delivers messages to the developer's terminal, with number and code in clear.
type Console struct {
	mu sync.Mutex
	w  io.Writer
}

// NewConsole gives a console that writes to w: standard output, and never the log.
func NewConsole(w io.Writer) *Console { return &Console{w: w} }

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
	return "", nil
}
