-- The functions that were defined, and whether they still exist: a migration may have dropped one, so that it is
-- defined with another signature.
SELECT f.name, f.checksum,
       EXISTS (SELECT FROM pg_catalog.pg_proc p
                WHERE p.proname = f.name AND p.pronamespace = 'public'::regnamespace) AS is_there
  FROM public.schema_functions f ORDER BY f.name
