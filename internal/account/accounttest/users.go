package accounttest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

func ban(t *testing.T, s Store) {
	a, b := newSession("+989121234567"), newSession("+989121234567")
	u := login(t, s, a)
	login(t, s, b)
	for range 2 { // the second changes nothing
		banned, err := s.SetBanned(t.Context(), true, event(account.Banned, u.ID))
		if err != nil || banned.BannedAt.IsZero() || banned.ID != u.ID {
			t.Fatalf("SetBanned: %+v, %v; want the banned user", banned, err)
		}
	}
	live(t, s, u, a, false)
	live(t, s, u, b, false)
	refused(t, s, a, 0, account.ErrNotFound)
	c := newSession("+989121234567")
	if login(t, s, c); c.UserID == u.ID {
		t.Error("a ban made a new user")
	}
	live(t, s, u, c, false)
	for range 2 {
		free, err := s.SetBanned(t.Context(), false, event(account.Unbanned, u.ID))
		if err != nil || !free.BannedAt.IsZero() {
			t.Fatalf("SetBanned: %+v, %v; want the user, not banned", free, err)
		}
	}
	live(t, s, u, a, false) // what ended stays so
	live(t, s, u, c, false)
	happened(t, s, u.ID, account.Unbanned, account.Banned, account.LoggedIn, account.SignedUp)
	d := newSession("+989121234567")
	login(t, s, d)
	live(t, s, u, d, true)
	for _, banned := range []bool{true, false} {
		if _, err := s.SetBanned(t.Context(), banned, event(account.Banned, uuid.Must(uuid.NewV7()))); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("SetBanned of a stranger: %v; want ErrNotFound", err)
		}
	}
}

// raceOfBanAndLogins holds that no login slips past a ban.
func raceOfBanAndLogins(t *testing.T, s Store) {
	for i := range 10 {
		e164 := fmt.Sprintf("+9891212345%02d", i)
		u := login(t, s, newSession(e164))
		got := atOnce(12, func(i int) error {
			if i == 6 {
				_, err := s.SetBanned(t.Context(), true, event(account.Banned, u.ID))
				return err
			}
			_, err := s.Login(t.Context(), newSession(e164))
			return err
		})
		if shown, err := s.Sessions(t.Context(), u.ID, 100); len(shown) != 0 || err != nil || got[""] != 12 {
			t.Fatalf("%v; %d live sessions of a banned user, %v; want none", got, len(shown), err)
		}
	}
}

func changePhone(t *testing.T, s Store) {
	a, b := newSession("+989121234567"), newSession("+989121234567")
	u := login(t, s, a)
	login(t, s, b)
	other := login(t, s, newSession("+989121234568"))
	change := func(session uuid.UUID, e164 string) (account.User, error) {
		e := event(account.PhoneChanged, u.ID)
		e.Session = session
		return s.ChangePhone(t.Context(), claim(e164), e)
	}
	if _, err := change(a.ID, "+989121234568"); !errors.Is(err, account.ErrTaken) {
		t.Errorf("ChangePhone to another's: %v; want ErrTaken", err)
	}
	live(t, s, u, b, true) // and nothing was changed
	happened(t, s, u.ID, account.LoggedIn, account.SignedUp)
	changed, err := change(a.ID, "+989121234569")
	if err != nil || changed.ID != u.ID || changed.Phone.E164() != "+989121234569" {
		t.Fatalf("ChangePhone: %+v, %v; want the user with the new phone", changed, err)
	}
	live(t, s, u, a, true)
	live(t, s, u, b, false)
	moved := happened(t, s, u.ID, account.PhoneChanged, account.LoggedIn, account.SignedUp)[0]
	if want := `{"from":"+98912•••67","to":"+98912•••69"}`; moved.Detail != want || moved.Session != a.ID {
		t.Errorf("event %+v; want the detail %s", moved, want)
	}
	for _, e164 := range []string{"+989121234560", "+989121234568", "+989121234569"} { // free, taken, the user's own
		if _, err := change(b.ID, e164); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("ChangePhone to %s in a session that ended: %v; want ErrNotFound", e164, err)
		}
	}
	if got, err := s.ByID(t.Context(), u.ID); got.Phone.E164() != "+989121234569" || err != nil {
		t.Errorf("ByID: %v, %v; want the first change alone", got, err)
	}
	c := newSession("+989121234569")
	if again := login(t, s, c); again.ID != u.ID {
		t.Error("the new phone is another user's")
	}
	if old := login(t, s, newSession("+989121234567")); old.ID == u.ID || old.ID == other.ID {
		t.Error("the old phone is still a user's")
	}
	if same, err := change(a.ID, "+989121234569"); err != nil || same.ID != u.ID {
		t.Errorf("ChangePhone to the user's own: %+v, %v; want the user", same, err)
	}
	live(t, s, u, c, true) // and nothing was changed
	happened(t, s, u.ID, account.LoggedIn, account.PhoneChanged, account.LoggedIn, account.SignedUp)
	got := atOnce(10, func(int) error { _, err := change(a.ID, "+989121234561"); return err })
	if got[""] != 10 {
		t.Errorf("the same change ten times at once: %v; want it to succeed", got)
	}
	happened(t, s, u.ID, account.PhoneChanged, account.LoggedIn, account.PhoneChanged, account.LoggedIn, account.SignedUp)
}

