-- Record by what a function is defined.
-- $1 text: name
-- $2 text: SHA-256 of its text, hexadecimal
insert into public.schema_functions (name, checksum) values ($1, $2)
on conflict (name) do update set checksum = excluded.checksum, applied_at = now()
