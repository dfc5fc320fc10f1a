// Package sms owns the delivery of a message: one type a provider, and Failover to put them in order.
// What a message says, who gets one and what a failed delivery means is left to package otp.
//
// A provider is asked once for each Send. Trying it again belongs to whoever keeps the message until it
// is delivered; here the answer has to come while a person waits for it.
package sms

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"dekamond-otp/internal/otp"
)

var (
	_ otp.Sender = (*Console)(nil)
	_ otp.Sender = (*Webhook)(nil)
	_ otp.Sender = (*Failover)(nil)
)

// Console delivers messages to the developer's terminal, with number and code in clear. It is safe for
// use by many goroutines.
type Console struct {
	mu sync.Mutex
	w  io.Writer
}

// NewConsole gives a console that writes to w: standard output, and never the log.
func NewConsole(w io.Writer) *Console { return &Console{w: w} }

// Send writes the message as one line in one call of Write. Its only error is the writer's.
func (c *Console) Send(_ context.Context, m otp.Message) error {
	text := strings.Join(strings.Fields(m.Text), " ") // a text may have lines of its own
	line := fmt.Appendf(nil, "SMS to %s: %s\n", m.To.E164(), text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.w.Write(line); err != nil {
		return fmt.Errorf("sms: console: %w", err)
	}
	return nil
}
