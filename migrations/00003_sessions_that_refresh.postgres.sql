-- A session goes on by being refreshed: expires_at is its end until it is, and ends_at the latest there can be.
--
-- What must be there has a default, for the rows of before and for those that copies of the version before
-- go on inserting while they are replaced. Their refresh tokens have no family and are never good.
alter table sessions
	add column family_hash  bytea       not null default '', -- SHA-256 of what all refresh tokens of the session share
	add column spent_hash   bytea,                           -- refresh_hash before the last refresh
	add column seed         bytea,                           -- with the spent token it gives the one that is good now
	add column last_used_at timestamptz not null default now(),
	add column ends_at      timestamptz not null default now();
