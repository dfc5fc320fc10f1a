// Package accounttest holds the promises that every account.Store keeps.
package accounttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/phone"
)

// A Store is an empty account store under test and a way past it.
type Store struct {
	account.Store
	// Calls is the observer of the store.
	Calls *observertest.Calls
	// Exec runs a statement with $1 = an identifier's text.
	Exec func(t *testing.T, statement, id string)
	// Age makes all users and sessions older by d.
	Age func(t *testing.T, d time.Duration)
}

// Times are the columns that Age moves.
var Times = map[string][]string{
	"users":    {"created_at", "last_login_at", "banned_at"},
	"sessions": {"created_at", "last_used_at", "expires_at", "ends_at", "ended_at"},
}

// TestStore runs the suite.
func TestStore(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"new user":                newUser,
		"known user":              knownUser,
		"sign-up without login":   signupWithoutLogin,
		"spent challenge":         spentChallenge,
		"banned user":             bannedUser,
		"session":                 session,
		"list":                    list,
		"list by phone":           listByPhone,
		"race of one challenge":   raceOfOneChallenge,
		"race of one new phone":   raceOfOneNewPhone,
		"race of many new phones": raceOfManyNewPhones,
		"refresh":                 refresh,
		"refresh repeated":        refreshRepeated,
		"refresh reused":          refreshReused,
		"refresh guessed":         refreshGuessed,
		"dormancy and sweep":      dormancyAndSweep,
		"end of a session":        endOfASession,
		"race of one refresh":     raceOfOneRefresh,
		"race of reuse":           raceOfReuse,
		"sessions":                sessions,
		"end session":             endSession,
		"end sessions":            endSessions,
		"ban":                     ban,
		"race of ban and logins":  raceOfBanAndLogins,
		"change phone":            changePhone,
		"race for one phone":      raceForOnePhone,
		"race of changes":         raceOfChanges,
		"delete":                  deleteUser,
		"dormant user":            dormantUser,
		"race of dormant user":    raceOfDormantUser,
		"events":                  events,
		"record":                  record,
		"sweep":                   sweep,
		"unavailable":             unavailable,
		"observed":                observed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	ttl          = 30 * 24 * time.Hour
	idleTTL      = 14 * 24 * time.Hour
	repeatWithin = 10 * time.Second
)

var numbers = phone.NewParser("")

// claim is of a number that was read, which knows more than one that was stored.
func claim(e164 string) account.Claim {
	n, err := numbers.Parse(e164)
	if err != nil {
		panic(err)
	}
	return account.Claim{Phone: n, LossEvent: uuid.Must(uuid.NewV7())}
}

func newSession(e164 string) account.NewSession {
	return account.NewSession{
		Claim: claim(e164),
		ID:    uuid.Must(uuid.NewV7()), Challenge: uuid.Must(uuid.NewV7()), UserID: uuid.Must(uuid.NewV7()),
		FamilyHash: []byte{0, 2}, RefreshHash: []byte{0, 1, 0xff}, LogsIn: true,
		TTL: ttl, IdleTTL: idleTTL, Event: uuid.Must(uuid.NewV7()),
		Client: account.Client{IP: "192.0.2.1", UserAgent: `'; drop table users; --`},
	}
}

func login(t *testing.T, s Store, n account.NewSession) account.User {
	t.Helper()
	u, err := s.Login(t.Context(), n)
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	return u
}

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
		t.Errorf("last login %v, banned %v; want %v, never", u.LastLoginAt, u.BannedAt, u.CreatedAt)
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
	time.Sleep(time.Millisecond) // the clocks of two stores have nothing finer in common
	n := newSession("+989121234567")
	n.LogsIn = false // concerns new users alone
	again := login(t, s, n)
	if again.ID != first.ID || !again.CreatedAt.Equal(first.CreatedAt) || !again.LastLoginAt.After(first.LastLoginAt) {
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
		t.Errorf("user %v, last login %v; want %v, never", u.ID, u.LastLoginAt, n.UserID)
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
		t.Errorf("banned %v, last login %v; want banned, no login after %v", banned.BannedAt, banned.LastLoginAt, u.LastLoginAt)
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
	// A ban by a statement ends no session, and there is no refresh all the same; a ban by the store does.
	refused(t, s, first, 0, account.ErrNotFound)
	if _, err := s.SetBanned(t.Context(), true, event(account.Banned, u.ID)); err != nil {
		t.Fatal(err)
	}
	live(t, s, u, first, false)
}

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
	login(t, s, b) // its session went with the user
}

