package accounttest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

func events(t *testing.T, s Store) {
	if got, err := s.Events(t.Context(), account.EventPage{Limit: 10}); len(got) != 0 || err != nil {
		t.Errorf("Events of an empty log: %v, %v; want none", got, err)
	}
	now := time.Now().Truncate(time.Second)
	a, b := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	minutesAgo := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Minute) }
	var all []account.Event
	for i := range 20 {
		action := []account.Action{account.Banned, account.LoggedIn}[i%2]
		user := []uuid.UUID{a, b, uuid.Nil}[i%3]
		e := eventAt(action, user, minutesAgo(20-i))
		if i%5 == 0 {
			e.Session = uuid.Nil
		}
		e.Detail = `{"n":` + string(rune('a'+i)) + `}` // never that of the newest event with its action
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
		"from":                  {From: minutesAgo(10)},
		"to":                    {To: minutesAgo(10)},
		"between":               {From: minutesAgo(15), To: minutesAgo(5)},
		"between for a user":    {From: minutesAgo(15), To: minutesAgo(5), User: a},
		"between for an action": {From: minutesAgo(15), To: minutesAgo(5), Action: account.Banned},
		"from before 1970":      {From: time.Unix(-1e9, 0)},
		"to before 1970":        {To: time.Unix(-1e9, 0)},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(e account.Event) bool { return !selects(p, e) })
		got := pages(t, s, name, p)
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

// pages returns all events that the page selects, read in pages of three.
func pages(t *testing.T, s Store, name string, p account.EventPage) (got []account.Event) {
	for p.Limit = 3; ; p.Before = got[len(got)-1].ID {
		page, err := s.Events(t.Context(), p)
		if err != nil || len(page) > p.Limit {
			t.Fatalf("%s: %d events, %v", name, len(page), err)
		}
		if len(page) == 0 {
			return got
		}
		got = append(got, page...)
	}
}

// selects reports whether the event is one of those that the page selects.
func selects(p account.EventPage, e account.Event) bool {
	switch {
	case p.User != uuid.Nil && e.User != p.User:
		return false
	case p.Action != "" && e.Action != p.Action:
		return false
	case !p.From.IsZero() && e.At().Before(p.From):
		return false
	default:
		return p.To.IsZero() || e.At().Before(p.To)
	}
}

func record(t *testing.T, s Store) {
	recorded := func(detail string) (recorded bool) {
		t.Helper()
		e := event(account.KeysChanged, uuid.Nil)
		e.Detail = detail
		recorded, err := s.Record(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return recorded
	}
	got := atOnce(20, func(int) error {
		e := event(account.KeysChanged, uuid.Nil)
		_, err := s.Record(t.Context(), e)
		return err
	})
	found, err := s.Events(t.Context(), account.EventPage{Limit: 10})
	if got[""] != 20 || len(found) != 1 || err != nil {
		t.Errorf("20 copies that record the same: %v, %d events, %v; want 1", got, len(found), err)
	}
	if recorded(`{"a":"b"}`) || !recorded(`{"a":"c"}`) || recorded(`{"a":"c"}`) || !recorded(`{"a":"b"}`) {
		t.Error("Record recorded the same detail twice in a row, or left out another one")
	}
}
