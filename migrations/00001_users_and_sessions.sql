-- A phone belongs to one user. It is in E.164 form, and compared byte by byte so that the index finds prefixes.
create table users (
	id            uuid        primary key, -- version 7: ordered by creation
	phone         text        collate "C" not null unique,
	created_at    timestamptz not null,
	last_login_at timestamptz,             -- null until the first login
	banned_at     timestamptz
);

-- A session is one login. Because challenge_id is unique, a code is good for one login, however many right answers
-- arrive at the same time.
create table sessions (
	id           uuid        primary key,
	user_id      uuid        not null references users (id) on delete cascade,
	challenge_id uuid        not null unique,
	refresh_hash bytea       not null,     -- SHA-256 of the refresh token's secret
	user_agent   text        not null,
	ip           text        not null,
	created_at   timestamptz not null,
	expires_at   timestamptz not null,
	ended_at     timestamptz
);

create index sessions_user_id on sessions (user_id);
