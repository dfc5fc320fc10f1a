package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"dekamond-otp/internal/account"
	"dekamond-otp/internal/phone"
)

const (
	touchUser = `
		insert into users (id, phone, created_at, last_login_at)
		values ($1, $2, $3, case when $4 then $3 end)
		on conflict (phone) do update
			set last_login_at = case when banned_at is null then $3 else last_login_at end
		returning id, phone, created_at, last_login_at, banned_at`
	insertSession = `
		insert into sessions (id, user_id, challenge_id, family_hash, refresh_hash, user_agent, ip,
			created_at, last_used_at, ends_at, expires_at, ended_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, case when $11 then $8 else $10 end, case when $11 then $8 end)`
	releasePhone = `
		update users set phone = null
		where phone = $1 and id <> $2 and banned_at is null
			and coalesce(last_login_at, created_at) <= $3
			and not exists (select 1 from sessions where user_id = users.id and last_used_at > $3)
		returning id`
)

// Login implements account.Store.
func (a *Accounts) Login(ctx context.Context, s account.NewSession) (u account.User, err error) {
	err = a.tx(ctx, "login", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if err := release(ctx, tx, now, s.Claim, s.UserID); err != nil {
			return err
		}
		u, err = scan(tx.QueryRowContext(ctx, touchUser, s.UserID.String(), s.Phone.E164(), now.UnixMicro(), s.LogsIn))
		if err != nil {
			return err
		}
		ended := !u.BannedAt.IsZero() || (u.ID == s.UserID && !s.LogsIn)
		_, err = tx.ExecContext(ctx, insertSession,
			s.ID.String(), u.ID.String(), s.Challenge.String(), s.FamilyHash, s.RefreshHash,
			s.Client.UserAgent, s.Client.IP,
			now.UnixMicro(), now.Add(s.TTL).UnixMicro(), now.Add(min(s.TTL, s.IdleTTL)).UnixMicro(), ended)
		if err != nil || !u.BannedAt.IsZero() {
			return err
		}
		e := account.Event{
			ID:      s.Event,
			Action:  account.LoggedIn,
			User:    u.ID,
			Session: s.ID,
			Actor:   account.Person,
			Client:  s.Client,
			Detail:  "{}",
		}
		if u.ID == s.UserID {
			e.Action = account.SignedUp
		}
		return insert(ctx, tx, e)
	})
	if err != nil {
		return account.User{}, err
	}
	return u, nil
}

// release takes the claimed phone from the user who has it, unless that user is the winner, is banned, or was seen
// within c.DormantAfter. A DormantAfter of 0 releases nothing.
func release(ctx context.Context, tx *sql.Tx, now time.Time, c account.Claim, winner uuid.UUID) error {
	if c.DormantAfter == 0 {
		return nil
	}
	var loser uuid.UUID
	seenBefore := now.Add(-c.DormantAfter).UnixMicro()
	err := tx.QueryRowContext(ctx, releasePhone, c.Phone.E164(), winner.String(), seenBefore).Scan(&loser)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return insert(ctx, tx, c.Lost(loser, winner))
}

const userByID = `select id, phone, created_at, last_login_at, banned_at from users where id = $1`

