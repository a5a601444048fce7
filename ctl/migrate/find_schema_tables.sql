-- Has this database been migrated before?
SELECT to_regclass('public.schema_migrations') IS NOT NULL AS has_migrations,
       to_regclass('public.schema_functions') IS NOT NULL AS has_functions
