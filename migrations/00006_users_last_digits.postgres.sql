-- Finds the phones that end with the same four digits, the newest user first. On a large table, create it beforehand
-- with: create index concurrently.
create index if not exists users_last_digits on users ((right(phone, 4)), id);