func raceForOnePhone(t *testing.T, s Store) {
	var us []account.User
	var ns []account.NewSession
	for i := range 20 {
		n := newSession(fmt.Sprintf("+9891212345%02d", i))
		us, ns = append(us, login(t, s, n)), append(ns, n)
	}
	got := atOnce(21, func(i int) error {
		if i == 20 {
			_, err := s.Login(t.Context(), newSession("+989131234567"))
			return err
		}
		e := event(account.PhoneChanged, us[i].ID)
		e.Session = ns[i].ID
		_, err := s.ChangePhone(t.Context(), claim("+989131234567"), e)
		return err
	})
	if got[""] > 2 || got[""] < 1 || got[""]+got[account.ErrTaken.Error()] != 21 {
		t.Errorf("20 changes to one phone and a login: %v; want one change at most, the login, and the others taken", got)
	}
	if found, err := s.List(t.Context(), account.Page{Limit: 10, Prefix: "+989131234567"}); len(found) != 1 || err != nil {
		t.Errorf("%d users have the phone, %v; want one", len(found), err)
	}
}

// raceOfChanges holds that of two sessions that change the phone at once one stays, and not none.
func raceOfChanges(t *testing.T, s Store) {
	for i := range 10 {
		a, b := newSession(fmt.Sprintf("+9891212345%02d", i)), newSession(fmt.Sprintf("+9891212345%02d", i))
		u := login(t, s, a)
		login(t, s, b)
		got := atOnce(2, func(j int) error {
			e := event(account.PhoneChanged, u.ID)
			e.Session = []account.NewSession{a, b}[j].ID
			_, err := s.ChangePhone(t.Context(), claim(fmt.Sprintf("+9891312345%02d", 2*i+j)), e)
			return err
		})
		if shown, err := s.Sessions(t.Context(), u.ID, 10); got[""] != 1 || got[account.ErrNotFound.Error()] != 1 || len(shown) != 1 || err != nil {
			t.Fatalf("two changes at once: %v, %d live sessions, %v; want one of each", got, len(shown), err)
		}
	}
}

func deleteUser(t *testing.T, s Store) {
	n := newSession("+989121234567")
	u := login(t, s, n)
	if err := s.Delete(t.Context(), event(account.Deleted, u.ID)); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Delete in a session that is not live: %v; want ErrNotFound", err)
	}
	e := event(account.Deleted, u.ID)
	e.Session = n.ID
	if err := s.Delete(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ByID(t.Context(), u.ID); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("ByID: %v; want ErrNotFound", err)
	}
	live(t, s, u, n, false)
	refused(t, s, n, 0, account.ErrNotFound)
	gone := event(account.Deleted, u.ID)
	gone.Session = uuid.Nil
	if err := s.Delete(t.Context(), gone); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Delete again: %v; want ErrNotFound", err)
	}
	if got := happened(t, s, u.ID, account.Deleted, account.SignedUp)[0]; got != e {
		t.Errorf("event %+v; want %+v", got, e)
	}
	if again := login(t, s, newSession("+989121234567")); again.ID == u.ID {
		t.Error("the phone's new user is the deleted one")
	}
}

