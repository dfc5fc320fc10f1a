package accounttest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// sweepSessions checks that a session, however it ended, is kept for KeepEnded after its end and is then deleted.
func sweepSessions(t *testing.T, s Store) {
	// Four sessions that are ended in four ways, and one that expires.
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
	login(t, s, ended) // ended from the start
	for i, end := range []func(account.Event) error{
		func(account.Event) error { return s.EndSession(t.Context(), logout(us[0], ns[0].ID)) },
		func(e account.Event) error { return s.EndSessions(t.Context(), e) },
		func(e account.Event) error { _, err := s.SetBanned(t.Context(), true, e); return err },
		func(account.Event) error { wantRefused(t, s, ns[3], 9, account.ErrReused); return nil },
	} {
		if err := end(event(account.LoggedOut, us[i].ID)); err != nil {
			t.Fatal(err)
		}
	}
	keep := newSession("+989121234598")
	u := login(t, s, keep)
	s.Age(t, 30*time.Minute)
	sweep := func(want int) {
		t.Helper()
		got, err := s.Sweep(t.Context(), account.Retention{KeepEnded: time.Hour, Limit: 3})
		if got != (account.Swept{Sessions: want}) || err != nil {
			t.Fatalf("Sweep: %+v, %v; want %d sessions", got, err, want)
		}
	}
	sweep(0)
	if _, err := s.Login(t.Context(), ns[0]); !errors.Is(err, account.ErrSpent) {
		t.Errorf("Login with the challenge of a session that ended half an hour ago: %v; want ErrSpent", err)
	}
	s.Age(t, time.Hour)
	sweep(3) // of the five that were ended
	sweep(2)
	sweep(0)
	s.Age(t, time.Hour)
	sweep(1) // the one that expired
	sweep(0)
	wantLive(t, s, u, keep, true)
}

// sweepEvents checks that exactly the events older than the given one are deleted.
func sweepEvents(t *testing.T, s Store) {
	user := uuid.Must(uuid.NewV7())
	middle := time.Now().Add(-time.Hour)
	for i := range 8 {
		e := eventAt(account.LoggedIn, user, middle.Add(time.Duration(i-5)*time.Minute))
		e.Detail = `{"n":"` + string(rune('a'+i)) + `"}`
		if _, err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := account.EventPage{From: middle}.Bounds()
	for _, want := range []int{3, 2, 0} {
		retention := account.Retention{KeepEnded: time.Hour, EventsBefore: before, Limit: 3}
		got, err := s.Sweep(t.Context(), retention)
		if got != (account.Swept{Events: want}) || err != nil {
			t.Errorf("Sweep: %+v, %v; want %d events", got, err, want)
		}
	}
	wantEvents(t, s, user, account.LoggedIn, account.LoggedIn, account.LoggedIn)
}
