-- Makes the changes of 00002 and 00003 for Postgres with new tables, because SQLite cannot alter a constraint.
create table new_users (
	id            uuid        primary key,
	phone         text        unique,
	created_at    timestamptz not null,
	last_login_at timestamptz,
	banned_at     timestamptz
);

create table new_sessions (
	id           uuid        primary key,
	user_id      uuid        not null references new_users (id) on delete cascade,
	challenge_id uuid        not null unique,
	family_hash  bytea       not null,
	refresh_hash bytea       not null,
	spent_hash   bytea,
	seed         bytea,
	user_agent   text        not null,
	ip           text        not null,
	created_at   timestamptz not null,
	last_used_at timestamptz not null,
	expires_at   timestamptz not null,
	ends_at      timestamptz not null,
	ended_at     timestamptz
);

insert into new_users (id, phone, created_at, last_login_at, banned_at)
select id, phone, created_at, last_login_at, banned_at from users;

insert into new_sessions (id, user_id, challenge_id, family_hash, refresh_hash, user_agent, ip,
	created_at, last_used_at, expires_at, ends_at, ended_at)
select id, user_id, challenge_id, x'', refresh_hash, user_agent, ip,
	created_at, created_at, min(expires_at, coalesce(ended_at, expires_at)), expires_at, ended_at
from sessions;

drop table sessions;
drop table users;
alter table new_users rename to users;
alter table new_sessions rename to sessions;

create index sessions_user_id on sessions (user_id);
