// Package sms owns the delivery of a message: each provider, described once in a file of its own, and the Router that
// chooses between them. Package otp decides what a message contains, who receives it, and what a failed delivery means.
//
// To add a provider, write a file with its Description, add it to Catalogue, and add its test and its documents. The
// settings, the doctor and the test of the documents follow the Description.
package sms

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"dekamond-otp/internal/otp"
)

// A Provider sends messages through one messaging service. It is safe for use by many goroutines, calls the service
// once per Send, and lets ctx alone bound the wait.
type Provider interface {
	// Channels returns the channels that the provider offers, the preferred one first.
	Channels() []string

	// Send returns the service's identifier of the message, by which its delivery reports name it, or "" if it has
	// none. The error is a *Failure if the service did not accept the message, and otherwise what kept it from
	// answering. No error quotes the number, the code or a credential.
	Send(ctx context.Context, m otp.Message) (id string, err error)
}

// A Reporter reads the delivery reports of a provider.
type Reporter interface {
	// Read returns the reports in a callback that are final; it leaves out intermediate states. The error is
	// otp.ErrForged or otp.ErrCallback.
	Read(c otp.Callback) ([]otp.Report, error)
}

// A Scope is how far a failure reaches.
type Scope int

const (
	// ScopeProvider means that the provider cannot do its work: try the next one, and count the failure against it.
	ScopeProvider Scope = iota
	// ScopeMessage means that the provider does not accept this message, this number or its country: try the next
	// one, and do not ask this one again. It says nothing about the provider's health.
	ScopeMessage
	// ScopeNumber means that the number cannot receive the message from any provider.
	ScopeNumber
)

// A Failure is the negative answer of a service.
type Failure struct {
	Status     int           // HTTP status; 0 if there was none.
	Code       string        // The service's own code.
	Text       string        // The service's explanation, without numbers and codes.
	RetryAfter time.Duration // How long the service asks to be left alone; 0 = it did not say.
	Scope      Scope
}

// Error returns text such as "answered 400, code 21211: The 'To' number ••• is not valid".
func (f *Failure) Error() string {
	if f.Status == 0 && f.Code == "" {
		return f.Text
	}
	s := "answered"
	if f.Status != 0 {
		s += " " + strconv.Itoa(f.Status)
	}
	if f.Code != "" {
		s += ", code " + f.Code
	}
	if f.Text != "" {
		s += ": " + f.Text
	}
	return s
}

// Unwrap returns otp.ErrUndeliverable for a failure of ScopeNumber.
func (f *Failure) Unwrap() error {
	if f.Scope == ScopeNumber {
		return otp.ErrUndeliverable
	}
	return nil
}

// opaque keeps the fields of the struct that embeds it out of logs. Every provider with credentials embeds it.
type opaque struct{}

// Format prints no field.
func (opaque) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[provider]") }
