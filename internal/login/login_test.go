package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/phone"
)

var (
	number    = parse("+989121234567")
	user      = account.User{ID: uuid.Must(uuid.NewV7()), Phone: number}
	challenge = uuid.Must(uuid.NewV7())
	client    = account.Client{IP: "192.0.2.1", UserAgent: "test"}
	actor     = account.Actor{Kind: account.Person, Session: uuid.Must(uuid.NewV7()), Client: client}
)

func parse(e164 string) phone.Number {
	n, err := phone.NewParser("").Parse(e164)
	if err != nil {
		panic(err)
	}
	return n
}

// fakes stands in for both services. It records their calls in order, and answers with the errors that the test sets.
type fakes struct {
	calls                      []string
	requested                  otp.Request
	answered                   otp.Answer
	checked, forgotten         error // of Verify before redeem, and of Forget
	loggedIn, changed, deleted error // of the account's methods
	redeemed, spent            bool
	gotChallenge               uuid.UUID
	gotPhone                   phone.Number
	gotClient                  account.Client
	gotUser                    uuid.UUID
	gotActor                   account.Actor
	stalled                    bool
	tokens                     *account.Tokens
	unlocked                   otp.Unlocked
}

func (f *fakes) Stalled() bool { return f.stalled }

func (f *fakes) Request(_ context.Context, r otp.Request) (otp.Accepted, error) {
	f.calls, f.requested = append(f.calls, "request"), r
	return otp.Accepted{Ticket: "ticket"}, nil
}

func (f *fakes) Verify(
	ctx context.Context, a otp.Answer, redeem func(context.Context, otp.ChallengeID) (bool, error),
) (err error) {
	f.answered = a
	if f.checked != nil {
		return f.checked
	}
	f.redeemed = true
	f.spent, err = redeem(ctx, challenge)
	return err
}

func (f *fakes) DeviceToken(p phone.Number, current string) string {
	return p.E164() + " after " + current
}

func (f *fakes) Forget(_ context.Context, p phone.Number) error {
	f.calls, f.gotPhone = append(f.calls, "forget"), p
	return f.forgotten
}

func (f *fakes) Unlock(_ context.Context, p phone.Number) (otp.Unlocked, error) {
	f.calls, f.gotPhone = append(f.calls, "unlock"), p
	return f.unlocked, f.forgotten
}

func (f *fakes) RecordUnlock(_ context.Context, _ phone.Number, _ int, _ time.Time, _ account.Actor) error {
	f.calls = append(f.calls, "record")
	return f.deleted
}

func (f *fakes) Login(_ context.Context, p phone.Number, id uuid.UUID, c account.Client) (account.Login, error) {
	f.gotPhone, f.gotChallenge, f.gotClient = p, id, c
	if f.loggedIn != nil {
		return account.Login{}, f.loggedIn
	}
	return account.Login{User: user, New: true, Tokens: f.tokens}, nil
}

func (f *fakes) ChangePhone(
	_ context.Context, id uuid.UUID, p phone.Number, a account.Actor,
) (account.User, error) {
	f.gotUser, f.gotPhone, f.gotActor = id, p, a
	if f.changed != nil {
		return account.User{}, f.changed
	}
	return user, nil
}

func (f *fakes) Delete(_ context.Context, id uuid.UUID, a account.Actor) error {
	f.calls, f.gotUser, f.gotActor = append(f.calls, "delete"), id, a
	return f.deleted
}

func wrapped(err error) error { return fmt.Errorf("in the database: %w", err) }

// TestRequestNamesPurpose checks that a code is sent for the use case that asks for it, whatever the request says.
func TestRequestNamesPurpose(t *testing.T) {
	var f fakes
	r := otp.Request{Phone: number, Purpose: "another", Channel: otp.SMS}
	if got, err := New(&f, &f, &f).Request(t.Context(), r); got.Ticket != "ticket" || err != nil {
		t.Errorf("Request: %+v, %v; want the answer of the codes", got, err)
	}
	if want := (otp.Request{Phone: number, Purpose: otp.ForLogin, Channel: otp.SMS}); f.requested != want {
		t.Errorf("Request asked for %+v; want %+v", f.requested, want)
	}
	if got, err := New(&f, &f, &f).RequestPhoneChange(t.Context(), user.ID, r); got.Ticket != "ticket" || err != nil {
		t.Errorf("RequestPhoneChange: %+v, %v; want the answer of the codes", got, err)
	}
	want := otp.Request{Phone: number, Purpose: otp.ForPhoneChange(user.ID), Channel: otp.SMS}
	if f.requested != want {
		t.Errorf("RequestPhoneChange asked for %+v; want %+v", f.requested, want)
	}
}

