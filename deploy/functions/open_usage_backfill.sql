-- Lets a tenant's events of a time that is too long ago be counted, if they name this backfill in the field backfill: for seven
-- days. It is part of the catalog, which aggregators read anew before they judge what was added after this was committed.
CREATE OR REPLACE FUNCTION open_usage_backfill(p_backfill_id text, p_tenant text, p_from timestamptz, p_until timestamptz, p_reason text,
                                               p_by text)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO usage_backfills (backfill_id, tenant, from_at, until_at, reason, opened_by, ends_at)
    VALUES (p_backfill_id, p_tenant, p_from, p_until, p_reason, p_by, clock_timestamp() + interval '7 days')
    ON CONFLICT (backfill_id) DO UPDATE SET ends_at = excluded.ends_at;
    UPDATE ledger_state SET value = value + 1 WHERE name = 'catalog_version';
$$;

COMMENT ON FUNCTION open_usage_backfill IS 'Lets a tenant''s events of a time that is too long ago be counted, for seven days.';
REVOKE ALL ON FUNCTION open_usage_backfill FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_usage_backfill TO meterline_api, meterline_ctl;
