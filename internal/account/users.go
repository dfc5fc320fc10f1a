package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/phone"
)

// A User is one person, identified by a phone.
type User struct {
	ID          uuid.UUID    // Version 7: ordered by creation.
	Phone       phone.Number // The zero Number if the phone has gone to another user.
	CreatedAt   time.Time
	LastLoginAt time.Time // The zero Time if the user never got tokens.
	BannedAt    time.Time // The zero Time if the user is not banned.
}

// A Claim is a phone that a person has proved to be theirs.
type Claim struct {
	Phone        phone.Number
	DormantAfter time.Duration // Another user who was not seen for this long loses the phone. 0 means never.
	LossEvent    uuid.UUID     // The identifier of the event of such a loss.
}

// newClaim returns a claim to a phone. It has an identifier for its event if the phone can be lost.
func (s *Service) newClaim(p phone.Number) (c Claim, err error) {
	c = Claim{Phone: p, DormantAfter: s.dormantAfter}
	if c.DormantAfter > 0 {
		if c.LossEvent, err = s.clock.NewID(); err != nil {
			return Claim{}, fmt.Errorf("account: new event: %w", err)
		}
	}
	return c, nil
}

// Lost returns the event that the claim causes for the user who loses the phone.
func (c Claim) Lost(loser, winner uuid.UUID) Event {
	return Event{
		ID:     c.LossEvent,
		Action: PhoneLost,
		User:   loser,
		Actor:  System,
		Detail: detailOf(map[string]any{"to_user": winner}),
	}
}

// A Page selects users, the newest first.
type Page struct {
	Limit  int
	Before uuid.UUID // Only users older than this one. uuid.Nil means from the newest.
	Phone  phone.Search
}

// ByID returns a user. Its errors are ErrNotFound and ErrUnavailable.
func (s *Service) ByID(ctx context.Context, id uuid.UUID) (User, error) { return s.store.ByID(ctx, id) }

// List returns a page of users, and whether older ones follow. Its error is ErrUnavailable.
func (s *Service) List(ctx context.Context, p Page) (users []User, more bool, err error) {
	limit := p.Limit
	p.Limit++
	users, err = s.store.List(ctx, p)
	users, more = cut(users, limit)
	return users, more, err
}

// SetBanned bans a user and ends all sessions, or lifts the ban. Its errors are ErrNotFound and ErrUnavailable.
func (s *Service) SetBanned(ctx context.Context, user uuid.UUID, banned bool, actor Actor) (User, error) {
	action := Unbanned
	if banned {
		action = Banned
	}
	e, err := s.event(actor, action, user, map[string]any{})
	if err != nil {
		return User{}, err
	}
	return s.store.SetBanned(ctx, banned, e)
}

// ChangePhone changes a user's phone to one that the user has proved to be theirs, and ends all sessions except the
// actor's. Its errors are ErrTaken, ErrNotFound if the actor's session is not live, and ErrUnavailable.
func (s *Service) ChangePhone(ctx context.Context, user uuid.UUID, p phone.Number, actor Actor) (User, error) {
	claim, err := s.newClaim(p)
	if err != nil {
		return User{}, err
	}
	e, err := s.event(actor, PhoneChanged, user, map[string]any{})
	if err != nil {
		return User{}, err
	}
	return s.store.ChangePhone(ctx, claim, e)
}

// Delete removes a user and all sessions. Its errors are ErrNotFound, for the user or for the actor's session, and
// ErrUnavailable.
func (s *Service) Delete(ctx context.Context, user uuid.UUID, actor Actor) error {
	e, err := s.event(actor, Deleted, user, map[string]any{})
	if err != nil {
		return err
	}
	return s.store.Delete(ctx, e)
}
