-- Record a migration as applied.
-- $1 int4: version
-- $2 text: name
-- $3 text: SHA-256 of its text, hexadecimal
-- $4 int4: the oldest build that it still suits
INSERT INTO public.schema_migrations (version, name, checksum, compatible_from)
VALUES ($1, $2, $3, $4)
