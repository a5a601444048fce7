-- Creates the partitions for today and the days ahead (UTC). May be called at any time and by several at once.
CREATE OR REPLACE FUNCTION ensure_usage_partitions(days_ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    d date;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('meterline partitions'));
    FOR i IN -1 .. days_ahead LOOP
        d := (now() AT TIME ZONE 'UTC')::date + i;
        name := 'usage_batches_' || to_char(d, 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF usage_batches FOR VALUES FROM (%L) TO (%L)',
                           name, d, d + 1);
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION ensure_usage_partitions IS 'Creates the partitions of usage_batches for today and the days ahead.';
REVOKE ALL ON FUNCTION ensure_usage_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_usage_partitions TO meterline_aggregator, meterline_ctl;

-- A new ledger has them from the start.
SELECT ensure_usage_partitions(7);
