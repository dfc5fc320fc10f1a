-- One row, which every copy of the service writes again and again, to know whether the database takes writes.
create table health (
	id integer     primary key, -- 1
	at timestamptz not null     -- when a copy wrote it last
);
