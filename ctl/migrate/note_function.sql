-- Record what a function was defined by.
-- $1 text: name
-- $2 text: SHA-256 of its text, hexadecimal
INSERT INTO public.schema_functions (name, checksum) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = now()
