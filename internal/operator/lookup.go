package operator

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"dekamond-otp/internal/otp"
)

// The kinds of identifiers that a person may bring along.
const (
	kindTicket  = "ticket"  // the request_id of a 202
	kindRequest = "request" // the request_id of a problem, or the header X-Request-ID
	kindMessage = "message" // the identifier of a message in the log, or at a provider
	kindTrace   = "trace"   // the trace_id of a log line
	kindUnknown = "unknown"
)

var kinds = map[string]*regexp.Regexp{
	kindRequest: regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
	kindMessage: regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9]+$`),
	kindTrace:   regexp.MustCompile(`^[0-9a-f]{32}$`),
}

// A lookup is the answer to GET /message.json. It names no phone and no code, and repeats no text that is not an
// identifier.
type lookup struct {
	Kind    string         `json:"kind"`
	Search  string         `json:"search"`  // is in every line of the log about it; empty if the kind is unknown
	Message *lookupMessage `json:"message"` // of a ticket
}

type lookupMessage struct {
	ID       string      `json:"id"`
	Send     int         `json:"send"`
	Purpose  string      `json:"purpose"`
	OpenedAt time.Time   `json:"opened_at"`
	Answers  bool        `json:"redis_answers"`
	Live     *lookupLive `json:"live"` // null once the code was used or burnt, or has expired
}

type lookupLive struct {
	State     otp.State `json:"state"`
	Provider  string    `json:"provider"`
	Wrong     int       `json:"wrong_attempts"`
	ExpiresIn float64   `json:"expires_in"` // seconds
}

// message answers GET /message.json: what is known of the identifier that the operator was given. Redis knows a message
// while its code is live; before and after that only the log does.
func (s *Server) message(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimSpace(r.URL.Query().Get("request_id"))
	ctx, cancel := context.WithTimeout(r.Context(), outboxTimeout)
	defer cancel()
	answer := lookup{Kind: kindUnknown}
	if found, err := s.options.LookUp(ctx, text); !errors.Is(err, otp.ErrUnknown) {
		answer = lookup{Kind: kindTicket, Search: found.Message, Message: describe(found, err)}
	}
	for kind, shape := range kinds {
		if lower := strings.ToLower(text); shape.MatchString(lower) {
			answer = lookup{Kind: kind, Search: lower}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer) // fails only when the client has closed the connection
}

func describe(found otp.Lookup, err error) *lookupMessage {
	m := &lookupMessage{
		ID:       found.Message,
		Send:     found.Send,
		Purpose:  found.Purpose,
		OpenedAt: found.OpenedAt,
		Answers:  err == nil,
	}
	if live := found.Live; live != nil {
		m.Live = &lookupLive{live.State, live.Provider, live.Wrong, live.ExpiresIn.Seconds()}
	}
	return m
}
