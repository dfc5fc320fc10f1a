package pgstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/account"
)

// insertEvent takes the arguments that event returns. A from clause or a where clause can follow it.
const insertEvent = `
	insert into audit (id, at, action, user_id, session_id, actor, ip, user_agent, detail)
	select $1, $2, $3, $4, $5, $6, $7, $8, $9 `

func event(e account.Event) []any {
	return []any{
		e.ID, e.At(), e.Action, nullable(e.User), nullable(e.Session),
		e.Actor, e.Client.IP, e.Client.UserAgent, e.Detail,
	}
}

func nullable(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

const (
	listEvents = `
		select id, action, user_id, session_id, actor, ip, user_agent, detail from audit
		where id >= $1 and id < $2
			and ($3::uuid is null or user_id = $3) and ($4 = '' or action = $4)
		order by id desc limit $5`
	lockEvents  = `select pg_advisory_xact_lock(7823614209)`
	recordEvent = insertEvent + `
		where $9 is distinct from (select detail from audit where action = $3 order by id desc limit 1)`
)

// Events implements account.Store.
func (a *Accounts) Events(ctx context.Context, p account.EventPage) ([]account.Event, error) {
	low, high := p.Bounds()
	return all(ctx, a, "events", func(r pgx.Row) (e account.Event, err error) {
		var user, session *uuid.UUID
		err = r.Scan(&e.ID, &e.Action, &user, &session, &e.Actor, &e.Client.IP, &e.Client.UserAgent, &e.Detail)
		if user != nil {
			e.User = *user
		}
		if session != nil {
			e.Session = *session
		}
		return e, err
	}, listEvents, pgx.QueryExecModeCacheDescribe, low, high, nullable(p.User), p.Action, p.Limit)
}

// Record implements account.Store. The lock admits one copy of the service at a time to the comparison and the insert.
func (a *Accounts) Record(ctx context.Context, e account.Event) (recorded bool, err error) {
	err = a.tx(ctx, "record", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockEvents); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, recordEvent, event(e)...)
		recorded = tag.RowsAffected() > 0
		return err
	})
	return recorded && err == nil, err
}

// Rows that are locked are left to the next sweep, so that neither side waits for the other.
const sweep = `
	with alone as materialized (
		select pg_try_advisory_xact_lock(7823614208) as yes
	), dead as (
		select id from sessions where (select yes from alone) and expires_at < now() - $1::interval
		order by expires_at limit $3 for update skip locked
	), old as (
		select id from audit where (select yes from alone) and id < $2
		order by id limit $3 for update skip locked
	), buried as (
		delete from sessions using dead where sessions.id = dead.id returning 1
	), forgotten as (
		delete from audit using old where audit.id = old.id returning 1
	)
	select (select count(*) from buried), (select count(*) from forgotten)`

// Sweep implements account.Store.
func (a *Accounts) Sweep(ctx context.Context, b account.Retention) (account.Swept, error) {
	return first(ctx, a, "sweep", func(r pgx.Row) (s account.Swept, err error) {
		err = r.Scan(&s.Sessions, &s.Events)
		return s, err
	}, sweep, b.KeepEnded, b.EventsBefore, b.Limit)
}