// ByID implements account.Store.
func (a *Accounts) ByID(ctx context.Context, id uuid.UUID) (account.User, error) {
	return first(ctx, a, "by_id", scan, userByID, id.String())
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
		where id < $1 and substr(phone, -4) = $3 and substr(phone, -$4) = $5 order by id desc limit $2`
)

// List implements account.Store.
func (a *Accounts) List(ctx context.Context, p account.Page) ([]account.User, error) {
	before := p.Before
	if before == uuid.Nil {
		before = uuid.Max
	}
	args := []any{before.String(), p.Limit}
	switch suffix := p.Phone.Suffix; {
	case suffix != "":
		args = append(args, suffix[len(suffix)-phone.MinSuffix:], len(suffix), suffix)
		return all(ctx, a, "list", scan, listUsersBySuffix, args...)
	case len(p.Phone.Prefixes) == 0:
		return all(ctx, a, "list", scan, listUsers, args...)
	}
	var ranges []string
	for _, prefix := range p.Phone.Prefixes {
		args = append(args, prefix, prefix+":") // ':' follows '9' in ASCII
		ranges = append(ranges, fmt.Sprintf("phone >= $%d and phone < $%d", len(args)-1, len(args)))
	}
	return all(ctx, a, "list", scan, fmt.Sprintf(listUsersByPrefix, strings.Join(ranges, " or ")), args...)
}

const (
	setBanned = `
		update users set banned_at = case when $2 then $3 end where id = $1
		returning id, phone, created_at, last_login_at, banned_at`
	setPhone = `
		update users set phone = $2
		where id = $1 and not exists (select 1 from users where phone = $2)
		returning id, phone, created_at, last_login_at, banned_at`
	deleteUser = `delete from users where id = $1`
)

// SetBanned implements account.Store.
func (a *Accounts) SetBanned(ctx context.Context, banned bool, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, "set_banned", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if u, err = scan(tx.QueryRowContext(ctx, userByID, e.User.String())); err != nil {
			return err
		}
		if banned { // sessions are ended even if the user is banned already
			_, err := exec(ctx, tx, endOtherSessions, e.User.String(), uuid.Nil.String(), now.UnixMicro())
			if err != nil {
				return err
			}
		}
		if banned == !u.BannedAt.IsZero() {
			return nil
		}
		if u, err = scan(tx.QueryRowContext(ctx, setBanned, e.User.String(), banned, now.UnixMicro())); err != nil {
			return err
		}
		return insert(ctx, tx, e)
	})
	return u, err
}

// ChangePhone implements account.Store.
func (a *Accounts) ChangePhone(ctx context.Context, c account.Claim, e account.Event) (u account.User, err error) {
	err = a.tx(ctx, "change_phone", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		old, err := findCaller(ctx, tx, now, e)
		if err != nil || old.Phone.E164() == c.Phone.E164() {
			u = old
			return err
		}
		if err := release(ctx, tx, now, c, e.User); err != nil {
			return err
		}
		u, err = scan(tx.QueryRowContext(ctx, setPhone, e.User.String(), c.Phone.E164()))
		if errors.Is(err, sql.ErrNoRows) {
			return account.ErrTaken
		}
		if err != nil {
			return err
		}
		if _, err := exec(ctx, tx, endOtherSessions, e.User.String(), e.Session.String(), now.UnixMicro()); err != nil {
			return err
		}
		return insert(ctx, tx, e.Moved(old.Phone, c.Phone))
	})
	if err != nil {
		return account.User{}, err
	}
	return u, nil
}

// Delete implements account.Store.
func (a *Accounts) Delete(ctx context.Context, e account.Event) error {
	return a.tx(ctx, "delete", func(ctx context.Context, tx *sql.Tx, now time.Time) error {
		if _, err := findCaller(ctx, tx, now, e); err != nil {
			return err
		}
		if _, err := exec(ctx, tx, deleteUser, e.User.String()); err != nil {
			return err
		}
		return insert(ctx, tx, e)
	})
}

// findCaller returns the event's user. It returns sql.ErrNoRows if the event has a session that is not live.
func findCaller(ctx context.Context, tx *sql.Tx, now time.Time, e account.Event) (account.User, error) {
	if e.Session == uuid.Nil {
		return scan(tx.QueryRowContext(ctx, userByID, e.User.String()))
	}
	return scan(tx.QueryRowContext(ctx, userBySession, e.Session.String(), e.User.String(), now.UnixMicro()))
}

func scan(r row) (account.User, error) {
	var (
		u                     account.User
		e164                  sql.NullString
		createdAt             int64
		lastLoginAt, bannedAt sql.NullInt64
	)
	if err := r.Scan(&u.ID, &e164, &createdAt, &lastLoginAt, &bannedAt); err != nil {
		return account.User{}, err
	}
	u.Phone, u.CreatedAt = phone.Stored(e164.String), fromMicro(createdAt)
	if lastLoginAt.Valid {
		u.LastLoginAt = fromMicro(lastLoginAt.Int64)
	}
	if bannedAt.Valid {
		u.BannedAt = fromMicro(bannedAt.Int64)
	}
	return u, nil
}
