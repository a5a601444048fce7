-- The functions that were defined, and whether they are still there: a migration may have dropped one, to have it
-- defined with another signature.
select f.name, f.checksum,
       exists (select from pg_catalog.pg_proc p
                where p.proname = f.name and p.pronamespace = 'public'::regnamespace) as is_there
  from public.schema_functions f order by f.name
