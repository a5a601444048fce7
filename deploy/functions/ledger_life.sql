-- Identifies the current life of this database. A start of the server, another server, a database restored from a dump
-- and one that went back in time each begin another life.
CREATE OR REPLACE FUNCTION ledger_life() RETURNS text STABLE LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT extract(epoch FROM pg_postmaster_start_time())::text || '/' || d.oid || '/' || c.oid || '/' || c.relfilenode
      FROM pg_database d, pg_class c
     WHERE d.datname = current_database() AND c.oid = 'public.ledger_identity'::regclass
$$;

COMMENT ON FUNCTION ledger_life IS
    'Identifies the current life of this database: each server start, restore or dump begins another.';
