-- Minute rows, counted from the raw events by the definition of the metric that was in force when each was counted.
-- Events that were retracted and batches that wait to be folded are left out.
--
-- p_minutes NULL: all usage from p_low until before p_high, of p_tenants (NULL: of all). Otherwise p_tenants and
-- p_minutes are parallel arrays: these minutes of these tenants, and p_low and p_high enclose them. With p_batch: that
-- batch alone, whether it waits or not, and including what was retracted, because whoever retracts it recounts its
-- minutes.
CREATE OR REPLACE FUNCTION count_raw_events(p_tenants text[], p_low timestamptz, p_high timestamptz,
                                            p_minutes timestamptz[] DEFAULT NULL, p_batch bigint DEFAULT NULL)
RETURNS TABLE (tenant text, metric text, dimensions jsonb, minute_at timestamptz, events bigint,
               quantity_sum numeric, quantity_min numeric, quantity_max numeric, last text)
LANGUAGE sql STABLE SET work_mem = '64MB' SET jit = off
SET enable_hashjoin = on SET enable_mergejoin = on SET enable_seqscan = on AS $$
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT tenant, minute_at, tenant_slice(tenant) AS slice,
               (extract(epoch FROM minute_at) * 1000)::bigint AS minute_ms
          FROM unnest(p_tenants, p_minutes) AS w (tenant, minute_at)
    ), spans AS (
        -- Minutes of one hour are searched together; batches without any of them are then left out.
        SELECT slice, min(minute_at) AS low, max(minute_at) + interval '1 minute' AS high
          FROM wanted WHERE p_minutes IS NOT NULL GROUP BY slice, date_trunc('hour', minute_at)
         UNION ALL
        SELECT DISTINCT slice, p_low, p_high FROM wanted WHERE p_minutes IS NULL AND p_batch IS NULL
         UNION ALL
        SELECT slice, p_low, p_high FROM generate_series(0, 15) AS slice WHERE p_tenants IS NULL AND p_batch IS NULL
    ), places AS MATERIALIZED (
        -- An event's time is at most minutes after the day of its commit.
        SELECT DISTINCT b.day, b.batch, b.slice
          FROM spans s
          JOIN usage_batches b ON b.slice = s.slice AND b.occurred_min < s.high AND b.occurred_max >= s.low
                              AND b.day >= (s.low AT TIME ZONE 'UTC')::date - 1
         WHERE (p_minutes IS NULL
                OR EXISTS (SELECT FROM wanted w WHERE w.slice = b.slice AND b.occurred_max >= w.minute_at
                                                  AND b.occurred_min < w.minute_at + interval '1 minute'))
           AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = b.batch)
         UNION ALL
        SELECT b.day, b.batch, b.slice FROM usage_batches b
         WHERE b.batch = p_batch AND (p_tenants IS NULL OR b.slice IN (SELECT slice FROM wanted))
    ), found AS (
        -- Which rows of a slice are needed: most are not, and only two columns are unpacked to find out.
        SELECT e.day, e.batch, e.slice, array_agg(e.row) AS rows
          FROM (SELECT p.*, unnest(b.tenants) AS tenant, unnest(b.occurred_ms) AS occurred,
                       generate_series(1, b.events) AS row
                  FROM places p JOIN usage_batches b USING (day, batch, slice)
                 WHERE p_minutes IS NOT NULL) e
         WHERE (e.tenant, e.occurred - ((e.occurred % 60000) + 60000) % 60000)
               IN (SELECT w.tenant, w.minute_ms FROM wanted w)
         GROUP BY e.day, e.batch, e.slice
    ), raw AS MATERIALIZED (
        -- An array that was appended to is unpacked, which makes each [row] one step. OFFSET 0 keeps it so.
        SELECT s.catalog_version, s.stream, s.tenants[r.row] AS tenant, s.metrics[r.row] AS metric,
               coalesce(s.ids_uuid[r.row]::text, s.ids_text[r.row]) AS id, s.entry_ms[r.row] AS ms,
               s.entry_seq[r.row] AS seq, s.quantities[r.row] AS quantity, s.occurred_ms[r.row] AS occurred,
               s.fields[r.row] AS fields, coalesce(s.retracts[r.row], 0) AS retracts
          FROM (SELECT b.catalog_version, b.stream, f.rows, array_append(b.tenants, NULL) AS tenants,
                       array_append(b.metrics, NULL) AS metrics, array_append(b.ids_uuid, NULL) AS ids_uuid,
                       array_append(b.ids_text, NULL) AS ids_text, array_append(b.entry_ms, NULL) AS entry_ms,
                       array_append(b.entry_seq, NULL) AS entry_seq,
                       array_append(b.quantities, NULL) AS quantities,
                       array_append(b.occurred_ms, NULL) AS occurred_ms,
                       array_append(b.fields, NULL) AS fields, array_append(b.retracts, NULL) AS retracts
                  FROM found f JOIN usage_batches b USING (day, batch, slice)
                OFFSET 0) s
         CROSS JOIN LATERAL unnest(s.rows) AS r (row)
         UNION ALL
        SELECT e.catalog_version, e.stream, e.tenant, e.metric, coalesce(e.id_uuid::text, e.id_text), e.ms, e.seq,
               e.quantity, e.occurred, e.fields, coalesce(e.retracts, 0)
          FROM (SELECT b.catalog_version, b.stream, unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric,
                       unnest(b.ids_uuid) AS id_uuid, unnest(b.ids_text) AS id_text, unnest(b.entry_ms) AS ms,
                       unnest(b.entry_seq) AS seq, unnest(b.quantities) AS quantity,
                       unnest(b.occurred_ms) AS occurred, unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
                  FROM places p JOIN usage_batches b USING (day, batch, slice)
                 WHERE p_minutes IS NULL) e
         WHERE e.occurred >= extract(epoch FROM p_low) * 1000 AND e.occurred < extract(epoch FROM p_high) * 1000
           AND (p_tenants IS NULL OR e.tenant IN (SELECT w.tenant FROM wanted w))
    ), retractions AS MATERIALIZED (
        SELECT * FROM raw WHERE retracts > 0 AND p_batch IS NULL
    ), kept AS (
        -- An id that had left the window may have counted again, with another time. The time says which one was
        -- retracted.
        SELECT r.*, coalesce(r.fields, '{}')::jsonb AS labels,
               r.occurred - ((r.occurred % 60000) + 60000) % 60000 AS minute_ms
          FROM raw r
         WHERE r.retracts = 0
           AND NOT EXISTS (SELECT FROM retractions x
                            WHERE x.retracts = CASE WHEN r.id IS NULL THEN 2 ELSE 1 END
                              AND x.tenant = r.tenant AND x.occurred = r.occurred
                              AND x.id = coalesce(r.id, r.stream || '/' || entry_half(r.ms) || '-' || entry_half(r.seq))
                              AND x.metric = r.metric AND x.quantity = -r.quantity)
    )
    SELECT k.tenant, v.metric, d.dimensions, to_timestamp(k.minute_ms / 1000), count(*), sum(k.quantity),
           min(k.quantity), max(k.quantity), max(last_value(k.occurred, k.ms, k.seq, k.quantity) COLLATE "C")
      FROM kept k
      JOIN metric_versions v ON coalesce(v.from_metric, v.metric) = k.metric AND v.from_version <= k.catalog_version
                            AND (v.until_version IS NULL OR k.catalog_version < v.until_version)
                            AND k.labels @> v.where_dimensions
     CROSS JOIN LATERAL (
           SELECT CASE WHEN v.dimensions = '{}' THEN '{}' ELSE
                  (SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') FROM jsonb_each(k.labels) l
                    WHERE l.key = ANY (v.dimensions)) END AS dimensions) d
     GROUP BY k.tenant, v.metric, d.dimensions, k.minute_ms
$$;

COMMENT ON FUNCTION count_raw_events IS
    'Minute rows counted from the raw events, by the definitions that were in force when each was counted.';
REVOKE ALL ON FUNCTION count_raw_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_raw_events TO meterline_ctl;
