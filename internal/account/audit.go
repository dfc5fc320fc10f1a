package account

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// An Action is the kind of an Event.
type Action string

const (
	// SignedUp is the first login of a phone.
	SignedUp Action = "signup"
	// LoggedIn is every later login.
	LoggedIn Action = "login"
	// RefreshReused is the end of a session because a spent refresh token was used again.
	RefreshReused Action = "refresh_reuse"
	// LoggedOut is the end of one session or of all sessions of a user.
	LoggedOut Action = "logout"
	// Banned is a ban, which ends all sessions.
	Banned Action = "ban"
	// Unbanned is the end of a ban.
	Unbanned Action = "unban"
	// Deleted is the removal of a user.
	Deleted Action = "delete"
	// PhoneChanged is a change of a user's phone.
	PhoneChanged Action = "phone_change"
	// PhoneLost is the loss of a dormant user's phone to another user.
	PhoneLost Action = "phone_lost"
	// Unlocked is the end of a phone's limits before their time.
	Unlocked Action = "unlock"
	// KeysChanged is a change of the signing keys, or of the key that signs.
	KeysChanged Action = "key_change"
)

// Actions are all actions.
var Actions = []Action{
	SignedUp,
	LoggedIn,
	RefreshReused,
	LoggedOut,
	Banned,
	Unbanned,
	Deleted,
	PhoneChanged,
	PhoneLost,
	Unlocked,
	KeysChanged,
}

// An ActorKind is the kind of an Actor.
type ActorKind string

const (
	// Person is a user, proved by an access token.
	Person ActorKind = "user"
	// Admin is a holder of an admin key.
	Admin ActorKind = "admin"
	// System is the service itself.
	System ActorKind = "system"
)

// An Actor is the cause of an Event.
type Actor struct {
	Kind     ActorKind
	Session  uuid.UUID // Of a Person. uuid.Nil for others.
	Client   Client    // The zero Client for the System.
	AdminKey string    // The name of an Admin's key, which is not the key itself.
}

// event returns a new event that an actor causes. It changes detail.
func (s *Service) event(a Actor, action Action, user uuid.UUID, detail map[string]any) (Event, error) {
	id, err := s.clock.NewID()
	if err != nil {
		return Event{}, fmt.Errorf("account: new event: %w", err)
	}
	if a.AdminKey != "" {
		detail["key"] = a.AdminKey
	}
	return Event{
		ID:      id,
		Action:  action,
		User:    user,
		Session: a.Session,
		Actor:   a.Kind,
		Client:  a.Client,
		Detail:  detailOf(detail),
	}, nil
}

// An Event is one entry of the audit log. It never holds a phone in the clear.
type Event struct {
	ID            uuid.UUID // Version 7. Its time is that of the event.
	Action        Action
	User, Session uuid.UUID // uuid.Nil if the event concerns none.
	Actor         ActorKind
	Client        Client // The actor's. The zero Client for the System, except for a reuse.
	Detail        string // A JSON object.
}

// At returns the time of the event in milliseconds, by the clock of the copy of the service that recorded it.
func (e Event) At() time.Time { return issuedAt(e.ID) }

// Moved returns the event with a detail that names both phones, masked.
func (e Event) Moved(from, to phone.Number) Event {
	e.Detail = detailOf(map[string]any{"from": from.String(), "to": to.String()})
	return e
}

// detailOf returns a detail with the given members: strings, lists of strings, booleans, numbers and
// identifiers.
func detailOf(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil { // no value of these types fails to marshal
		panic(err)
	}
	return string(text)
}

// An EventPage selects events, the newest first. The zero value of a field other than Limit selects all.
type EventPage struct {
	Limit    int
	Before   uuid.UUID // Only events older than this one.
	User     uuid.UUID
	Action   Action
	From, To time.Time // From is included, To is not.
}

// Bounds returns identifiers around the page's events: low is included, high is not.
func (p EventPage) Bounds() (low, high uuid.UUID) {
	high = uuid.Max
	if !p.From.IsZero() {
		low = firstAt(p.From)
	}
	if !p.To.IsZero() {
		high = firstAt(p.To)
	}
	if p.Before != uuid.Nil && slices.Compare(p.Before[:], high[:]) < 0 {
		high = p.Before
	}
	return low, high
}

// Events returns a page of events, and whether older ones follow. Its error is ErrUnavailable.
func (s *Service) Events(ctx context.Context, p EventPage) (events []Event, more bool, err error) {
	limit := p.Limit
	p.Limit++
	events, err = s.store.Events(ctx, p)
	events, more = cut(events, limit)
	return events, more, err
}

// RecordKeys records which keys are published and which of them signs, unless the newest such record is the same. Of
// any number of copies with the same keys exactly one records it.
func (s *Service) RecordKeys(ctx context.Context, signing string, published []string) error {
	e, err := s.event(Actor{Kind: System}, KeysChanged, uuid.Nil, map[string]any{
		"signing":   signing,
		"published": slices.Sorted(slices.Values(published)),
	})
	if err != nil {
		return err
	}
	_, err = s.store.Record(ctx, e)
	return err
}

// RecordUnlock records that an actor has freed a phone, whose wrong attempts and messages since a time no longer count.
// The event names the phone's user, if there is one. Its only error is ErrUnavailable.
func (s *Service) RecordUnlock(
	ctx context.Context, p phone.Number, attempts int, since time.Time, actor Actor,
) error {
	user, err := s.userOf(ctx, p)
	if err != nil {
		return err
	}
	e, err := s.event(actor, Unlocked, user, map[string]any{
		"phone":    p.String(),
		"attempts": attempts,
		"since":    since.Format(time.RFC3339),
	})
	if err != nil {
		return err
	}
	_, err = s.store.Record(ctx, e)
	return err
}

// userOf returns the user who has the phone, or uuid.Nil.
func (s *Service) userOf(ctx context.Context, p phone.Number) (uuid.UUID, error) {
	found, err := s.store.List(ctx, Page{Limit: 1, Phone: phone.Search{Prefixes: []string{p.E164()}}})
	if err != nil || len(found) == 0 || found[0].Phone.E164() != p.E164() {
		return uuid.Nil, err
	}
	return found[0].ID, nil
}
