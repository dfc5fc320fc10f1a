package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
)

// insertEvent takes the arguments that event returns. A where clause can follow it.
const insertEvent = `
	insert into audit (id, at, action, user_id, session_id, actor, ip, user_agent, detail)
	select $1, $2, $3, $4, $5, $6, $7, $8, $9 `

func event(e account.Event) []any {
	return []any{
		e.ID.String(), e.At().UnixMicro(), string(e.Action), nullable(e.User), nullable(e.Session),
		string(e.Actor), e.Client.IP, e.Client.UserAgent, e.Detail,
	}
}

func nullable(id uuid.UUID) sql.NullString {
	return sql.NullString{String: id.String(), Valid: id != uuid.Nil}
}

func insert(ctx context.Context, tx *sql.Tx, e account.Event) error {
	_, err := tx.ExecContext(ctx, insertEvent, event(e)...)
	return err
}

const (
	listEvents = `
		select id, action, user_id, session_id, actor, ip, user_agent, detail from audit
		where id >= $1 and id < $2 order by id desc limit $3`
	listEventsOfUser = `
		select id, action, user_id, session_id, actor, ip, user_agent, detail from audit
		where id >= $1 and id < $2 and ($5 = '' or action = $5) and user_id = $4 order by id desc limit $3`
	listEventsOfAction = `
		select id, action, user_id, session_id, actor, ip, user_agent, detail from audit
		where id >= $1 and id < $2 and action = $5 order by id desc limit $3`
	recordEvent = insertEvent + `
		where $9 is not (select detail from audit where action = $3 order by id desc limit 1)`
)

// Events implements account.Store.
func (a *Accounts) Events(ctx context.Context, p account.EventPage) ([]account.Event, error) {
	low, high := p.Bounds()
	query, args := listEvents, []any{low.String(), high.String(), p.Limit}
	switch {
	case p.User != uuid.Nil:
		query, args = listEventsOfUser, append(args, p.User.String(), string(p.Action))
	case p.Action != "":
		query, args = listEventsOfAction, append(args, "", string(p.Action))
	}
	return all(ctx, a, "events", func(r row) (e account.Event, err error) {
		var user, session uuid.NullUUID
		err = r.Scan(&e.ID, &e.Action, &user, &session, &e.Actor, &e.Client.IP, &e.Client.UserAgent, &e.Detail)
		e.User, e.Session = user.UUID, session.UUID
		return e, err
	}, query, args...)
}

// Record implements account.Store.
func (a *Accounts) Record(ctx context.Context, e account.Event) (recorded bool, err error) {
	err = a.tx(ctx, "record", func(ctx context.Context, tx *sql.Tx, _ time.Time) error {
		affected, err := exec(ctx, tx, recordEvent, event(e)...)
		recorded = affected > 0
		return err
	})
	return recorded && err == nil, err
}

const (
	sweepSessions = `
		delete from sessions where id in (select id from sessions where expires_at < $1 order by expires_at limit $2)`
	sweepEvents = `
		delete from audit where id in (select id from audit where id < $1 order by id limit $2)`
)

// Sweep implements account.Store.
func (a *Accounts) Sweep(ctx context.Context, b account.Retention) (s account.Swept, err error) {
	err = a.tx(ctx, "sweep", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if s.Sessions, err = exec(ctx, tx, sweepSessions, now.Add(-b.KeepEnded).UnixMicro(), b.Limit); err != nil {
			return err
		}
		s.Events, err = exec(ctx, tx, sweepEvents, b.EventsBefore.String(), b.Limit)
		return err
	})
	return s, err
}