// TestNoMessageWithoutAccounts checks that no code is sent for which the account store takes no login.
func TestNoMessageWithoutAccounts(t *testing.T) {
	f := fakes{stalled: true}
	s := New(&f, &f, &f)
	_, err := s.Request(t.Context(), otp.Request{Phone: number})
	if !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("Request: %v; want ErrUnavailable", err)
	}
	_, err = s.RequestPhoneChange(t.Context(), user.ID, otp.Request{Phone: number})
	if !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("RequestPhoneChange: %v; want ErrUnavailable", err)
	}
	if len(f.calls) > 0 {
		t.Errorf("the codes were called: %v", f.calls)
	}
}

// TestDatabaseDecidesLogin checks that the database decides about a right code, and that the code is spent exactly when
// the database has recorded its challenge.
func TestDatabaseDecidesLogin(t *testing.T) {
	for _, tc := range []struct {
		err   error
		spent bool
	}{
		{nil, true},
		{wrapped(account.ErrSpent), true},
		{wrapped(account.ErrBanned), true},
		{wrapped(account.ErrUnavailable), false},
		{wrapped(account.ErrNotFound), false},
		{context.DeadlineExceeded, false},
	} {
		f := fakes{loggedIn: tc.err, tokens: new(account.Tokens)}
		answer := otp.Answer{Phone: number, Purpose: "another", Ticket: "ticket", Device: "old"}
		got, err := New(&f, &f, &f).Login(t.Context(), answer, client)
		if !errors.Is(err, tc.err) || f.spent != tc.spent {
			t.Errorf("Login, with the database's %v: %v, spent %t; want spent %t", tc.err, err, f.spent, tc.spent)
		}
		if loggedIn := got.User == user && got.New; loggedIn != (tc.err == nil) {
			t.Errorf("Login, with the database's %v: %+v; want a login only without an error", tc.err, got)
		}
		if known := got.DeviceToken == "+989121234567 after old"; known != (tc.err == nil) {
			t.Errorf("Login, with the database's %v: device token %q", tc.err, got.DeviceToken)
		}
		if answer.Purpose = otp.ForLogin; f.answered != answer {
			t.Errorf("Login checked %+v; want %+v", f.answered, answer)
		}
		if f.gotPhone != number || f.gotChallenge != challenge || f.gotClient != client {
			t.Errorf("Login recorded %v for %v, %v; want the challenge that was answered, for the phone and the client",
				f.gotChallenge, f.gotPhone, f.gotClient)
		}
	}
}

// TestNoTokensNoDevice checks that a login without tokens makes no device known.
func TestNoTokensNoDevice(t *testing.T) {
	var f fakes
	got, err := New(&f, &f, &f).Login(t.Context(), otp.Answer{Phone: number}, client)
	if got.DeviceToken != "" || err != nil {
		t.Errorf("Login without tokens: device token %q, %v; want none", got.DeviceToken, err)
	}
}

// TestDatabaseDecidesPhone checks that only a change of phone spends its code. ErrTaken in particular leaves the code,
// as a wrong code would be left.
func TestDatabaseDecidesPhone(t *testing.T) {
	for _, tc := range []struct {
		err   error
		spent bool
	}{
		{nil, true},
		{wrapped(account.ErrTaken), false},
		{wrapped(account.ErrNotFound), false},
		{wrapped(account.ErrUnavailable), false},
	} {
		f := fakes{changed: tc.err}
		answer := otp.Answer{Phone: number, Ticket: "ticket"}
		got, token, err := New(&f, &f, &f).ChangePhone(t.Context(), user.ID, answer, actor)
		if !errors.Is(err, tc.err) || f.spent != tc.spent {
			t.Errorf("ChangePhone, with the database's %v: %v, spent %t; want spent %t", tc.err, err, f.spent, tc.spent)
		}
		if changed := got == user; changed != (tc.err == nil) {
			t.Errorf("ChangePhone, with the database's %v: %+v; want a user only without an error", tc.err, got)
		}
		if known := token == "+989121234567 after "; known != (tc.err == nil) {
			t.Errorf("ChangePhone, with the database's %v: device token %q; want one without an error", tc.err, token)
		}
		if answer.Purpose = otp.ForPhoneChange(user.ID); f.answered != answer {
			t.Errorf("ChangePhone checked %+v; want %+v, the code that this user asked for", f.answered, answer)
		}
		if f.gotUser != user.ID || f.gotPhone != number || f.gotActor != actor {
			t.Errorf("ChangePhone gave %v the phone %v by %+v; want the user, the phone and the actor of the call",
				f.gotUser, f.gotPhone, f.gotActor)
		}
	}
}

