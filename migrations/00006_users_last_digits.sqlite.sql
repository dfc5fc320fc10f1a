-- Finds the phones that end with the same four digits, the newest user first.
create index if not exists users_last_digits on users (substr(phone, -4), id);
