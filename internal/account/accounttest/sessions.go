package accounttest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// rotation uses the token that the byte stands for, and has the next one for its successor.
func rotation(n account.NewSession, token byte) account.Rotation {
	return account.Rotation{
		Session: n.ID, FamilyHash: n.FamilyHash, SpentHash: hash(n, token), NextHash: hash(n, token+1), Seed: []byte{token, 0xff, 0},
		Client:  account.Client{IP: "192.0.2.9", UserAgent: "refreshed"},
		IdleTTL: idleTTL, RepeatWithin: repeatWithin, Event: uuid.Must(uuid.NewV7()),
	}
}

func hash(n account.NewSession, token byte) []byte {
	if token == 0 {
		return n.RefreshHash
	}
	return []byte{'t', token}
}

func rotate(t *testing.T, s Store, n account.NewSession, token byte) account.Rotated {
	t.Helper()
	r, err := s.Refresh(t.Context(), rotation(n, token))
	if err != nil {
		t.Fatalf("Refresh with token %d: %v", token, err)
	}
	return r
}

func refused(t *testing.T, s Store, n account.NewSession, token byte, want error) {
	t.Helper()
	if _, err := s.Refresh(t.Context(), rotation(n, token)); !errors.Is(err, want) {
		t.Fatalf("Refresh with token %d: %v; want %v", token, err, want)
	}
}

func live(t *testing.T, s Store, u account.User, n account.NewSession, want bool) {
	t.Helper()
	_, err := s.BySession(t.Context(), u.ID, n.ID)
	if want && err != nil || !want && !errors.Is(err, account.ErrNotFound) {
		t.Fatalf("BySession: %v; want live: %t", err, want)
	}
}

// happened holds that the newest events of a user are these, the newest first.
func happened(t *testing.T, s Store, user uuid.UUID, want ...account.Action) []account.Event {
	t.Helper()
	events, err := s.Events(t.Context(), account.EventPage{Limit: 100, User: user})
	var got []account.Action
	for _, e := range events {
		got = append(got, e.Action)
	}
	if !slices.Equal(got, want) || err != nil {
		t.Fatalf("events %v, %v; want %v", got, err, want)
	}
	return events
}

func event(a account.Action, user uuid.UUID) account.Event {
	return account.Event{
		ID: uuid.Must(uuid.NewV7()), Action: a, User: user, Session: uuid.Must(uuid.NewV7()), Actor: account.Admin,
		Client: account.Client{IP: "2001:db8::1", UserAgent: `"; --`}, Detail: `{"a":"b"}`,
	}
}

func logout(u account.User, session uuid.UUID) account.Event {
	e := event(account.LoggedOut, u.ID)
	e.Session = session
	return e
}

func refresh(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	s.Age(t, 24*time.Hour)
	for token := range byte(3) {
		r := rotate(t, s, n, token)
		if want := ttl - time.Duration(token+1)*24*time.Hour; r.User != u.ID || string(r.Seed) != string(rotation(n, token).Seed) || r.TTL > want || r.TTL < want-time.Minute {
			t.Errorf("Refresh: %+v; want the user, the call's own seed and %v", r, want)
		}
		s.Age(t, 24*time.Hour)
	}
	live(t, s, u, n, true)
	happened(t, s, u.ID, account.SignedUp)
	shown, err := s.Sessions(t.Context(), u.ID, 10)
	if err != nil || len(shown) != 1 || shown[0].Client != (account.Client{IP: "192.0.2.9", UserAgent: "refreshed"}) {
		t.Fatalf("Sessions: %+v, %v; want one, with the client of the refresh", shown, err)
	}
	if used := shown[0].LastUsedAt.Sub(shown[0].CreatedAt); used < 71*time.Hour || used > 73*time.Hour {
		t.Errorf("used %v after it was created; want three days", used)
	}
	other := rotation(n, 3)
	other.Session = uuid.Must(uuid.NewV7())
	if _, err := s.Refresh(t.Context(), other); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Refresh of an unknown session: %v; want ErrNotFound", err)
	}
}

