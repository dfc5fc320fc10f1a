package accounttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

func newUser(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	if u.ID != n.UserID || u.Phone.E164() != "+989121234567" {
		t.Errorf("user %v with %s; want %v with the phone", u.ID, u.Phone, n.UserID)
	}
	if age := time.Since(u.CreatedAt); age < -time.Minute || age > time.Minute || u.CreatedAt.Location() != time.UTC {
		t.Errorf("created at %v; want now, in UTC", u.CreatedAt)
	}
	if !u.LastLoginAt.Equal(u.CreatedAt) || !u.BannedAt.IsZero() {
		t.Errorf("last login %v, banned %v; want %v and no ban", u.LastLoginAt, u.BannedAt, u.CreatedAt)
	}
	if got, err := s.ByID(t.Context(), u.ID); got != u || err != nil {
		t.Errorf("ByID: %v, %v; want %v", got, err, u)
	}
	if _, err := s.ByID(t.Context(), uuid.Must(uuid.NewV7())); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("ByID of a stranger: %v; want ErrNotFound", err)
	}
}

func knownUser(t *testing.T, s Store) {
	first := login(t, s, newSession("+989121234567"))
	time.Sleep(time.Millisecond) // some stores know no finer time
	n := newSession("+989121234567")
	n.LogsIn = false // has no effect on a known user
	again := login(t, s, n)
	want := first
	if want.LastLoginAt = again.LastLoginAt; again != want || !again.LastLoginAt.After(first.LastLoginAt) {
		t.Errorf("second login: %+v; want the user of the first, %+v, with a later login", again, first)
	}
	if got, err := s.BySession(t.Context(), again.ID, n.ID); got != again || err != nil {
		t.Errorf("BySession: %v, %v; want %v", got, err, again)
	}
}

func signupWithoutLogin(t *testing.T, s Store) {
	n := newSession("+989121234567")
	n.LogsIn = false
	u := login(t, s, n)
	if u.ID != n.UserID || !u.LastLoginAt.IsZero() {
		t.Errorf("user %v, last login %v; want %v and no login", u.ID, u.LastLoginAt, n.UserID)
	}
	if _, err := s.BySession(t.Context(), u.ID, n.ID); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("BySession: %v; want ErrNotFound", err)
	}
	if _, err := s.Login(t.Context(), n); !errors.Is(err, account.ErrSpent) {
		t.Errorf("Login again: %v; want ErrSpent", err)
	}
}

func spentChallenge(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	for _, e164 := range []string{"+989121234567", "+989121234568"} {
		again := newSession(e164)
		again.Challenge = n.Challenge
		if _, err := s.Login(t.Context(), again); !errors.Is(err, account.ErrSpent) {
			t.Errorf("Login: %v; want ErrSpent", err)
		}
	}
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 1 || users[0] != u || err != nil {
		t.Errorf("users %v, %v; want %v as it was", users, err, u)
	}
}

func bannedUser(t *testing.T, s Store) {
	first := newSession("+989121234567")
	u := login(t, s, first)
	s.Exec(t, `update users set banned_at = created_at where id = $1`, u.ID.String())
	n := newSession("+989121234567")
	banned := login(t, s, n)
	if banned.BannedAt.IsZero() || !banned.LastLoginAt.Equal(u.LastLoginAt) {
		t.Errorf("user %+v; want banned, and no login after %v", banned, u.LastLoginAt)
	}
	if _, err := s.BySession(t.Context(), u.ID, n.ID); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("BySession: %v; want ErrNotFound", err)
	}
	if _, err := s.Login(t.Context(), n); !errors.Is(err, account.ErrSpent) {
		t.Errorf("Login again: %v; want ErrSpent", err)
	}
	if got, err := s.BySession(t.Context(), u.ID, first.ID); err != nil || got.BannedAt.IsZero() {
		t.Errorf("BySession of the old session: %v, %v; want the banned user", got, err)
	}
	// A ban by a statement in the database ends no session, but stops its refresh. A ban by the store ends sessions.
	wantRefused(t, s, first, 0, account.ErrNotFound)
	if _, err := s.SetBanned(t.Context(), true, event(account.Banned, u.ID)); err != nil {
		t.Fatal(err)
	}
	wantLive(t, s, u, first, false)
}

func raceOfOneChallenge(t *testing.T, s Store) {
	challenge := uuid.Must(uuid.NewV7())
	got := atOnce(200, func(int) error {
		n := newSession("+989121234567")
		n.Challenge = challenge
		_, err := s.Login(t.Context(), n)
		return err
	})
	if got[""] != 1 || got[account.ErrSpent.Error()] != 199 {
		t.Errorf("200 logins with one challenge: %v; want 1 success, 199 spent", got)
	}
}

func raceOfOneNewPhone(t *testing.T, s Store) {
	got := atOnce(100, func(int) error { _, err := s.Login(t.Context(), newSession("+989121234567")); return err })
	if got[""] != 100 {
		t.Errorf("100 logins of one phone: %v; want 100 successes", got)
	}
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 1 || err != nil {
		t.Errorf("%d users, %v; want 1", len(users), err)
	}
}

func raceOfManyNewPhones(t *testing.T, s Store) {
	first := rand.IntN(1e6)
	got := atOnce(100, func(i int) error {
		_, err := s.Login(t.Context(), newSession(fmt.Sprintf("+98912%07d", first+i)))
		return err
	})
	if users, err := s.List(t.Context(), account.Page{Limit: 200}); got[""] != 100 || len(users) != 100 || err != nil {
		t.Errorf("100 logins of 100 phones: %v, %d users, %v; want 100 of each", got, len(users), err)
	}
}