func dormantUser(t *testing.T, s Store) {
	const dormantAfter = 60 * 24 * time.Hour
	again := func() account.NewSession {
		n := newSession("+989121234567")
		n.DormantAfter = dormantAfter
		return n
	}
	n := again()
	old := login(t, s, n)
	s.Age(t, dormantAfter-time.Hour)
	late := again()
	if u := login(t, s, late); u.ID != old.ID {
		t.Fatal("a user who logs in in time is another one")
	}
	s.Age(t, 10*24*time.Hour)
	rotate(t, s, late, 0) // no login, and a sign of life
	s.Age(t, dormantAfter-5*24*time.Hour)
	if u := login(t, s, again()); u.ID != old.ID {
		t.Fatal("a user who refreshed in time is another one")
	}
	s.Age(t, dormantAfter)
	if _, err := s.Login(t.Context(), func() account.NewSession { spent := again(); spent.Challenge = n.Challenge; return spent }()); !errors.Is(err, account.ErrSpent) {
		t.Fatalf("Login: %v; want ErrSpent", err)
	}
	if u, err := s.ByID(t.Context(), old.ID); u.Phone.E164() != "+989121234567" || err != nil {
		t.Fatalf("ByID: %v, %v; a spent challenge took the phone away", u, err)
	}
	second := again()
	fresh := login(t, s, second)
	if fresh.ID != second.UserID || fresh.ID == old.ID {
		t.Fatalf("a dormant user's phone is %v's; want a new user's", fresh.ID)
	}
	if u, err := s.ByID(t.Context(), old.ID); u.Phone != (phone.Number{}) || err != nil {
		t.Errorf("ByID: %v, %v; want the old user, without a phone", u, err)
	}
	lost := happened(t, s, old.ID, account.PhoneLost, account.LoggedIn, account.LoggedIn, account.SignedUp)[0]
	if lost.Actor != account.System || lost.ID != second.LossEvent || lost.Detail != `{"to_user":"`+fresh.ID.String()+`"}` {
		t.Errorf("event %+v; want the system's, with the new user", lost)
	}
	happened(t, s, fresh.ID, account.SignedUp)
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 2 || err != nil {
		t.Errorf("List: %v, %v; want both", users, err)
	}

	if _, err := s.SetBanned(t.Context(), true, event(account.Banned, fresh.ID)); err != nil {
		t.Fatal(err)
	}
	s.Age(t, 2*dormantAfter)
	if u := login(t, s, again()); u.ID != fresh.ID || u.BannedAt.IsZero() {
		t.Errorf("a banned phone is %+v's after a while; want the banned user's", u)
	}
	n = newSession("+989121234568")
	n.LogsIn = false
	never := login(t, s, n)
	s.Age(t, 2*dormantAfter)
	n = newSession("+989121234568")
	n.DormantAfter = dormantAfter
	if u := login(t, s, n); u.ID == never.ID {
		t.Error("a user who never logged in keeps the phone")
	}
}

// dormancyAndSweep holds that a user who was seen in time keeps the phone, though the session is long over, and
// that a user who moves to a dormant user's phone gets it.
func dormancyAndSweep(t *testing.T, s Store) {
	const dormantAfter = ttl + 24*time.Hour
	n := newSession("+989121234567")
	u := login(t, s, n)
	for token := range byte(2) {
		s.Age(t, idleTTL-time.Hour)
		rotate(t, s, n, token)
	}
	s.Age(t, dormantAfter-2*idleTTL)
	for range 2 {
		if _, err := s.Sweep(t.Context(), account.Retention{KeepEnded: dormantAfter, Limit: 100}); err != nil {
			t.Fatal(err)
		}
		again := newSession("+989121234567")
		again.DormantAfter = dormantAfter
		if late := login(t, s, again); late.ID != u.ID {
			t.Fatal("a user who refreshed in time lost the phone")
		}
		s.Age(t, dormantAfter-time.Hour)
	}
	s.Age(t, time.Hour)
	own := newSession("+989121234568")
	mover := login(t, s, own)
	e := event(account.PhoneChanged, mover.ID)
	e.Session = own.ID
	c := claim("+989121234567")
	c.DormantAfter = 2 * dormantAfter
	if _, err := s.ChangePhone(t.Context(), c, e); !errors.Is(err, account.ErrTaken) {
		t.Errorf("ChangePhone to the phone of one who was seen: %v; want ErrTaken", err)
	}
	c.DormantAfter = dormantAfter
	if moved, err := s.ChangePhone(t.Context(), c, e); err != nil || moved.Phone.E164() != c.Phone.E164() || moved.ID != mover.ID {
		t.Fatalf("ChangePhone to a dormant user's phone: %+v, %v; want the mover, with the phone", moved, err)
	}
	if got := happened(t, s, u.ID, account.PhoneLost, account.LoggedIn, account.LoggedIn, account.SignedUp)[0]; got.ID != c.LossEvent {
		t.Errorf("event %+v; want the claim's", got)
	}
}

func raceOfDormantUser(t *testing.T, s Store) {
	old := login(t, s, newSession("+989121234567"))
	s.Age(t, 48*time.Hour)
	got := atOnce(50, func(int) error {
		n := newSession("+989121234567")
		n.DormantAfter = 24 * time.Hour
		_, err := s.Login(t.Context(), n)
		return err
	})
	users, err := s.List(t.Context(), account.Page{Limit: 100})
	if got[""] != 50 || len(users) != 2 || err != nil {
		t.Errorf("50 logins of a dormant user's phone: %v, %d users, %v; want the old and one new", got, len(users), err)
	}
	happened(t, s, old.ID, account.PhoneLost, account.SignedUp)
}