func refreshRepeated(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	first := rotate(t, s, n, 0)
	s.Age(t, repeatWithin-2*time.Second)
	again := rotation(n, 0)
	again.NextHash, again.Seed = []byte{'x'}, []byte{'x'}
	if got, err := s.Refresh(t.Context(), again); string(got.Seed) != string(first.Seed) || got.User != u.ID || got.TTL != first.TTL || err != nil {
		t.Errorf("the same token again: %+v, %v; want %+v", got, err, first)
	}
	s.Age(t, time.Second) // the repetition gave no time
	rotate(t, s, n, 0)
	rotate(t, s, n, 1)
	live(t, s, u, n, true)
}

func refreshReused(t *testing.T, s Store) {
	for name, reuse := range map[string]func(n account.NewSession){
		"late":                    func(n account.NewSession) { s.Age(t, repeatWithin); refused(t, s, n, 0, account.ErrReused) },
		"after its successor":     func(n account.NewSession) { rotate(t, s, n, 1); refused(t, s, n, 0, account.ErrReused) },
		"with a secret never had": func(n account.NewSession) { refused(t, s, n, 7, account.ErrReused) },
	} {
		n := newSession("+989121234567")
		u := login(t, s, n)
		rotate(t, s, n, 0)
		reuse(n)
		live(t, s, u, n, false)
		for token := range byte(3) { // neither the thief nor the person
			refused(t, s, n, token, account.ErrNotFound)
		}
		newest, err := s.Events(t.Context(), account.EventPage{Limit: 1, User: u.ID})
		if err != nil || len(newest) != 1 || newest[0].Action != account.RefreshReused || newest[0].Session != n.ID || newest[0].Client.IP != "192.0.2.9" {
			t.Errorf("%s: newest event %+v, %v; want the reuse, by that client", name, newest, err)
		}
		if found, _ := s.Events(t.Context(), account.EventPage{Limit: 100, Action: account.RefreshReused}); len(found) != 1 {
			t.Errorf("%s: %d events of reuse; want 1", name, len(found))
		}
		gone := event(account.Deleted, u.ID)
		gone.Session = uuid.Nil
		if err := s.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, `delete from audit where user_id = $1`, u.ID.String())
	}
}

// refreshGuessed holds that who knows no more than a session's identifier does not end it.
func refreshGuessed(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	guess := rotation(n, 0)
	guess.FamilyHash = []byte{'?'}
	if _, err := s.Refresh(t.Context(), guess); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Refresh: %v; want ErrNotFound", err)
	}
	live(t, s, u, n, true)
	rotate(t, s, n, 0)
	if _, err := s.Refresh(t.Context(), guess); !errors.Is(err, account.ErrNotFound) { // with the hash that is spent now
		t.Errorf("Refresh: %v; want ErrNotFound", err)
	}
	live(t, s, u, n, true)
	happened(t, s, u.ID, account.SignedUp)
}

func endOfASession(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	s.Age(t, idleTTL-time.Minute)
	rotate(t, s, n, 0)
	s.Age(t, idleTTL-time.Minute)
	rotate(t, s, n, 1)
	s.Age(t, ttl-2*idleTTL+time.Minute)
	live(t, s, u, n, true)
	s.Age(t, time.Minute)
	live(t, s, u, n, false) // the latest end
	refused(t, s, n, 2, account.ErrNotFound)

	n = newSession("+989121234567")
	login(t, s, n)
	s.Age(t, idleTTL)
	live(t, s, u, n, false)
	refused(t, s, n, 0, account.ErrNotFound)
	if shown, err := s.Sessions(t.Context(), u.ID, 10); len(shown) != 0 || err != nil {
		t.Errorf("Sessions: %v, %v; want none", shown, err)
	}

	n = newSession("+989121234567")
	login(t, s, n)
	rotate(t, s, n, 0)
	s.Age(t, idleTTL) // since the refresh
	live(t, s, u, n, false)
	refused(t, s, n, 1, account.ErrNotFound)

	n = newSession("+989121234567")
	n.TTL = time.Hour // shorter than the idle life
	login(t, s, n)
	s.Age(t, 59*time.Minute)
	if r := rotate(t, s, n, 0); r.TTL > time.Minute {
		t.Errorf("refreshed for %v; want the minute that is left", r.TTL)
	}
	s.Age(t, time.Minute)
	live(t, s, u, n, false)
}

