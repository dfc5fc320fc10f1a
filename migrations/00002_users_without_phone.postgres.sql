-- A user whose number went to another one keeps the row and has no number.
alter table users alter column phone drop not null;
