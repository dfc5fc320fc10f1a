package account

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/clock"
	"dekamond-otp/internal/phone"
)

// A Signer makes access tokens.
type Signer interface {
	// Sign returns a token for a session of a user, with id as its identifier and at as its time of issue, and how long
	// it is valid. The zero Number means that the user has no phone. The same inputs always make the same token.
	Sign(
		user uuid.UUID, p phone.Number, session, id uuid.UUID, at time.Time,
	) (token string, ttl time.Duration, err error)
}

// Options are the inputs of New.
type Options struct {
	Store        Store
	Signer       Signer
	Log          *slog.Logger
	RefreshTTL   time.Duration // Life of a session, however often it is refreshed.
	SignupLogsIn bool          // Whether a new user gets tokens.
	DormantAfter time.Duration // A user not seen for this long can lose the phone to another user. 0 means never.
	AuditTTL     time.Duration // Life of an event.
	Clock        *clock.Clock  // Nil means that of this machine.
}

// A Service logs users in, keeps them logged in, and removes them. It is safe for use by many goroutines.
type Service struct {
	store        Store
	signer       Signer
	log          *slog.Logger
	refreshTTL   time.Duration
	signupLogsIn bool
	dormantAfter time.Duration
	auditTTL     time.Duration
	clock        *clock.Clock
}

// New returns a Service.
func New(o Options) *Service {
	return &Service{
		store:        o.Store,
		signer:       o.Signer,
		log:          o.Log,
		refreshTTL:   o.RefreshTTL,
		signupLogsIn: o.SignupLogsIn,
		dormantAfter: o.DormantAfter,
		auditTTL:     o.AuditTTL,
		clock:        o.Clock,
	}
}

// cut returns the first limit elements, and whether there were more.
func cut[T any](found []T, limit int) (page []T, more bool) {
	return found[:min(len(found), limit)], len(found) > limit
}
