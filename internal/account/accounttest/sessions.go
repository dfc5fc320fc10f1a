package accounttest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

func session(t *testing.T, s Store) {
	gone := func(what string, user, session uuid.UUID) {
		t.Helper()
		if _, err := s.BySession(t.Context(), user, session); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("BySession, %s: %v; want ErrNotFound", what, err)
		}
	}
	a, b := newSession("+989121234567"), newSession("+989121234568")
	user, other := login(t, s, a), login(t, s, b)
	if got, err := s.BySession(t.Context(), user.ID, a.ID); got != user || err != nil {
		t.Errorf("BySession: %v, %v; want %v", got, err, user)
	}
	gone("another's", user.ID, b.ID)
	gone("unknown", user.ID, uuid.Must(uuid.NewV7()))
	s.Exec(t, `update sessions set ended_at = created_at where id = $1`, a.ID.String())
	gone("ended", user.ID, a.ID)
	s.Exec(t, `update sessions set expires_at = created_at where id = $1`, b.ID.String())
	gone("expired", other.ID, b.ID)
	s.Exec(t, `delete from users where id = $1`, other.ID.String())
	b.Event = uuid.Must(uuid.NewV7())
	login(t, s, b) // which records a new session with the same identifier
}

func endOfASession(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	s.Age(t, idleTTL-time.Minute)
	rotate(t, s, n, 0)
	s.Age(t, idleTTL-time.Minute)
	rotate(t, s, n, 1)
	s.Age(t, ttl-2*idleTTL+time.Minute)
	wantLive(t, s, u, n, true)
	s.Age(t, time.Minute)
	wantLive(t, s, u, n, false) // ttl after the login
	wantRefused(t, s, n, 2, account.ErrNotFound)

	n = newSession("+989121234567")
	login(t, s, n)
	s.Age(t, idleTTL)
	wantLive(t, s, u, n, false)
	wantRefused(t, s, n, 0, account.ErrNotFound)
	if shown, err := s.Sessions(t.Context(), u.ID, 10); len(shown) != 0 || err != nil {
		t.Errorf("Sessions: %v, %v; want none", shown, err)
	}

	n = newSession("+989121234567")
	login(t, s, n)
	rotate(t, s, n, 0)
	s.Age(t, idleTTL) // after the refresh
	wantLive(t, s, u, n, false)
	wantRefused(t, s, n, 1, account.ErrNotFound)

	n = newSession("+989121234567")
	n.TTL = time.Hour // shorter than IdleTTL
	login(t, s, n)
	s.Age(t, 59*time.Minute)
	if r := rotate(t, s, n, 0); r.TTL > time.Minute {
		t.Errorf("Refresh: %v until the end of the session; want the minute that is left", r.TTL)
	}
	s.Age(t, time.Minute)
	wantLive(t, s, u, n, false)
}

func sessions(t *testing.T, s Store) {
	var ns []account.NewSession
	var u account.User
	for range 4 {
		n := newSession("+989121234567")
		ns = append(ns, n)
		u = login(t, s, n)
		s.Age(t, time.Minute)
	}
	login(t, s, newSession("+989121234568"))
	rotate(t, s, ns[0], 0)
	if err := s.EndSession(t.Context(), logout(u, ns[1].ID)); err != nil {
		t.Fatal(err)
	}
	shown, err := s.Sessions(t.Context(), u.ID, 10)
	if err != nil || len(shown) != 3 || shown[0].ID != ns[0].ID || shown[1].ID != ns[3].ID || shown[2].ID != ns[2].ID {
		t.Fatalf("Sessions: %+v, %v; want the three live ones, the last used first", shown, err)
	}
	got := shown[1]
	if got.Client != ns[3].Client || !got.LastUsedAt.Equal(got.CreatedAt) {
		t.Errorf("a session that was not refreshed: %+v; want the client and the time of its login", got)
	}
	if age := time.Since(got.CreatedAt); age < 30*time.Second || age > 90*time.Second {
		t.Errorf("created at %v; want a minute ago", got.CreatedAt)
	}
	if got.CreatedAt.Location() != time.UTC || got.LastUsedAt.Location() != time.UTC {
		t.Errorf("times %v and %v; want both in UTC", got.CreatedAt, got.LastUsedAt)
	}
	if shown, err := s.Sessions(t.Context(), u.ID, 1); err != nil || len(shown) != 1 || shown[0].ID != ns[0].ID {
		t.Errorf("Sessions, at most one: %+v, %v; want the last used", shown, err)
	}
	if shown, err := s.Sessions(t.Context(), uuid.Must(uuid.NewV7()), 1); err != nil || len(shown) != 0 {
		t.Errorf("Sessions of a stranger: %+v, %v; want none", shown, err)
	}
}

func endSession(t *testing.T, s Store) {
	a, b, c := newSession("+989121234567"), newSession("+989121234567"), newSession("+989121234568")
	u := login(t, s, a)
	login(t, s, b)
	other := login(t, s, c)
	e := logout(u, a.ID)
	if err := s.EndSession(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	wantLive(t, s, u, a, false)
	wantLive(t, s, u, b, true)
	wantRefused(t, s, a, 0, account.ErrNotFound)
	for what, id := range map[string]uuid.UUID{"ended": a.ID, "another's": c.ID, "unknown": uuid.Must(uuid.NewV7())} {
		if err := s.EndSession(t.Context(), logout(u, id)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("EndSession, %s: %v; want ErrNotFound", what, err)
		}
	}
	wantLive(t, s, other, c, true)
	got := wantEvents(t, s, u.ID, account.LoggedOut, account.LoggedIn, account.SignedUp)[0]
	if got != e {
		t.Errorf("event %+v; want %+v", got, e)
	}
	if _, err := s.Login(t.Context(), a); !errors.Is(err, account.ErrSpent) {
		t.Errorf("Login with the challenge of a session that ended: %v; want ErrSpent", err)
	}
}

func endSessions(t *testing.T, s Store) {
	a, b, c := newSession("+989121234567"), newSession("+989121234567"), newSession("+989121234568")
	u := login(t, s, a)
	login(t, s, b)
	other := login(t, s, c)
	e := event(account.LoggedOut, u.ID)
	if err := s.EndSessions(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	wantLive(t, s, u, a, false)
	wantLive(t, s, u, b, false)
	wantLive(t, s, other, c, true)
	if got := wantEvents(t, s, u.ID, account.LoggedOut, account.LoggedIn, account.SignedUp)[0]; got != e {
		t.Errorf("event %+v; want %+v", got, e)
	}
	if err := s.EndSessions(t.Context(), event(account.LoggedOut, u.ID)); err != nil {
		t.Errorf("EndSessions of a user without live sessions: %v", err)
	}
	stranger := event(account.LoggedOut, uuid.Must(uuid.NewV7()))
	if err := s.EndSessions(t.Context(), stranger); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("EndSessions of a stranger: %v; want ErrNotFound", err)
	}
}
