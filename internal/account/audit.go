package account

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// An Action is what happened in an Event.
type Action string

const (
	// SignedUp is the first login of a phone.
	SignedUp Action = "signup"
	// LoggedIn is every later one.
	LoggedIn Action = "login"
	// RefreshReused is the end of a session whose spent refresh token was used again.
	RefreshReused Action = "refresh_reuse"
	// LoggedOut is the end of one session, or of all of a user's.
	LoggedOut Action = "logout"
	// Banned is a ban, with the end of all sessions.
	Banned Action = "ban"
	// Unbanned is the end of a ban.
	Unbanned Action = "unban"
	// Deleted is the removal of a user.
	Deleted Action = "delete"
	// PhoneChanged is a user's new number.
	PhoneChanged Action = "phone_change"
	// PhoneLost is the number of a dormant user going to a new one.
	PhoneLost Action = "phone_lost"
	// KeysChanged is another set of signing keys, or another one of them that signs.
	KeysChanged Action = "key_change"
)

// Actions are all of them.
var Actions = []Action{SignedUp, LoggedIn, RefreshReused, LoggedOut, Banned, Unbanned, Deleted, PhoneChanged, PhoneLost, KeysChanged}

// An Actor is who made an Event happen.
type ActorKind string

const (
	// Person is the user, or who holds the user's tokens.
	Person ActorKind = "user"
	// Admin is who holds an admin key.
	Admin ActorKind = "admin"
	// System is the service itself.
	System ActorKind = "system"
)

// An Event is an entry of the audit. It never holds a phone number in clear.
type Event struct {
	ID            uuid.UUID // version 7: its time is when it happened
	Action        Action
	User, Session uuid.UUID // uuid.Nil = concerns none
	Actor         ActorKind
	Client        Client // zero where the service itself acted
	Detail        string // a JSON object
}

// At is when it happened, to the millisecond, by the clock of the copy of the service that recorded it.
func (e Event) At() time.Time { return issuedAt(e.ID) }

// Moved is the event with a detail that tells of both numbers.
func (e Event) Moved(from, to phone.Number) Event {
	e.Detail = detailOf(map[string]any{"from": from.String(), "to": to.String()})
	return e
}

// Lost is the event of a user whose phone goes to another one for this claim.
func (c Claim) Lost(loser, winner uuid.UUID) Event {
	return Event{ID: c.LossEvent, Action: PhoneLost, User: loser, Actor: System, Detail: detailOf(map[string]any{"to_user": winner})}
}

// detailOf is the JSON object of a detail.
func detailOf(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil { // there are only strings, lists of them and identifiers
		panic(err)
	}
	return string(text)
}

// An EventPage asks for events, newest first. The zero value of a field asks for all.
type EventPage struct {
	Limit    int
	Before   uuid.UUID // only events older than this one
	User     uuid.UUID
	Action   Action
	From, To time.Time // From counts, To does not
}

// Bounds are the identifiers between which the page's events are: low counts, high does not.
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

// firstAt is below every identifier of version 7 that was made at t or later, and above those before.
func firstAt(t time.Time) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(0, t.UnixMilli()))<<16)
	return id
}

// issuedAt is the time of an identifier of version 7.
func issuedAt(id uuid.UUID) time.Time { return time.Unix(id.Time().UnixTime()).UTC() }

// A By is who does something and from where.
type Actor struct {
	Kind     ActorKind
	Session  uuid.UUID // of the actor, if it has one
	Client   Client
	AdminKey string // names the admin key
}

// event makes an event of what by does. Detail is changed.
func (by Actor) event(a Action, user uuid.UUID, detail map[string]any) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, fmt.Errorf("account: new event: %w", err)
	}
	if by.AdminKey != "" {
		detail["key"] = by.AdminKey
	}
	return Event{ID: id, Action: a, User: user, Session: by.Session, Actor: by.Kind, Client: by.Client, Detail: detailOf(detail)}, nil
}

// Events gives a page of events and whether older ones follow. Its error is ErrUnavailable.
func (s *Service) Events(ctx context.Context, p EventPage) (events []Event, more bool, err error) {
	limit := p.Limit
	p.Limit++
	events, err = s.store.Events(ctx, p)
	events, more = cut(events, limit)
	return events, more, err
}

// RecordKeys records which keys are published and which of them signs, unless that is known already: of
// any number of copies with the same keys one records it.
func (s *Service) RecordKeys(ctx context.Context, signing string, published []string) error {
	e, err := Actor{Kind: System}.event(KeysChanged, uuid.Nil, map[string]any{"signing": signing, "published": slices.Sorted(slices.Values(published))})
	if err != nil {
		return err
	}
	_, err = s.store.Record(ctx, e)
	return err
}

// A Broom says what Sweep deletes: at most Limit rows of each kind.
type Retention struct {
	SessionsDead time.Duration // sessions that ended that long ago
	EventsBefore uuid.UUID     // events older than this one
	Limit        int
}

// Swept counts what was deleted.
type Swept struct{ Sessions, Events int }

const (
	sweepEvery = 10 * time.Minute
	sweepPause = 50 * time.Millisecond // between two batches, for everybody else
	sweepBatch = 500

	// keepDead is how long a session that ended is kept: while its challenge could still be answered, so that
	// the code is not good for another login.
	keepDead = time.Hour
)

// Housekeep deletes sessions that have ended and events that are older than Options.AuditTTL, in small
// batches, at the start and every ten minutes until ctx is done.
func (s *Service) Housekeep(ctx context.Context) {
	for wait := time.Duration(0); ; wait = sweepEvery {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if total, err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "housekeeping failed", "error", err.Error())
		} else if total != (Swept{}) {
			s.log.InfoContext(ctx, "housekeeping", "sessions_deleted", total.Sessions, "audit_deleted", total.Events)
		}
	}
}

func (s *Service) sweep(ctx context.Context) (total Swept, err error) {
	// What a dormant user is known by are sessions, too.
	broom := Retention{SessionsDead: max(keepDead, s.dormantAfter), EventsBefore: firstAt(time.Now().Add(-s.auditTTL)), Limit: sweepBatch}
	for {
		swept, err := s.store.Sweep(ctx, broom)
		total.Sessions += swept.Sessions
		total.Events += swept.Events
		if err != nil || max(swept.Sessions, swept.Events) < sweepBatch {
			return total, err
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(sweepPause):
		}
	}
}
