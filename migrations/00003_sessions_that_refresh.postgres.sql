-- A refresh prolongs a session: expires_at is its end without another refresh, and ends_at its end in any case.
--
-- Columns that must not be null have a default, for the existing rows and for those that copies of the version before
-- insert while they are being replaced. The refresh tokens of such rows have no family and are never valid.
alter table sessions
	add column family_hash  bytea       not null default '', -- SHA-256 of the part that the session's tokens share
	add column spent_hash   bytea,                           -- refresh_hash before the last refresh
	add column seed         bytea,                           -- derives the current token from the spent one
	add column last_used_at timestamptz not null default now(),
	add column ends_at      timestamptz not null default now();
