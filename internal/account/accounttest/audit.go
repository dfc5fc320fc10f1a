package accounttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// eventAt is an event of another time.
func eventAt(a account.Action, user uuid.UUID, at time.Time) account.Event {
	e := event(a, user)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(e.ID[:6], ms[2:])
	return e
}

func events(t *testing.T, s Store) {
	if got, err := s.Events(t.Context(), account.EventPage{Limit: 10}); len(got) != 0 || err != nil {
		t.Errorf("Events of none: %v, %v", got, err)
	}
	now := time.Now().Truncate(time.Second)
	a, b := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	var all []account.Event
	for i := range 20 {
		e := eventAt([]account.Action{account.Banned, account.LoggedIn}[i%2], []uuid.UUID{a, b, uuid.Nil}[i%3], now.Add(time.Duration(i-20)*time.Minute))
		if i%5 == 0 {
			e.Session = uuid.Nil
		}
		e.Detail = `{"n":` + string(rune('a'+i)) + `}` // the newest of its action is never the same
		if recorded, err := s.Record(t.Context(), e); !recorded || err != nil {
			t.Fatalf("Record: %t, %v", recorded, err)
		}
		all = append([]account.Event{e}, all...)
	}
	for name, p := range map[string]account.EventPage{
		"all":                   {},
		"of a user":             {User: a},
		"of an action":          {Action: account.Banned},
		"of a common action":    {Action: account.LoggedIn},
		"of both":               {User: b, Action: account.LoggedIn},
		"of none":               {User: uuid.Must(uuid.NewV7())},
		"from":                  {From: now.Add(-10 * time.Minute)},
		"to":                    {To: now.Add(-10 * time.Minute)},
		"between":               {From: now.Add(-15 * time.Minute), To: now.Add(-5 * time.Minute)},
		"between for a user":    {From: now.Add(-15 * time.Minute), To: now.Add(-5 * time.Minute), User: a},
		"between for an action": {From: now.Add(-15 * time.Minute), To: now.Add(-5 * time.Minute), Action: account.Banned},
		"from before 1970":      {From: time.Unix(-1e9, 0)},
		"to before 1970":        {To: time.Unix(-1e9, 0)},
	} {
		var want, got []account.Event
		for _, e := range all {
			if (p.User == uuid.Nil || e.User == p.User) && (p.Action == "" || e.Action == p.Action) &&
				(p.From.IsZero() || !e.At().Before(p.From)) && (p.To.IsZero() || e.At().Before(p.To)) {
				want = append(want, e)
			}
		}
		for p.Limit = 3; ; p.Before = got[len(got)-1].ID {
			page, err := s.Events(t.Context(), p)
			if err != nil || len(page) > p.Limit {
				t.Fatalf("%s: %d events, %v", name, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d events; want %d", name, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: event %d is %+v; want %+v", name, i, got[i], want[i])
			}
		}
	}
}

func record(t *testing.T, s Store) {
	recorded := func(detail string) bool {
		t.Helper()
		e := event(account.KeysChanged, uuid.Nil)
		e.Detail = detail
		yes, err := s.Record(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	got := atOnce(20, func(int) error {
		e := event(account.KeysChanged, uuid.Nil)
		_, err := s.Record(t.Context(), e)
		return err
	})
	if found, err := s.Events(t.Context(), account.EventPage{Limit: 10}); got[""] != 20 || len(found) != 1 || err != nil {
		t.Errorf("20 copies that record one thing: %v, %d events, %v; want 1", got, len(found), err)
	}
	if recorded(`{"a":"b"}`) || !recorded(`{"a":"c"}`) || recorded(`{"a":"c"}`) || !recorded(`{"a":"b"}`) {
		t.Error("Record records what is known, or not what is new")
	}
}

func sweep(t *testing.T, s Store) {
	// Four kinds of an early end, an end by itself, and a session that goes on.
	var us []account.User
	var ns []account.NewSession
	for i := range 5 {
		n := newSession(fmt.Sprintf("+9891212345%02d", i))
		if n.TTL = ttl; i == 4 {
			n.TTL = time.Hour
		}
		us, ns = append(us, login(t, s, n)), append(ns, n)
	}
	ended := newSession("+989121234599")
	ended.LogsIn = false
	login(t, s, ended) // from the start
	for i, end := range []func(account.Event) error{
		func(account.Event) error { return s.EndSession(t.Context(), logout(us[0], ns[0].ID)) },
		func(e account.Event) error { return s.EndSessions(t.Context(), e) },
		func(e account.Event) error { _, err := s.SetBanned(t.Context(), true, e); return err },
		func(account.Event) error {
			_, err := s.Refresh(t.Context(), rotation(ns[3], 9))
			if errors.Is(err, account.ErrReused) {
				return nil
			}
			return err
		},
	} {
		if err := end(event(account.LoggedOut, us[i].ID)); err != nil {
			t.Fatal(err)
		}
	}
	keep := newSession("+989121234598")
	u := login(t, s, keep)
	s.Age(t, 30*time.Minute)
	dead := func(want int, b account.Retention) {
		t.Helper()
		if got, err := s.Sweep(t.Context(), b); got != (account.Swept{Sessions: want}) || err != nil {
			t.Fatalf("Sweep: %+v, %v; want %d sessions", got, err, want)
		}
	}
	dead(0, account.Retention{KeepEnded: time.Hour, Limit: 3})
	if _, err := s.Login(t.Context(), ns[0]); !errors.Is(err, account.ErrSpent) {
		t.Errorf("Login with the challenge of a session that ended a while ago: %v; want ErrSpent", err)
	}
	s.Age(t, time.Hour)
	dead(3, account.Retention{KeepEnded: time.Hour, Limit: 3}) // the five that were ended
	dead(2, account.Retention{KeepEnded: time.Hour, Limit: 3})
	dead(0, account.Retention{KeepEnded: time.Hour, Limit: 3})
	s.Age(t, time.Hour)
	dead(1, account.Retention{KeepEnded: time.Hour, Limit: 3}) // and the one that ended by itself
	dead(0, account.Retention{KeepEnded: time.Hour, Limit: 3})
	live(t, s, u, keep, true)

	for _, gone := range append(us, u) {
		s.Exec(t, `delete from audit where user_id = $1`, gone.ID.String())
	}
	s.Exec(t, `delete from audit where session_id = $1`, ended.ID.String())
	middle := time.Now().Add(-time.Hour)
	for i := range 8 {
		e := eventAt(account.LoggedIn, u.ID, middle.Add(time.Duration(i-5)*time.Minute))
		e.Detail = `{"n":"` + string(rune('a'+i)) + `"}`
		if _, err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := account.EventPage{From: middle}.Bounds()
	for _, want := range []int{3, 2, 0} {
		if got, err := s.Sweep(t.Context(), account.Retention{KeepEnded: time.Hour, EventsBefore: before, Limit: 3}); got != (account.Swept{Events: want}) || err != nil {
			t.Errorf("Sweep: %+v, %v; want %d events", got, err, want)
		}
	}
	happened(t, s, u.ID, account.LoggedIn, account.LoggedIn, account.LoggedIn)
}
