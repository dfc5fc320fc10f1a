package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

const (
	// The user is new where the id is the one that was offered. A challenge that is known to be spent costs
	// the user's row no lock; of those that arrive at once, the unique index lets one pass.
	login = `
		with the_user as (
			insert into users (id, phone, created_at, last_login_at)
			select $1, $2, now(), case when $9 then now() end
			where not exists (select from sessions where challenge_id = $4)
			on conflict (phone) do update
				set last_login_at = case when users.banned_at is null then now() else users.last_login_at end
			returning id, phone, created_at, last_login_at, banned_at
		), the_session as (
			insert into sessions (id, user_id, challenge_id, family_hash, refresh_hash, user_agent, ip,
				created_at, last_used_at, expires_at, ends_at, ended_at)
			select $3, id, $4, $5, $6, $7, $8,
				now(), now(), now() + least($10::interval, $11::interval), now() + $10::interval,
				case when banned_at is not null or (id = $1 and not $9) then now() end
			from the_user
		), the_event as (
			insert into audit (id, at, action, user_id, session_id, actor, ip, user_agent, detail)
			select $12, $13, case when id = $1 then $14 else $15 end, id, $3, $16, $8, $7, '{}'
			from the_user where banned_at is null
		)
		select id, phone, created_at, last_login_at, banned_at from the_user`
	releasePhone = `
		with loser as (
			update users set phone = null
			where phone = $5 and banned_at is null
				and coalesce(last_login_at, created_at) <= now() - $6::interval
				and not exists (select from sessions where user_id = users.id and last_used_at > now() - $6::interval)
				and not exists (select from sessions where challenge_id = $7)
			returning id
		)
		insert into audit (id, at, action, user_id, actor, ip, user_agent, detail)
		select $1, $2, $3, id, $4, '', '', json_build_object('to_user', $8::text)::text from loser`
)

// Login implements account.Store.
func (a *Accounts) Login(ctx context.Context, s account.NewSession) (u account.User, err error) {
	at := account.Event{ID: s.Event}.At()
	args := []any{
		s.UserID, s.Phone.E164(), s.ID, s.Challenge, s.FamilyHash, s.RefreshHash, s.Client.UserAgent, s.Client.IP, s.LogsIn,
		s.TTL, s.IdleTTL, s.Event, at, account.SignedUp, account.LoggedIn, account.Person,
	}
	if s.DormantAfter == 0 {
		u, err = first(ctx, a, scan, login, args...)
	} else {
		err = a.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, releasePhone, s.LossEvent, at, account.PhoneLost, account.System,
				s.Phone.E164(), s.DormantAfter, s.Challenge, s.UserID.String())
			if err == nil {
				u, err = scan(tx.QueryRow(ctx, login, args...))
			}
			return err
		})
	}
	if errors.Is(err, account.ErrNotFound) {
		return account.User{}, account.ErrSpent
	}
	return u, err
}

const userByID = `select id, phone, created_at, last_login_at, banned_at from users where id = $1`

// ByID implements account.Store.
func (a *Accounts) ByID(ctx context.Context, id uuid.UUID) (account.User, error) {
	return first(ctx, a, scan, userByID, id)
}

const (
	listUsers = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 order by id desc limit $2`
	listUsersByPhone = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 and phone >= $3 and phone < $4 order by id desc limit $2`
)

// List implements account.Store.
func (a *Accounts) List(ctx context.Context, p account.Page) ([]account.User, error) {
	before := p.Before
	if before == uuid.Nil {
		before = uuid.Max
	}
	sql, args := listUsers, []any{before, p.Limit}
	if p.Prefix != "" {
		// Planned for this prefix, and not once for all: a rare one is found by the index on phone, a
		// common one by going through the newest users.
		sql, args = listUsersByPhone, []any{pgx.QueryExecModeCacheDescribe, before, p.Limit, p.Prefix, p.Prefix + ":"} // ':' is what follows '9'
	}
	return all(ctx, a, scan, sql, args...)
}

const (
	setBanned = `
		update users set banned_at = case when $2 then now() end
		where id = $1 and (banned_at is null) = $2
		returning id, phone, created_at, last_login_at, banned_at`
	setPhone = `
		update users set phone = $2 where id = $1
		returning id, phone, created_at, last_login_at, banned_at`
	deleteUser = `
		with gone as (delete from users where id = $4 returning id)` + insertEvent + `from gone`
)

// SetBanned implements account.Store.
func (a *Accounts) SetBanned(ctx context.Context, banned bool, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		u, err = scan(tx.QueryRow(ctx, setBanned, e.User, banned))
		if errors.Is(err, pgx.ErrNoRows) { // it is so already, or there is no such user
			u, err = scan(tx.QueryRow(ctx, userByID, e.User))
			return err
		}
		if err == nil && banned {
			_, err = tx.Exec(ctx, endOtherSessions, e.User, uuid.Nil)
		}
		if err == nil {
			_, err = tx.Exec(ctx, insertEvent, event(e)...)
		}
		return err
	})
	return u, err
}

// ChangePhone implements account.Store.
func (a *Accounts) ChangePhone(ctx context.Context, p phone.Number, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if u, err = scan(tx.QueryRow(ctx, setPhone, e.User, p.E164())); err != nil {
			return err
		}
		if _, err := scan(tx.QueryRow(ctx, userBySession, e.Session, e.User)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endOtherSessions, e.User, e.Session); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertEvent, event(e)...)
		return err
	})
	if err != nil {
		return account.User{}, err
	}
	return u, nil
}

// Delete implements account.Store.
func (a *Accounts) Delete(ctx context.Context, e account.Event) error {
	return a.exec(ctx, deleteUser, event(e)...)
}

func scan(r pgx.Row) (account.User, error) {
	var (
		u                     account.User
		e164                  *string
		lastLoginAt, bannedAt *time.Time
	)
	if err := r.Scan(&u.ID, &e164, &u.CreatedAt, &lastLoginAt, &bannedAt); err != nil {
		return account.User{}, err
	}
	u.CreatedAt = u.CreatedAt.UTC()
	if e164 != nil {
		u.Phone = phone.Stored(*e164)
	}
	if lastLoginAt != nil {
		u.LastLoginAt = lastLoginAt.UTC()
	}
	if bannedAt != nil {
		u.BannedAt = bannedAt.UTC()
	}
	return u, nil
}