// TestCodeStoreProposes checks that the database is not asked about an answer that the code store refuses.
func TestCodeStoreProposes(t *testing.T) {
	for _, refusal := range []error{otp.ErrWrong, otp.ErrNotLive, otp.ErrUnavailable} {
		f := fakes{checked: wrapped(refusal)}
		s := New(&f, &f, &f)
		if _, err := s.Login(t.Context(), otp.Answer{Phone: number}, client); !errors.Is(err, refusal) || f.redeemed {
			t.Errorf("Login: %v, redeemed %t; want %v and no question to the database", err, f.redeemed, refusal)
		}
		_, _, err := s.ChangePhone(t.Context(), user.ID, otp.Answer{Phone: number}, actor)
		if !errors.Is(err, refusal) || f.redeemed {
			t.Errorf("ChangePhone: %v, redeemed %t; want %v and no question to the database", err, f.redeemed, refusal)
		}
	}
}

// TestRemoveAsksRedisFirst checks that a removal forgets the phone before it deletes the user, and that it leaves the
// user alone if the phone could not be forgotten.
func TestRemoveAsksRedisFirst(t *testing.T) {
	for _, tc := range []struct {
		name               string
		forgotten, deleted error
		calls              []string
	}{
		{"both answer", nil, nil, []string{"forget", "delete"}},
		{"Redis is down", wrapped(otp.ErrUnavailable), nil, []string{"forget"}},
		{"the database is down", nil, wrapped(account.ErrUnavailable), []string{"forget", "delete"}},
	} {
		f := fakes{forgotten: tc.forgotten, deleted: tc.deleted}
		err := New(&f, &f, &f).Remove(t.Context(), user, actor)
		if want := cmp.Or(tc.forgotten, tc.deleted); !errors.Is(err, want) {
			t.Errorf("%s: Remove: %v; want %v", tc.name, err, want)
		}
		if !slices.Equal(f.calls, tc.calls) {
			t.Errorf("%s: Remove called %v; want %v", tc.name, f.calls, tc.calls)
		}
		if f.gotPhone != number {
			t.Errorf("%s: Remove forgot %v; want the user's phone", tc.name, f.gotPhone)
		}
		if len(tc.calls) == 2 && (f.gotUser != user.ID || f.gotActor != actor) {
			t.Errorf("%s: Remove deleted %v by %+v; want the user, by the actor", tc.name, f.gotUser, f.gotActor)
		}
	}
}

// TestUnlockRecords checks that an unlock is recorded once it has freed something.
func TestUnlockRecords(t *testing.T) {
	for _, tc := range []struct {
		name               string
		unlocked           otp.Unlocked
		forgotten, deleted error
		calls              []string
	}{
		{"nothing to free", otp.Unlocked{}, nil, nil, []string{"unlock"}},
		{"messages", otp.Unlocked{Sends: 3}, nil, nil, []string{"unlock", "record"}},
		{"Redis is down", otp.Unlocked{}, wrapped(otp.ErrUnavailable), nil, []string{"unlock"}},
		{
			"the database is down",
			otp.Unlocked{Wrong: 1},
			nil,
			wrapped(account.ErrUnavailable),
			[]string{"unlock", "record"},
		},
	} {
		f := fakes{unlocked: tc.unlocked, forgotten: tc.forgotten, deleted: tc.deleted}
		got, err := New(&f, &f, &f).Unlock(t.Context(), number, actor)
		if want := cmp.Or(tc.forgotten, tc.deleted); !errors.Is(err, want) || got != tc.unlocked {
			t.Errorf("%s: Unlock: %+v, %v; want %+v, %v", tc.name, got, err, tc.unlocked, want)
		}
		if !slices.Equal(f.calls, tc.calls) {
			t.Errorf("%s: Unlock called %v; want %v", tc.name, f.calls, tc.calls)
		}
	}
}
