-- Has this database been migrated before?
select to_regclass('public.schema_migrations') is not null as has_migrations,
       to_regclass('public.schema_functions') is not null as has_functions
