-- Which life of the server this is: another one after each start, on another server, and of a database that was made
-- anew from a dump. A database that went back in time has another life.
CREATE OR REPLACE FUNCTION ledger_life() RETURNS text STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT extract(epoch FROM pg_postmaster_start_time())::text || '/' || d.oid || '/' || c.oid || '/' || c.relfilenode
      FROM pg_database d, pg_class c
     WHERE d.datname = current_database() AND c.oid = 'public.ledger_identity'::regclass
$$;

COMMENT ON FUNCTION ledger_life IS
    'Which life of the database this is: another after each server start, restore or dump.';
