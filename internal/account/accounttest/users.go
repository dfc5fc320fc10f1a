package accounttest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

func list(t *testing.T, s Store) {
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 0 || err != nil {
		t.Errorf("List of no users: %v, %v; want none", users, err)
	}
	var want []account.User
	for i := range 25 {
		want = append(want, login(t, s, newSession(fmt.Sprintf("+9891212345%02d", i))))
	}
	var got []account.User
	for page := (account.Page{Limit: 10}); ; page.Before = got[len(got)-1].ID {
		users, err := s.List(t.Context(), page)
		if err != nil || len(users) > page.Limit {
			t.Fatalf("List(%+v): %d users, %v", page, len(users), err)
		}
		if len(users) == 0 {
			break
		}
		got = append(got, users...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d users; want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[len(want)-1-i] {
			t.Errorf("user %d is %v; want the newest first", i, got[i])
		}
	}
}

func listByPhone(t *testing.T, s Store) {
	for _, e164 := range []string{"+989121234567", "+989121239999", "+989131234567", "+14155552671"} {
		login(t, s, newSession(e164))
	}
	for _, tt := range []struct {
		prefixes, suffix string
		want             []string
	}{
		{"+98", "", []string{"+989131234567", "+989121239999", "+989121234567"}},
		{"+9", "", []string{"+989131234567", "+989121239999", "+989121234567"}},
		{"+98912123", "", []string{"+989121239999", "+989121234567"}},
		{"+989121239999", "", []string{"+989121239999"}},
		{"+1", "", []string{"+14155552671"}},
		{"+1 +98913 +3", "", []string{"+14155552671", "+989131234567"}},
		{"+2", "", nil},
		{"%", "", nil},
		{"", "4567", []string{"+989131234567", "+989121234567"}},
		{"", "21234567", []string{"+989121234567"}},
		{"", "989121234567", []string{"+989121234567"}},
		{"", "12671", nil},
		{"", "%%%%", nil},
		{"", "____", nil},
	} {
		search := phone.Search{Prefixes: strings.Fields(tt.prefixes), Suffix: tt.suffix}
		users, err := s.List(t.Context(), account.Page{Limit: 10, Phone: search})
		var got []string
		for _, u := range users {
			got = append(got, u.Phone.E164())
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) || err != nil {
			t.Errorf("List of %q, %q: %v, %v; want %v", tt.prefixes, tt.suffix, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		search phone.Search
		want   string
	}{
		{phone.Search{Prefixes: []string{"+98"}}, "+989121239999"},
		{phone.Search{Prefixes: []string{"+1", "+98912"}}, "+989121239999"},
		{phone.Search{Suffix: "4567"}, "+989121234567"},
	} {
		page := account.Page{Limit: 1, Phone: tt.search}
		first, _ := s.List(t.Context(), page)
		page.Before = first[0].ID
		second, err := s.List(t.Context(), page)
		if err != nil || len(second) != 1 || second[0].Phone.E164() != tt.want {
			t.Errorf("second page of %q: %v, %v; want %s", tt.search, second, err, tt.want)
		}
	}
}

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
	wantLive(t, s, u, a, false)
	wantLive(t, s, u, b, false)
	wantRefused(t, s, a, 0, account.ErrNotFound)
	c := newSession("+989121234567")
	if login(t, s, c); c.UserID == u.ID {
		t.Error("a ban made a new user")
	}
	wantLive(t, s, u, c, false)
	for range 2 {
		free, err := s.SetBanned(t.Context(), false, event(account.Unbanned, u.ID))
		if err != nil || !free.BannedAt.IsZero() {
			t.Fatalf("SetBanned: %+v, %v; want the user, not banned", free, err)
		}
	}
	wantLive(t, s, u, a, false) // lifting the ban revives no session
	wantLive(t, s, u, c, false)
	wantEvents(t, s, u.ID, account.Unbanned, account.Banned, account.LoggedIn, account.SignedUp)
	d := newSession("+989121234567")
	login(t, s, d)
	wantLive(t, s, u, d, true)
	for _, banned := range []bool{true, false} {
		stranger := event(account.Banned, uuid.Must(uuid.NewV7()))
		if _, err := s.SetBanned(t.Context(), banned, stranger); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("SetBanned of a stranger: %v; want ErrNotFound", err)
		}
	}
}

// raceOfBanAndLogins checks that no login at the time of a ban leaves a live session.
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
		t.Errorf("ChangePhone to another user's phone: %v; want ErrTaken", err)
	}
	wantLive(t, s, u, b, true) // nothing was changed
	wantEvents(t, s, u.ID, account.LoggedIn, account.SignedUp)
	changed, err := change(a.ID, "+989121234569")
	if err != nil || changed.ID != u.ID || changed.Phone.E164() != "+989121234569" {
		t.Fatalf("ChangePhone: %+v, %v; want the user with the new phone", changed, err)
	}
	wantLive(t, s, u, a, true)
	wantLive(t, s, u, b, false)
	moved := wantEvents(t, s, u.ID, account.PhoneChanged, account.LoggedIn, account.SignedUp)[0]
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
		t.Error("the new phone belongs to another user")
	}
	if old := login(t, s, newSession("+989121234567")); old.ID == u.ID || old.ID == other.ID {
		t.Error("the old phone still belongs to a user")
	}
	if same, err := change(a.ID, "+989121234569"); err != nil || same.ID != u.ID {
		t.Errorf("ChangePhone to the user's own: %+v, %v; want the user", same, err)
	}
	wantLive(t, s, u, c, true) // nothing was changed
	wantEvents(t, s, u.ID, account.LoggedIn, account.PhoneChanged, account.LoggedIn, account.SignedUp)
	got := atOnce(10, func(int) error { _, err := change(a.ID, "+989121234561"); return err })
	if got[""] != 10 {
		t.Errorf("the same change ten times at once: %v; want ten successes", got)
	}
	wantEvents(t, s, u.ID,
		account.PhoneChanged, account.LoggedIn, account.PhoneChanged, account.LoggedIn, account.SignedUp)
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
		t.Errorf("20 changes to one phone and a login: %v; want the login, at most one change, and else ErrTaken", got)
	}
	found, err := s.List(t.Context(), account.Page{Limit: 10, Phone: phone.Search{Prefixes: []string{"+989131234567"}}})
	if len(found) != 1 || err != nil {
		t.Errorf("%d users have the phone, %v; want one", len(found), err)
	}
}

// raceOfChanges checks that exactly one of two sessions that change the phone at once stays live.
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
		if got[""] != 1 || got[account.ErrNotFound.Error()] != 1 {
			t.Fatalf("two changes at once: %v; want one success and one ErrNotFound", got)
		}
		if shown, err := s.Sessions(t.Context(), u.ID, 10); len(shown) != 1 || err != nil {
			t.Fatalf("%d live sessions, %v; want one", len(shown), err)
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
	wantLive(t, s, u, n, false)
	wantRefused(t, s, n, 0, account.ErrNotFound)
	gone := event(account.Deleted, u.ID)
	gone.Session = uuid.Nil
	if err := s.Delete(t.Context(), gone); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("Delete again: %v; want ErrNotFound", err)
	}
	if got := wantEvents(t, s, u.ID, account.Deleted, account.SignedUp)[0]; got != e {
		t.Errorf("event %+v; want %+v", got, e)
	}
	if again := login(t, s, newSession("+989121234567")); again.ID == u.ID {
		t.Error("a login after the removal is of the removed user")
	}
}
