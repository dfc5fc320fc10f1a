-- A user whose number went to another one keeps the row and has no number.
alter table users alter column phone drop not null;

-- What has a default has it for the copies of the version before, which go on inserting while they are replaced.
alter table sessions
	add column family_hash  bytea       not null default '',    -- SHA-256 of what all refresh tokens of the session share
	add column spent_hash   bytea,                              -- refresh_hash before the last refresh
	add column seed         bytea,                              -- with the spent token it gives the one that is good now
	add column last_used_at timestamptz not null default now(), -- login or last refresh
	add column ends_at      timestamptz not null default now(); -- latest end, however often it is refreshed

-- expires_at is the end unless the session is refreshed, and the end of a session that was ended.
update sessions set
	last_used_at = created_at,
	ends_at = expires_at,
	expires_at = least(expires_at, ended_at);

create index sessions_expires_at on sessions (expires_at);
