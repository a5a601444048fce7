-- The functions that were defined, and whether they are still there: a migration may have dropped one, to have it
-- defined with another signature.
SELECT f.name, f.checksum,
       EXISTS (SELECT FROM pg_catalog.pg_proc p
                WHERE p.proname = f.name AND p.pronamespace = 'public'::regnamespace) AS is_there
  FROM public.schema_functions f ORDER BY f.name
