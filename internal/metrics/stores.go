package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/otp"
	"dekamond-otp/internal/trace"
)

// Codes gives the store with its calls timed, and with a span each.
func (m *Metrics) Codes(s otp.Store) otp.Store {
	return codes{s, timer{m.redis, otp.ErrUnavailable, "redis"}}
}

// Accounts gives the store with its calls timed, and with a span each. The system is a db.system.name of OpenTelemetry's.
func (m *Metrics) Accounts(s account.Store, system string) account.Store {
	return accounts{s, timer{m.database, account.ErrUnavailable, system}}
}

type timer struct {
	calls       *prometheus.HistogramVec
	unavailable error
	system      string
}

// A timed call tells its name and its time, and nothing of what it is about.
type timed struct {
	timer
	call  string
	since time.Time
	span  trace.Span
}

func (t timer) began(ctx context.Context, call string) timed {
	_, span := trace.Start(ctx, trace.Client, call, t.system)
	span.Set("db.system.name", t.system)
	span.Set("db.operation.name", call)
	return timed{t, call, time.Now(), span}
}

// ended takes the time of a call. An error of the store's is one that says that it does not answer, or
// that nobody expects: the others are answers.
func (t timed) ended(err *error) {
	result := "ok"
	if *err != nil && errors.Is(*err, t.unavailable) {
		result = "error"
		t.span.Fail("unavailable")
	}
	t.span.End()
	t.calls.WithLabelValues(t.call, result).Observe(time.Since(t.since).Seconds())
}

type codes struct {
	otp.Store
	timer
}

func (c codes) Open(ctx context.Context, o otp.Opening) (_ otp.Challenge, err error) {
	defer c.began(ctx, "open").ended(&err)
	return c.Store.Open(ctx, o)
}

func (c codes) Check(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, d otp.Digest) (_ otp.Match, err error) {
	defer c.began(ctx, "check").ended(&err)
	return c.Store.Check(ctx, phone, p, d)
}

func (c codes) Close(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, m otp.Match) (err error) {
	defer c.began(ctx, "close").ended(&err)
	return c.Store.Close(ctx, phone, p, m)
}

func (c codes) Forget(ctx context.Context, phone otp.Pseudonym) (err error) {
	defer c.began(ctx, "forget").ended(&err)
	return c.Store.Forget(ctx, phone)
}

func (c codes) Status(ctx context.Context, phone otp.Pseudonym, p otp.Purpose, id otp.ChallengeID, send int) (_ otp.Status, err error) {
	defer c.began(ctx, "status").ended(&err)
	return c.Store.Status(ctx, phone, p, id, send)
}

func (c codes) Claim(ctx context.Context, n int) (_ []otp.Lease, err error) {
	defer c.began(ctx, "claim").ended(&err)
	return c.Store.Claim(ctx, n)
}

func (c codes) Renew(ctx context.Context, p otp.Lease) (_ time.Time, err error) {
	defer c.began(ctx, "hold").ended(&err)
	return c.Store.Renew(ctx, p)
}

func (c codes) Settle(ctx context.Context, p otp.Lease, o otp.Outcome) (err error) {
	defer c.began(ctx, "settle").ended(&err)
	return c.Store.Settle(ctx, p, o)
}

func (c codes) Report(ctx context.Context, r otp.Handoff, delivered bool) (_, _ string, err error) {
	defer c.began(ctx, "report").ended(&err)
	return c.Store.Report(ctx, r, delivered)
}

type accounts struct {
	account.Store
	timer
}

func (a accounts) Login(ctx context.Context, s account.NewSession) (_ account.User, err error) {
	defer a.began(ctx, "login").ended(&err)
	return a.Store.Login(ctx, s)
}

func (a accounts) Refresh(ctx context.Context, r account.Rotation) (_ account.Rotated, err error) {
	defer a.began(ctx, "refresh").ended(&err)
	return a.Store.Refresh(ctx, r)
}

func (a accounts) ByID(ctx context.Context, id uuid.UUID) (_ account.User, err error) {
	defer a.began(ctx, "by_id").ended(&err)
	return a.Store.ByID(ctx, id)
}

func (a accounts) BySession(ctx context.Context, user, session uuid.UUID) (_ account.User, err error) {
	defer a.began(ctx, "by_session").ended(&err)
	return a.Store.BySession(ctx, user, session)
}

func (a accounts) List(ctx context.Context, p account.Page) (_ []account.User, err error) {
	defer a.began(ctx, "list").ended(&err)
	return a.Store.List(ctx, p)
}

func (a accounts) Sessions(ctx context.Context, user uuid.UUID, limit int) (_ []account.Session, err error) {
	defer a.began(ctx, "sessions").ended(&err)
	return a.Store.Sessions(ctx, user, limit)
}

func (a accounts) EndSession(ctx context.Context, e account.Event) (err error) {
	defer a.began(ctx, "end_session").ended(&err)
	return a.Store.EndSession(ctx, e)
}

func (a accounts) EndSessions(ctx context.Context, e account.Event) (err error) {
	defer a.began(ctx, "end_sessions").ended(&err)
	return a.Store.EndSessions(ctx, e)
}

func (a accounts) SetBanned(ctx context.Context, banned bool, e account.Event) (_ account.User, err error) {
	defer a.began(ctx, "set_banned").ended(&err)
	return a.Store.SetBanned(ctx, banned, e)
}

func (a accounts) ChangePhone(ctx context.Context, c account.Claim, e account.Event) (_ account.User, err error) {
	defer a.began(ctx, "change_phone").ended(&err)
	return a.Store.ChangePhone(ctx, c, e)
}

func (a accounts) Delete(ctx context.Context, e account.Event) (err error) {
	defer a.began(ctx, "delete").ended(&err)
	return a.Store.Delete(ctx, e)
}

func (a accounts) Events(ctx context.Context, p account.EventPage) (_ []account.Event, err error) {
	defer a.began(ctx, "events").ended(&err)
	return a.Store.Events(ctx, p)
}

func (a accounts) Record(ctx context.Context, e account.Event) (_ bool, err error) {
	defer a.began(ctx, "record").ended(&err)
	return a.Store.Record(ctx, e)
}

func (a accounts) Sweep(ctx context.Context, b account.Retention) (_ account.Swept, err error) {
	defer a.began(ctx, "sweep").ended(&err)
	return a.Store.Sweep(ctx, b)
}
