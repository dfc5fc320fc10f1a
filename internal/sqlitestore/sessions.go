package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

const (
	userBySession = `
		select u.id, u.phone, u.created_at, u.last_login_at, u.banned_at
		from sessions s join users u on u.id = s.user_id
		where s.id = $1 and s.user_id = $2 and s.ended_at is null and s.expires_at > $3`
	userSessions = `
		select id, created_at, last_used_at, ip, user_agent from sessions
		where user_id = $1 and ended_at is null and expires_at > $2
		order by last_used_at desc, id desc limit $3`
	endSession = `
		update sessions set ended_at = $3, expires_at = $3
		where user_id = $1 and id = $2 and ended_at is null and expires_at > $3`
	endOtherSessions = `
		update sessions set ended_at = $3, expires_at = $3
		where user_id = $1 and id <> $2 and ended_at is null and expires_at > $3`
	userExists = `select 1 from users where id = $1`
)

// BySession implements account.Store.
func (a *Accounts) BySession(ctx context.Context, user, session uuid.UUID) (account.User, error) {
	return first(ctx, a, "by_session", scan, userBySession, session.String(), user.String(), time.Now().UnixMicro())
}

// Sessions implements account.Store.
func (a *Accounts) Sessions(ctx context.Context, user uuid.UUID, limit int) ([]account.Session, error) {
	return all(ctx, a, "sessions", func(r row) (s account.Session, err error) {
		var createdAt, lastUsedAt int64
		err = r.Scan(&s.ID, &createdAt, &lastUsedAt, &s.Client.IP, &s.Client.UserAgent)
		s.CreatedAt, s.LastUsedAt = fromMicro(createdAt), fromMicro(lastUsedAt)
		return s, err
	}, userSessions, user.String(), time.Now().UnixMicro(), limit)
}

// EndSession implements account.Store.
func (a *Accounts) EndSession(ctx context.Context, e account.Event) error {
	return a.tx(ctx, "end_session", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if err := execOne(ctx, tx, endSession, e.User.String(), e.Session.String(), now.UnixMicro()); err != nil {
			return err
		}
		return insert(ctx, tx, e)
	})
}

// EndSessions implements account.Store.
func (a *Accounts) EndSessions(ctx context.Context, e account.Event) error {
	return a.tx(ctx, "end_sessions", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if err := tx.QueryRowContext(ctx, userExists, e.User.String()).Scan(new(int)); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, endOtherSessions, e.User.String(), uuid.Nil.String(), now.UnixMicro()); err != nil {
			return err
		}
		return insert(ctx, tx, e)
	})
}

const (
	rotate = `
		update sessions
		set refresh_hash = $4, spent_hash = $3, seed = $5, user_agent = $6, ip = $7,
			last_used_at = $8, expires_at = min(ends_at, $9)
		where id = $1 and family_hash = $2 and refresh_hash = $3 and ended_at is null and expires_at > $8
			and exists (select 1 from users where id = user_id and banned_at is null)
		returning user_id, (select phone from users where id = user_id), seed,
			$8 - last_used_at, ends_at - last_used_at`
	lastRotation = `
		update sessions
		set expires_at = case when spent_hash = $3 then min(ends_at, $5) else expires_at end
		where id = $1 and family_hash = $2 and ended_at is null and expires_at > $4
			and exists (select 1 from users where id = user_id and banned_at is null)
		returning user_id, (select phone from users where id = user_id), case when spent_hash = $3 then seed end,
			$4 - last_used_at, ends_at - last_used_at`
)

// Refresh implements account.Store.
func (a *Accounts) Refresh(ctx context.Context, r account.Rotation) (rotated account.Rotated, err error) {
	reused := false
	err = a.tx(ctx, "refresh", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		session := r.Session.String()
		rotated, err = scanRotated(tx.QueryRowContext(ctx, rotate,
			session, r.FamilyHash, r.SpentHash, r.NextHash, r.Seed,
			r.Client.UserAgent, r.Client.IP, now.UnixMicro(), now.Add(r.IdleTTL).UnixMicro()))
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		rotated, err = scanRotated(tx.QueryRowContext(ctx, lastRotation, session, r.FamilyHash, r.SpentHash,
			now.UnixMicro(), now.Add(r.IdleTTL).UnixMicro()))
		if err != nil || rotated.Seed != nil {
			return err
		}
		reused = true
		if err := execOne(ctx, tx, endSession, rotated.User.String(), session, now.UnixMicro()); err != nil {
			return err
		}
		return insert(ctx, tx, r.Reuse(rotated.User))
	})
	if err == nil && reused {
		return account.Rotated{}, account.ErrReused
	}
	return rotated, err
}

func scanRotated(r row) (rotated account.Rotated, err error) {
	var since, ttl int64 // in microseconds
	var number sql.NullString
	err = r.Scan(&rotated.User, &number, &rotated.Seed, &since, &ttl)
	if number.Valid {
		rotated.Phone = phone.Stored(number.String)
	}
	rotated.Since, rotated.TTL = time.Duration(since)*time.Microsecond, time.Duration(ttl)*time.Microsecond
	return rotated, err
}
