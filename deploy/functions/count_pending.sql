-- Some pending batches have no sums. This counts them from the raw events and stores the sums in their rows, at most
-- p_most batches. Returns how many are left. A caller that finds many calls it before fold_usage, so that each
-- transaction stays short.
CREATE OR REPLACE FUNCTION count_pending(p_stream text, p_most integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off SET enable_nestloop = on AS $$
BEGIN
    IF EXISTS (SELECT FROM usage_pending WHERE stream = p_stream AND from_raw) THEN
        PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
        -- A row that was covered meanwhile is left alone.
        UPDATE usage_pending p
           SET from_raw = false, tenants = c.tenants, metrics = c.metrics, dimensions = c.dimensions,
               minutes = c.minutes, events = c.events, sums = c.sums, mins = c.mins, maxs = c.maxs, lasts = c.lasts
          FROM (SELECT batch FROM usage_pending WHERE stream = p_stream AND from_raw ORDER BY batch LIMIT p_most) w
         CROSS JOIN LATERAL (
               SELECT coalesce(array_agg(tenant), '{}') AS tenants, coalesce(array_agg(metric), '{}') AS metrics,
                      coalesce(array_agg(dimensions::text), '{}') AS dimensions,
                      coalesce(array_agg(minute_at), '{}') AS minutes, coalesce(array_agg(events), '{}') AS events,
                      coalesce(array_agg(quantity_sum), '{}') AS sums, coalesce(array_agg(quantity_min), '{}') AS mins,
                      coalesce(array_agg(quantity_max), '{}') AS maxs, coalesce(array_agg(last), '{}') AS lasts
                 FROM count_raw_events(NULL, '-infinity', 'infinity', NULL, w.batch)) c
         WHERE p.batch = w.batch AND p.from_raw;
    END IF;
    RETURN (SELECT count(*) FROM usage_pending WHERE stream = p_stream AND from_raw);
END $$;

COMMENT ON FUNCTION count_pending IS
    'Counts pending batches without sums from their raw events, and returns how many are left.';
REVOKE ALL ON FUNCTION count_pending FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_pending TO meterline_aggregator;
