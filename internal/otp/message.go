package otp

import (
	"context"
	"fmt"
	"time"

	"dekamond-otp/internal/phone"
)

// Channels of a message.
const (
	SMS      = "sms"
	WhatsApp = "whatsapp"
	Telegram = "telegram"
	Voice    = "voice"
)

// A Message carries a code to a phone. It prints without its code, and with a masked number.
type Message struct {
	ID      string // unique to this send of the challenge; the same each time a provider is called for it
	Send    int    // number of this message in the challenge, from 1
	To      phone.Number
	Region  string
	Channel string
	Purpose Purpose
	Code    string
	Text    string        // what the person reads, including the code
	Locale  string        // a BCP 47 tag: the one that the client asked for, or else that of the text
	TTL     time.Duration // lifetime of the code
	From    Pseudonym     // of the client address that asked for it; empty if a copy before version 1.2 took it
}

// Format prints the message's identifier and the masked number.
func (m Message) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "message %s to %s", m.ID, m.To) }

func messageID(id ChallengeID, send int) string { return fmt.Sprintf("%s-%d", id, send) }

// A Router chooses providers for a message and calls them in turn.
type Router interface {
	// Channels returns the channels that are available for the region, the preferred one first. The caller must not
	// change the slice.
	Channels(region string) []string
	// Send hands the message to a provider. It tries one provider after another until one accepts the message or ctx
	// is done. It calls stillHeld before each call to a provider, and gives up if that returns an error. An error that
	// wraps ErrUndeliverable is final. No error contains the number or the code.
	Send(ctx context.Context, m Message, stillHeld func() error) (Handoff, error)
}

// Texts writes the texts of messages.
type Texts interface {
	// Locale chooses a language: the one that the client asked for, one that it accepts (RFC 9110 §12.5.4), or that of
	// the phone's region.
	Locale(asked, acceptLanguage, region string) string
	// Compose returns the text of a message in a language that Locale returned. life is that of the code.
	Compose(locale, purpose, code string, life time.Duration) string
}
