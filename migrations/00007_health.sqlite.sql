-- One row, which the service writes again and again, to know whether the file takes writes.
create table health (
	id      integer primary key, -- 1
	at      integer not null,    -- when the service wrote it last
	padding blob    not null     -- makes the write as large as that of a login
);