func list(t *testing.T, s Store) {
	if users, err := s.List(t.Context(), account.Page{Limit: 10}); len(users) != 0 || err != nil {
		t.Errorf("List of none: %v, %v", users, err)
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
	for prefix, want := range map[string][]string{
		"+98":           {"+989131234567", "+989121239999", "+989121234567"},
		"+9":            {"+989131234567", "+989121239999", "+989121234567"},
		"+98912123":     {"+989121239999", "+989121234567"},
		"+989121239999": {"+989121239999"},
		"+1":            {"+14155552671"},
		"+2":            nil,
		"%":             nil,
	} {
		users, err := s.List(t.Context(), account.Page{Limit: 10, Prefix: prefix})
		var got []string
		for _, u := range users {
			got = append(got, u.Phone.E164())
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || err != nil {
			t.Errorf("List of %s…: %v, %v; want %v", prefix, got, err, want)
		}
	}
	page := account.Page{Limit: 1, Prefix: "+98"}
	first, _ := s.List(t.Context(), page)
	page.Before = first[0].ID
	if second, err := s.List(t.Context(), page); len(second) != 1 || second[0].Phone.E164() != "+989121239999" || err != nil {
		t.Errorf("second page: %v, %v", second, err)
	}
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
		t.Errorf("100 logins of 100 phones: %v, %d users, %v", got, len(users), err)
	}
}

// atOnce runs n calls at once and counts the texts of their errors, "" for none.
func atOnce(n int, call func(i int) error) map[string]int {
	got := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			text := ""
			if err := call(i); err != nil {
				text = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			got[text]++
		})
	}
	close(start)
	wg.Wait()
	return got
}

func unavailable(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id, e := uuid.Must(uuid.NewV7()), event(account.Banned, uuid.Must(uuid.NewV7()))
	for call, f := range map[string]func() error{
		"Login":       func() error { _, err := s.Login(ctx, newSession("+989121234567")); return err },
		"Refresh":     func() error { _, err := s.Refresh(ctx, account.Rotation{Session: id}); return err },
		"ByID":        func() error { _, err := s.ByID(ctx, id); return err },
		"BySession":   func() error { _, err := s.BySession(ctx, id, id); return err },
		"List":        func() error { _, err := s.List(ctx, account.Page{Limit: 1}); return err },
		"Sessions":    func() error { _, err := s.Sessions(ctx, id, 1); return err },
		"EndSession":  func() error { return s.EndSession(ctx, e) },
		"EndSessions": func() error { return s.EndSessions(ctx, e) },
		"SetBanned":   func() error { _, err := s.SetBanned(ctx, true, e); return err },
		"ChangePhone": func() error { _, err := s.ChangePhone(ctx, claim("+989121234567"), e); return err },
		"Delete":      func() error { return s.Delete(ctx, e) },
		"Events":      func() error { _, err := s.Events(ctx, account.EventPage{Limit: 1}); return err },
		"Record":      func() error { _, err := s.Record(ctx, e); return err },
		"Sweep":       func() error { _, err := s.Sweep(ctx, account.Retention{Limit: 1}); return err },
	} {
		if err := f(); !errors.Is(err, account.ErrUnavailable) {
			t.Errorf("%s: %v; want ErrUnavailable", call, err)
		}
	}
}

func observed(t *testing.T, s Store) {
	observertest.TestEveryMethod(t, s.Store, s.Calls, account.ErrUnavailable, nil)
}
