// Package accounttest is the conformance suite of account.Store. Every implementation runs it.
package accounttest

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/observertest"
	"dekamond-otp/internal/phone"
)

// A Store is an empty account store under test, with access to its database.
type Store struct {
	account.Store
	// Calls is the observer of the store.
	Calls *observertest.Calls
	// Exec runs a statement whose $1 is the text of an identifier.
	Exec func(t *testing.T, statement, id string)
	// Age moves the times of all users and sessions back by d.
	Age func(t *testing.T, d time.Duration)
}

// Times are the columns that Age moves, by their table.
var Times = map[string][]string{
	"users":    {"created_at", "last_login_at", "banned_at"},
	"sessions": {"created_at", "last_used_at", "expires_at", "ends_at", "ended_at"},
}

// TestStore runs the suite. It calls open for every test.
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
		"refresh repeated, ended": refreshRepeatedEnded,
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
		"dormancy of others":      dormancyOfOthers,
		"race of dormant user":    raceOfDormantUser,
		"events":                  events,
		"record":                  record,
		"sweep of sessions":       sweepSessions,
		"sweep of events":         sweepEvents,
		"unavailable":             unavailable,
		"observed":                observed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	ttl     = 30 * 24 * time.Hour
	idleTTL = 14 * 24 * time.Hour
)

var phones = phone.NewParser("")

// claim returns a claim to a phone that was parsed. Unlike a phone that a store returns, it knows its region.
func claim(e164 string) account.Claim {
	n, err := phones.Parse(e164)
	if err != nil {
		panic(err)
	}
	return account.Claim{Phone: n, LossEvent: uuid.Must(uuid.NewV7())}
}

// newSession returns a login of a phone.
func newSession(e164 string) account.NewSession {
	return account.NewSession{
		Claim:       claim(e164),
		ID:          uuid.Must(uuid.NewV7()),
		Challenge:   uuid.Must(uuid.NewV7()),
		UserID:      uuid.Must(uuid.NewV7()),
		FamilyHash:  []byte{0, 2},
		RefreshHash: []byte{0, 1, 0xff},
		Client:      account.Client{IP: "192.0.2.1", UserAgent: `'; drop table users; --`},
		TTL:         ttl,
		IdleTTL:     idleTTL,
		LogsIn:      true,
		Event:       uuid.Must(uuid.NewV7()),
	}
}

// login records a login, which must succeed.
func login(t *testing.T, s Store, n account.NewSession) account.User {
	t.Helper()
	u, err := s.Login(t.Context(), n)
	if err != nil {
		t.Fatalf("Login: %v", err)
	}
	return u
}

// rotation returns a use of the token with the given number, whose successor has the next number.
func rotation(n account.NewSession, token byte) account.Rotation {
	return account.Rotation{
		Session:    n.ID,
		FamilyHash: n.FamilyHash,
		SpentHash:  hash(n, token),
		NextHash:   hash(n, token+1),
		Seed:       []byte{token, 0xff, 0},
		Client:     account.Client{IP: "192.0.2.9", UserAgent: "refreshed"},
		IdleTTL:    idleTTL,
		Event:      uuid.Must(uuid.NewV7()),
	}
}

// hash returns the hash of the session's token with the given number. The login's own token has the number 0.
func hash(n account.NewSession, token byte) []byte {
	if token == 0 {
		return n.RefreshHash
	}
	return []byte{'t', token}
}

// rotate uses a token, which must succeed.
func rotate(t *testing.T, s Store, n account.NewSession, token byte) account.Rotated {
	t.Helper()
	r, err := s.Refresh(t.Context(), rotation(n, token))
	if err != nil {
		t.Fatalf("Refresh with token %d: %v", token, err)
	}
	return r
}

// wantRefused checks that the use of a token fails with the given error.
func wantRefused(t *testing.T, s Store, n account.NewSession, token byte, want error) {
	t.Helper()
	if _, err := s.Refresh(t.Context(), rotation(n, token)); !errors.Is(err, want) {
		t.Fatalf("Refresh with token %d: %v; want %v", token, err, want)
	}
}

// wantLive checks that the session is live, or that it is not.
func wantLive(t *testing.T, s Store, u account.User, n account.NewSession, want bool) {
	t.Helper()
	_, err := s.BySession(t.Context(), u.ID, n.ID)
	if want && err != nil || !want && !errors.Is(err, account.ErrNotFound) {
		t.Fatalf("BySession: %v; want live: %t", err, want)
	}
}

// event returns an event of a user by an admin, in a session that does not exist.
func event(a account.Action, user uuid.UUID) account.Event {
	return account.Event{
		ID:      uuid.Must(uuid.NewV7()),
		Action:  a,
		User:    user,
		Session: uuid.Must(uuid.NewV7()),
		Actor:   account.Admin,
		Client:  account.Client{IP: "2001:db8::1", UserAgent: `"; --`},
		Detail:  `{"a":"b"}`,
	}
}

// eventAt returns an event that happened at the given time.
func eventAt(a account.Action, user uuid.UUID, at time.Time) account.Event {
	e := event(a, user)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(e.ID[:6], ms[2:])
	return e
}

// logout returns the event of the end of a session.
func logout(u account.User, session uuid.UUID) account.Event {
	e := event(account.LoggedOut, u.ID)
	e.Session = session
	return e
}

// wantEvents checks that the events of a user are those wanted, the newest first, and returns them.
func wantEvents(t *testing.T, s Store, user uuid.UUID, want ...account.Action) []account.Event {
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

// atOnce runs n calls at once and returns how often each error text was returned. The text is "" for no error.
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
	observertest.TestEveryMethod(t, s.Store, s.Calls, account.ErrUnavailable)
}
