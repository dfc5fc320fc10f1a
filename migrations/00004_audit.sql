-- The audit log. A row outlives its user and its session, and holds no phone in clear.
create table audit (
	id         uuid        primary key, -- version 7: ordered by time
	at         timestamptz not null,    -- the time in id
	action     text        not null,
	user_id    uuid,
	session_id uuid,
	actor      text        not null,
	ip         text        not null,
	user_agent text        not null,
	detail     text        not null     -- a JSON object
);

create index audit_user_id on audit (user_id, id);

-- Nearly all rows are signups and logins, which are found quickly without this index.
create index audit_action on audit (action, id) where action not in ('signup', 'login');
