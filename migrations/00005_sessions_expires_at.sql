-- Finds the sessions that have ended. On a large table, create it beforehand with: create index concurrently.
create index if not exists sessions_expires_at on sessions (expires_at);