func raceOfOneRefresh(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	var mu sync.Mutex
	seeds := make(map[string]int)
	got := atOnce(50, func(i int) error {
		r := rotation(n, 0)
		r.NextHash, r.Seed = []byte{'n', byte(i)}, []byte{'s', byte(i)}
		rotated, err := s.Refresh(t.Context(), r)
		mu.Lock()
		defer mu.Unlock()
		seeds[fmt.Sprint(rotated)]++
		return err
	})
	if got[""] != 50 || len(seeds) != 1 {
		t.Errorf("50 uses of one token: %v, %v; want the same answer for each", got, seeds)
	}
	live(t, s, u, n, true)
}

// raceOfReuse holds that a session which is ended while it is refreshed stays ended.
func raceOfReuse(t *testing.T, s Store) {
	for range 20 {
		n := newSession("+989121234567")
		u := login(t, s, n)
		rotate(t, s, n, 0)
		rotate(t, s, n, 1)
		got := atOnce(8, func(i int) error {
			_, err := s.Refresh(t.Context(), rotation(n, []byte{0, 2}[i%2]))
			return err
		})
		if got[account.ErrReused.Error()] == 0 {
			t.Fatalf("uses of a spent token and of the current one: %v; want a reuse", got)
		}
		live(t, s, u, n, false)
		refused(t, s, n, 3, account.ErrNotFound)
	}
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
	if got, age := shown[1], time.Since(shown[1].CreatedAt); got.Client != ns[3].Client || !got.LastUsedAt.Equal(got.CreatedAt) ||
		age < 30*time.Second || age > 90*time.Second || got.CreatedAt.Location() != time.UTC || got.LastUsedAt.Location() != time.UTC {
		t.Errorf("a session that was not refreshed: %+v; want its login a minute ago, in UTC", got)
	}
	if shown, err := s.Sessions(t.Context(), u.ID, 1); err != nil || len(shown) != 1 || shown[0].ID != ns[0].ID {
		t.Errorf("Sessions, at most one: %+v, %v", shown, err)
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
	live(t, s, u, a, false)
	live(t, s, u, b, true)
	refused(t, s, a, 0, account.ErrNotFound)
	for what, id := range map[string]uuid.UUID{"ended": a.ID, "another's": c.ID, "unknown": uuid.Must(uuid.NewV7())} {
		if err := s.EndSession(t.Context(), logout(u, id)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("EndSession, %s: %v; want ErrNotFound", what, err)
		}
	}
	live(t, s, other, c, true)
	got := happened(t, s, u.ID, account.LoggedOut, account.LoggedIn, account.SignedUp)[0]
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
	live(t, s, u, a, false)
	live(t, s, u, b, false)
	live(t, s, other, c, true)
	if got := happened(t, s, u.ID, account.LoggedOut, account.LoggedIn, account.SignedUp)[0]; got != e {
		t.Errorf("event %+v; want %+v", got, e)
	}
	if err := s.EndSessions(t.Context(), event(account.LoggedOut, u.ID)); err != nil {
		t.Errorf("EndSessions of a user without: %v", err)
	}
	if err := s.EndSessions(t.Context(), event(account.LoggedOut, uuid.Must(uuid.NewV7()))); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("EndSessions of a stranger: %v; want ErrNotFound", err)
	}
}
