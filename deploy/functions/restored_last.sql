-- When PostgreSQL was last found to have lost commits, or may have lost some. NULL: never.
CREATE OR REPLACE FUNCTION restored_last() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT max(restored_at) FROM ledger_restores
$$;

COMMENT ON FUNCTION restored_last IS
    'When PostgreSQL was last found to have lost commits, or may have; NULL: never.';
REVOKE ALL ON FUNCTION restored_last FROM PUBLIC;
GRANT EXECUTE ON FUNCTION restored_last TO meterline_sink, meterline_api, meterline_ctl;
