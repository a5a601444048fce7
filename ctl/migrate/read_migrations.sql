-- The migrations that were applied.
SELECT version, checksum FROM public.schema_migrations ORDER BY version
