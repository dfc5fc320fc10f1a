package accounttest

import (
	"errors"
	"testing"
	"time"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

// dormantUser checks that a user who was not seen for DormantAfter loses the phone to a new user.
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
		t.Fatal("a user who logged in before the end lost the phone")
	}
	s.Age(t, 10*24*time.Hour)
	rotate(t, s, late, 0) // without a login, the user is seen
	s.Age(t, dormantAfter-5*24*time.Hour)
	if u := login(t, s, again()); u.ID != old.ID {
		t.Fatal("a user who refreshed in time lost the phone")
	}
	s.Age(t, dormantAfter)
	spent := again()
	spent.Challenge = n.Challenge
	if _, err := s.Login(t.Context(), spent); !errors.Is(err, account.ErrSpent) {
		t.Fatalf("Login: %v; want ErrSpent", err)
	}
	if u, err := s.ByID(t.Context(), old.ID); u.Phone.E164() != "+989121234567" || err != nil {
		t.Fatalf("ByID: %v, %v; a spent challenge took the phone away", u, err)
	}
	second := again()
	fresh := login(t, s, second)
	if fresh.ID != second.UserID || fresh.ID == old.ID {
		t.Fatalf("a dormant user's phone belongs to %v; want a new user", fresh.ID)
	}
	if u, err := s.ByID(t.Context(), old.ID); u.Phone != (phone.Number{}) || err != nil {
		t.Errorf("ByID: %v, %v; want the old user, without a phone", u, err)
	}
	lost := wantEvents(t, s, old.ID, account.PhoneLost, account.LoggedIn, account.LoggedIn, account.SignedUp)[0]
	want := account.Event{
		ID:     second.LossEvent,
		Action: account.PhoneLost,
		User:   old.ID,
		Actor:  account.System,
		Detail: `{"to_user":"` + fresh.ID.String() + `"}`,
	}
	if lost != want {
		t.Errorf("event %+v; want %+v", lost, want)
	}
	wantEvents(t, s, fresh.ID, account.SignedUp)
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 2 || err != nil {
		t.Errorf("List: %v, %v; want both users", users, err)
	}
}

// dormancyOfOthers checks that a banned user keeps the phone, and that a user who never logged in loses it.
func dormancyOfOthers(t *testing.T, s Store) {
	const dormantAfter = 60 * 24 * time.Hour
	again := func(e164 string) account.NewSession {
		n := newSession(e164)
		n.DormantAfter = dormantAfter
		return n
	}
	banned := login(t, s, again("+989121234567"))
	if _, err := s.SetBanned(t.Context(), true, event(account.Banned, banned.ID)); err != nil {
		t.Fatal(err)
	}
	s.Age(t, 2*dormantAfter)
	if u := login(t, s, again("+989121234567")); u.ID != banned.ID || u.BannedAt.IsZero() {
		t.Errorf("the phone of a banned user belongs to %+v; want the banned user", u)
	}
	n := newSession("+989121234568")
	n.LogsIn = false
	never := login(t, s, n)
	s.Age(t, 2*dormantAfter)
	if u := login(t, s, again("+989121234568")); u.ID == never.ID {
		t.Error("a user who never logged in keeps the phone")
	}
}

// dormancyAndSweep checks that a user who was seen in time keeps the phone, although the session ended long ago, and
// that a change of phone to a dormant user's phone succeeds.
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
		t.Errorf("ChangePhone to the phone of a user who was seen: %v; want ErrTaken", err)
	}
	c.DormantAfter = dormantAfter
	moved, err := s.ChangePhone(t.Context(), c, e)
	if err != nil || moved.Phone.E164() != c.Phone.E164() || moved.ID != mover.ID {
		t.Fatalf("ChangePhone to a dormant user's phone: %+v, %v; want the same user, with the phone", moved, err)
	}
	lost := wantEvents(t, s, u.ID, account.PhoneLost, account.LoggedIn, account.LoggedIn, account.SignedUp)[0]
	if lost.ID != c.LossEvent {
		t.Errorf("event %+v; want the claim's", lost)
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
		t.Errorf("50 logins of a dormant user's phone: %v, %d users, %v; want the old user and one new user",
			got, len(users), err)
	}
	wantEvents(t, s, old.ID, account.PhoneLost, account.SignedUp)
}
