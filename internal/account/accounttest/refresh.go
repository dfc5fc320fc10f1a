package accounttest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

func refresh(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	s.Age(t, 24*time.Hour)
	for token := range byte(3) {
		r := rotate(t, s, n, token)
		named := r.User == u.ID && r.Phone.E164() == "+989121234567"
		if !named || !bytes.Equal(r.Seed, rotation(n, token).Seed) {
			t.Errorf("Refresh: %+v; want the user, the phone and the seed of this call", r)
		}
		if want := ttl - time.Duration(token+1)*24*time.Hour; r.TTL > want || r.TTL < want-time.Minute {
			t.Errorf("Refresh: %v until the end of the session; want %v", r.TTL, want)
		}
		s.Age(t, 24*time.Hour)
	}
	wantLive(t, s, u, n, true)
	wantEvents(t, s, u.ID, account.SignedUp)
	shown, err := s.Sessions(t.Context(), u.ID, 10)
	if err != nil || len(shown) != 1 || shown[0].Client != (account.Client{IP: "192.0.2.9", UserAgent: "refreshed"}) {
		t.Fatalf("Sessions: %+v, %v; want one, with the client of the refresh", shown, err)
	}
	if used := shown[0].LastUsedAt.Sub(shown[0].CreatedAt); used < 71*time.Hour || used > 73*time.Hour {
		t.Errorf("last used %v after the login; want three days", used)
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
	if first.Since != 0 {
		t.Errorf("Refresh: %v since the first use, which this is", first.Since)
	}
	age := time.Duration(0)
	for _, wait := range []time.Duration{0, 8 * time.Second, time.Minute, time.Hour, idleTTL - 2*time.Hour} {
		s.Age(t, wait)
		age += wait
		again := rotation(n, 0)
		again.NextHash, again.Seed = []byte{'x'}, []byte{'x'}
		got, err := s.Refresh(t.Context(), again)
		if got.Since < age || got.Since > age+time.Minute {
			t.Errorf("the same token again: %v since the first use; want %v", got.Since, age)
		}
		got.Since = 0
		if !reflect.DeepEqual(got, first) || err != nil {
			t.Errorf("the same token again after %v: %+v, %v; want %+v", age, got, err, first)
		}
		wantLive(t, s, u, n, true)
	}
	wantEvents(t, s, u.ID, account.SignedUp)
	s.Age(t, idleTTL-time.Hour) // the repetition has prolonged the session
	rotate(t, s, n, 1)
	wantLive(t, s, u, n, true)
}

// refreshRepeatedEnded checks that a repetition revives no session, prolongs none beyond its latest end, and gives
// nothing to a banned user.
func refreshRepeatedEnded(t *testing.T, s Store) {
	for name, end := range map[string]func(account.User, account.NewSession){
		"not used for long": func(account.User, account.NewSession) { s.Age(t, idleTTL) },
		"at its latest end": func(_ account.User, n account.NewSession) {
			s.Age(t, idleTTL-time.Hour)
			rotate(t, s, n, 0)
			s.Age(t, idleTTL-time.Hour)
			rotate(t, s, n, 0)
			s.Age(t, ttl-2*idleTTL+2*time.Hour)
		},
		"logged out": func(u account.User, n account.NewSession) {
			if err := s.EndSession(t.Context(), logout(u, n.ID)); err != nil {
				t.Fatal(err)
			}
		},
		"banned by a statement": func(u account.User, _ account.NewSession) {
			s.Exec(t, `update users set banned_at = created_at where id = $1`, u.ID.String())
		},
	} {
		n := newSession("+989121234567")
		u := login(t, s, n)
		rotate(t, s, n, 0)
		end(u, n)
		if _, err := s.Refresh(t.Context(), rotation(n, 0)); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s: %v; want ErrNotFound", name, err)
		}
		s.Exec(t, `delete from users where id = $1`, u.ID.String())
	}
}

func refreshReused(t *testing.T, s Store) {
	for name, reuse := range map[string]func(n account.NewSession){
		"long after its successor": func(n account.NewSession) {
			rotate(t, s, n, 0)
			rotate(t, s, n, 1)
			s.Age(t, time.Hour)
			wantRefused(t, s, n, 0, account.ErrReused)
		},
		"after its successor": func(n account.NewSession) {
			rotate(t, s, n, 1)
			wantRefused(t, s, n, 0, account.ErrReused)
		},
		"with a secret that was never issued": func(n account.NewSession) {
			wantRefused(t, s, n, 7, account.ErrReused)
		},
	} {
		n := newSession("+989121234567")
		u := login(t, s, n)
		rotate(t, s, n, 0)
		reuse(n)
		wantLive(t, s, u, n, false)
		for token := range byte(3) { // whether the thief or the person has the newest token
			wantRefused(t, s, n, token, account.ErrNotFound)
		}
		newest := wantEvents(t, s, u.ID, account.RefreshReused, account.SignedUp)[0]
		if newest.Session != n.ID || newest.Client.IP != "192.0.2.9" {
			t.Errorf("%s: event %+v; want the session and the client of the reuse", name, newest)
		}
		reuses, _ := s.Events(t.Context(), account.EventPage{Limit: 100, Action: account.RefreshReused})
		if len(reuses) != 1 {
			t.Errorf("%s: %d events of reuse; want 1", name, len(reuses))
		}
		gone := event(account.Deleted, u.ID)
		gone.Session = uuid.Nil
		if err := s.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		s.Exec(t, `delete from audit where user_id = $1`, u.ID.String())
	}
}

// refreshGuessed checks that a client that knows only the identifier of a session cannot end it.
func refreshGuessed(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	guess := rotation(n, 0)
	guess.FamilyHash = []byte{'?'}
	if _, err := s.Refresh(t.Context(), guess); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Refresh: %v; want ErrNotFound", err)
	}
	wantLive(t, s, u, n, true)
	rotate(t, s, n, 0)
	if _, err := s.Refresh(t.Context(), guess); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Refresh with the hash of the spent token: %v; want ErrNotFound", err)
	}
	wantLive(t, s, u, n, true)
	wantEvents(t, s, u.ID, account.SignedUp)
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
		rotated.Since = 0 // which differs from use to use
		seeds[fmt.Sprint(rotated)]++
		return err
	})
	if got[""] != 50 || len(seeds) != 1 {
		t.Errorf("50 uses of one token: %v, %v; want the same result for each", got, seeds)
	}
	wantLive(t, s, u, n, true)
}

// raceOfReuse checks that a session stays ended if a reuse ends it while it is refreshed.
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
		wantLive(t, s, u, n, false)
		wantRefused(t, s, n, 3, account.ErrNotFound)
	}
}
