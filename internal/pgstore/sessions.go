package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

// A session is live while ended_at is null and expires_at is in the future. A statement that ends it sets both:
// ended_at, so that no statement that began earlier can revive the session, and expires_at, so that one index finds all
// dead sessions.
const (
	userBySession = `
		select u.id, u.phone, u.created_at, u.last_login_at, u.banned_at
		from sessions s join users u on u.id = s.user_id
		where s.id = $1 and s.user_id = $2 and s.ended_at is null and s.expires_at > now()`
	userSessions = `
		select id, created_at, last_used_at, ip, user_agent from sessions
		where user_id = $1 and ended_at is null and expires_at > now()
		order by last_used_at desc, id desc limit $2`
	endSession = `
		with ended as (
			update sessions set ended_at = now(), expires_at = now()
			where user_id = $4 and id = $5 and ended_at is null and expires_at > now()
			returning id
		)` + insertEvent + `from ended`
	endOtherSessions = `
		update sessions set ended_at = now(), expires_at = now()
		where user_id = $1 and id <> $2 and ended_at is null and expires_at > now()`
)

// BySession implements account.Store.
func (a *Accounts) BySession(ctx context.Context, user, session uuid.UUID) (account.User, error) {
	return first(ctx, a, "by_session", scan, userBySession, session, user)
}

// Sessions implements account.Store.
func (a *Accounts) Sessions(ctx context.Context, user uuid.UUID, limit int) ([]account.Session, error) {
	return all(ctx, a, "sessions", func(r pgx.Row) (s account.Session, err error) {
		err = r.Scan(&s.ID, &s.CreatedAt, &s.LastUsedAt, &s.Client.IP, &s.Client.UserAgent)
		s.CreatedAt, s.LastUsedAt = s.CreatedAt.UTC(), s.LastUsedAt.UTC()
		return s, err
	}, userSessions, user, limit)
}

// EndSession implements account.Store.
func (a *Accounts) EndSession(ctx context.Context, e account.Event) error {
	return a.call(ctx, "end_session", a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		return execOne(ctx, c, endSession, event(e)...)
	})
}

// EndSessions implements account.Store.
func (a *Accounts) EndSessions(ctx context.Context, e account.Event) error {
	return a.tx(ctx, "end_sessions", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := scan(tx.QueryRow(ctx, lockUser, e.User)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endOtherSessions, e.User, uuid.Nil); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertEvent, event(e)...)
		return err
	})
}

const (
	rotate = `
		update sessions
		set refresh_hash = $4, spent_hash = $3, seed = $5, user_agent = $6, ip = $7,
			last_used_at = now(), expires_at = least(ends_at, now() + $8::interval)
		where id = $1 and family_hash = $2 and refresh_hash = $3 and ended_at is null and expires_at > now()
			and exists (select from users where id = user_id and banned_at is null)
		returning user_id, (select phone from users where id = user_id), seed,
			now() - last_used_at, ends_at - last_used_at`
	lastRotation = `
		update sessions
		set expires_at = case when spent_hash = $3 then least(ends_at, now() + $4::interval) else expires_at end
		where id = $1 and family_hash = $2 and ended_at is null and expires_at > now()
			and exists (select from users where id = user_id and banned_at is null)
		returning user_id, (select phone from users where id = user_id), case when spent_hash = $3 then seed end,
			now() - last_used_at, ends_at - last_used_at`
	endReused = `
		with ended as (
			update sessions set ended_at = now(), expires_at = now()
			where id = $5 and family_hash = $10 and ended_at is null and expires_at > now()
			returning id
		)` + insertEvent + `from ended`
)

// Refresh implements account.Store. The first use of a token is the first statement alone. A simultaneous second use
// waits at the row for the first one to commit, and then reads what the first one left.
func (a *Accounts) Refresh(ctx context.Context, r account.Rotation) (rotated account.Rotated, err error) {
	err = a.call(ctx, "refresh", 3*a.timeouts.Statement, func(ctx context.Context, c *pgxpool.Conn) error {
		rotated, err = one(ctx, c, a.timeouts.Statement, scanRotated, rotate,
			r.Session, r.FamilyHash, r.SpentHash, r.NextHash, r.Seed, r.Client.UserAgent, r.Client.IP, r.IdleTTL)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		rotated, err = one(ctx, c, a.timeouts.Statement, scanRotated, lastRotation,
			r.Session, r.FamilyHash, r.SpentHash, r.IdleTTL)
		if err != nil || rotated.Seed != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, a.timeouts.Statement)
		defer cancel()
		if err := execOne(ctx, c, endReused, append(event(r.Reuse(rotated.User)), r.FamilyHash)...); err != nil {
			return err
		}
		return account.ErrReused
	})
	if err != nil {
		return account.Rotated{}, err
	}
	return rotated, nil
}

// one runs a statement within the timeout and scans its first row.
func one[T any](
	ctx context.Context, c *pgxpool.Conn, timeout time.Duration, scan scanner[T], sql string, args ...any,
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return scan(c.QueryRow(ctx, sql, args...))
}

func scanRotated(row pgx.Row) (r account.Rotated, err error) {
	var number *string
	err = row.Scan(&r.User, &number, &r.Seed, &r.Since, &r.TTL)
	if number != nil {
		r.Phone = phone.Stored(*number)
	}
	return r, err
}
