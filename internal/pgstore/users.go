package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

const (
	// The user is new if its id is the offered one, $1. A challenge that is known to be spent does not lock the user's
	// row; of simultaneous logins with one challenge, the unique index lets one pass.
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
				created_at, last_used_at, ends_at, expires_at, ended_at)
			select $3, id, $4, $5, $6, $7, $8, now(), now(), now() + $10::interval,
				case when ended then now() else now() + least($10::interval, $11::interval) end,
				case when ended then now() end
			from (select id, banned_at is not null or (id = $1 and not $9) as ended from the_user) as u
		), the_event as (
			insert into audit (id, at, action, user_id, session_id, actor, ip, user_agent, detail)
			select $12, $13, case when id = $1 then $14 else $15 end, id, $3, $16, $8, $7, '{}'
			from the_user where banned_at is null
		)
		select id, phone, created_at, last_login_at, banned_at from the_user`
	releasePhone = `
		update users set phone = null
		where phone = $1 and id <> $2 and banned_at is null
			and coalesce(last_login_at, created_at) <= now() - $3::interval
			and not exists (select from sessions where user_id = users.id and last_used_at > now() - $3::interval)
		returning id`
)

// Login implements account.Store.
func (a *Accounts) Login(ctx context.Context, s account.NewSession) (u account.User, err error) {
	args := []any{
		s.UserID, s.Phone.E164(), s.ID, s.Challenge, s.FamilyHash, s.RefreshHash,
		s.Client.UserAgent, s.Client.IP, s.LogsIn, s.TTL, s.IdleTTL, s.Event,
		account.Event{ID: s.Event}.At(), account.SignedUp, account.LoggedIn, account.Person,
	}
	if s.DormantAfter == 0 {
		u, err = first(ctx, a, "login", scan, login, args...)
	} else {
		err = a.tx(ctx, "login", func(ctx context.Context, tx pgx.Tx) error {
			if err := release(ctx, tx, s.Claim, s.UserID); err != nil {
				return err
			}
			u, err = scan(tx.QueryRow(ctx, login, args...))
			return err
		})
	}
	if errors.Is(err, account.ErrNotFound) {
		return account.User{}, account.ErrSpent
	}
	return u, err
}

// release takes the claimed phone from the user who has it, unless that user is the winner, is banned, or was seen
// within c.DormantAfter. A DormantAfter of 0 releases nothing.
func release(ctx context.Context, tx pgx.Tx, c account.Claim, winner uuid.UUID) error {
	if c.DormantAfter == 0 {
		return nil
	}
	var loser uuid.UUID
	err := tx.QueryRow(ctx, releasePhone, c.Phone.E164(), winner, c.DormantAfter).Scan(&loser)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = tx.Exec(ctx, insertEvent, event(c.Lost(loser, winner))...)
	}
	return err
}

const userByID = `select id, phone, created_at, last_login_at, banned_at from users where id = $1`

// ByID implements account.Store.
func (a *Accounts) ByID(ctx context.Context, id uuid.UUID) (account.User, error) {
	return first(ctx, a, "by_id", scan, userByID, id)
}

const (
	listUsers = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 order by id desc limit $2`
	listUsersByPrefix = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 and (%s) order by id desc limit $2`
	// The index has the last four digits, phone.MinSuffix of them.
	listUsersBySuffix = `
		select id, phone, created_at, last_login_at, banned_at from users
		where id < $1 and right(phone, 4) = $3 and right(phone, $4) = $5 order by id desc limit $2`
)

// List implements account.Store.
func (a *Accounts) List(ctx context.Context, p account.Page) ([]account.User, error) {
	sql, args := list(p)
	return all(ctx, a, "list", scan, sql, args...)
}

// list returns the statement for a page and its arguments. The plan of a search by prefix is made for its prefixes, not
// once for all: the index on phone finds a rare one, and a scan of the newest users a common one.
func list(p account.Page) (sql string, args []any) {
	before := p.Before
	if before == uuid.Nil {
		before = uuid.Max
	}
	args = []any{before, p.Limit}
	switch suffix := p.Phone.Suffix; {
	case suffix != "":
		return listUsersBySuffix, append(args, suffix[len(suffix)-phone.MinSuffix:], len(suffix), suffix)
	case len(p.Phone.Prefixes) == 0:
		return listUsers, args
	}
	var ranges []string
	for _, prefix := range p.Phone.Prefixes {
		args = append(args, prefix, prefix+":") // ':' follows '9' in ASCII
		ranges = append(ranges, fmt.Sprintf("phone >= $%d and phone < $%d", len(args)-1, len(args)))
	}
	sql = fmt.Sprintf(listUsersByPrefix, strings.Join(ranges, " or "))
	return sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)
}

const (
	lockUser = `
		select id, phone, created_at, last_login_at, banned_at from users where id = $1 for no key update`
	setBanned = `
		update users set banned_at = case when $2 then now() end where id = $1
		returning id, phone, created_at, last_login_at, banned_at`
	setPhone = `
		update users set phone = $2
		where id = $1 and not exists (select from users where phone = $2)
		returning id, phone, created_at, last_login_at, banned_at`
	deleteUser = `delete from users where id = $1`
)

// SetBanned implements account.Store.
func (a *Accounts) SetBanned(ctx context.Context, banned bool, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, "set_banned", func(ctx context.Context, tx pgx.Tx) error {
		if u, err = scan(tx.QueryRow(ctx, lockUser, e.User)); err != nil {
			return err
		}
		if banned { // sessions are ended even if the user is banned already
			if _, err := tx.Exec(ctx, endOtherSessions, e.User, uuid.Nil); err != nil {
				return err
			}
		}
		if banned == !u.BannedAt.IsZero() {
			return nil
		}
		if u, err = scan(tx.QueryRow(ctx, setBanned, e.User, banned)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertEvent, event(e)...)
		return err
	})
	return u, err
}

// ChangePhone implements account.Store.
func (a *Accounts) ChangePhone(ctx context.Context, c account.Claim, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, "change_phone", func(ctx context.Context, tx pgx.Tx) error {
		old, err := lockCaller(ctx, tx, e)
		if err != nil || old.Phone.E164() == c.Phone.E164() {
			u = old
			return err
		}
		if err := release(ctx, tx, c, e.User); err != nil {
			return err
		}
		u, err = scan(tx.QueryRow(ctx, setPhone, e.User, c.Phone.E164()))
		if errors.Is(err, pgx.ErrNoRows) {
			return account.ErrTaken
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endOtherSessions, e.User, e.Session); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertEvent, event(e.Moved(old.Phone, c.Phone))...)
		return err
	})
	if err != nil {
		return account.User{}, err
	}
	return u, nil
}

// Delete implements account.Store.
func (a *Accounts) Delete(ctx context.Context, e account.Event) error {
	return a.tx(ctx, "delete", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := lockCaller(ctx, tx, e); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteUser, e.User); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertEvent, event(e)...)
		return err
	})
}

// lockCaller locks and returns the event's user. It returns pgx.ErrNoRows if the event has a session that is not live.
func lockCaller(ctx context.Context, tx pgx.Tx, e account.Event) (u account.User, err error) {
	u, err = scan(tx.QueryRow(ctx, lockUser, e.User))
	if err == nil && e.Session != uuid.Nil {
		_, err = scan(tx.QueryRow(ctx, userBySession, e.Session, e.User))
	}
	return u, err
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
