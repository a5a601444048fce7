-- The checksum of a migration that was applied.
-- $1 int4: version
select checksum from public.schema_migrations where version = $1
