-- A phone is one user. Numbers are E.164 and compared byte by byte, so that the index serves their beginnings.
create table users (
	id            uuid        primary key, -- version 7: ordered by creation
	phone         text        collate "C" not null unique,
	created_at    timestamptz not null,
	last_login_at timestamptz,             -- null until tokens were given
	banned_at     timestamptz
);

-- A session is one login. A challenge makes one session at most, and its uniqueness is what makes a code
-- good for one login, however many right answers arrive at once.
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
