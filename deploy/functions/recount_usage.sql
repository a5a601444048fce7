-- Recounts the minutes from which a stream's retractions took something, and corrects their totals. Part of
-- fold_usage. Returns the totals of current periods that changed.
CREATE OR REPLACE FUNCTION recount_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SET jit = off SET enable_hashjoin = on SET enable_mergejoin = on SET enable_seqscan = on AS $$
#variable_conflict use_column
DECLARE
    v bigint := nextval('usage_version');
    tenants text[];
    metrics text[];
    starts timestamptz[];
    lowered boolean[];
    gone bigint[];
BEGIN
    WITH wanted AS (
        -- Retractions of a batch that waits to be folded wait with it.
        DELETE FROM usage_recounts r
         WHERE r.stream = p_stream AND NOT EXISTS (SELECT FROM usage_pending p WHERE p.batch = r.batch)
        RETURNING tenant, metric, minute_at
    ), family AS MATERIALIZED (
        SELECT DISTINCT w.tenant, d.metric, w.minute_at
          FROM wanted w JOIN metric_versions d ON coalesce(d.from_metric, d.metric) = w.metric
    ), asked AS (
        SELECT array_agg(tenant) AS tenants, array_agg(minute_at) AS minutes, min(minute_at) AS low,
               max(minute_at) + interval '1 minute' AS high
          FROM (SELECT DISTINCT tenant, minute_at FROM wanted) w
    ), counted AS MATERIALIZED (
        SELECT c.*
          FROM asked q
         CROSS JOIN LATERAL count_raw_events(q.tenants, q.low, q.high, q.minutes) c
          JOIN family f USING (tenant, metric, minute_at)
    ), before AS MATERIALIZED (
        SELECT a.* FROM family f JOIN usage_aggregates a USING (tenant, metric, minute_at)
    ), deleted AS (
        DELETE FROM usage_aggregates a
         USING before b
         WHERE (a.tenant, a.metric, a.minute_at, a.dimensions) = (b.tenant, b.metric, b.minute_at, b.dimensions)
           AND NOT EXISTS (SELECT FROM counted c WHERE (c.tenant, c.metric, c.minute_at, c.dimensions)
                                                     = (b.tenant, b.metric, b.minute_at, b.dimensions))
    ), written AS (
        INSERT INTO usage_aggregates (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min,
                                      quantity_max, quantity_last, last_ms, last_entry)
        SELECT tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min, quantity_max,
               last_value_quantity(last), last_value_ms(last), last_value_entry(last)
          FROM counted
         ORDER BY tenant COLLATE "C", metric COLLATE "C", minute_at
        ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
           SET events = excluded.events, quantity_sum = excluded.quantity_sum, quantity_min = excluded.quantity_min,
               quantity_max = excluded.quantity_max, quantity_last = excluded.quantity_last,
               last_ms = excluded.last_ms, last_entry = excluded.last_entry
    ), moved AS MATERIALIZED (
        SELECT tenant, metric, dimensions, minute_at, coalesce(c.events, 0) - coalesce(b.events, 0) AS events,
               coalesce(c.quantity_sum, 0) - coalesce(b.quantity_sum, 0) AS quantity,
               CASE WHEN c.quantity_max IS DISTINCT FROM b.quantity_max THEN b.quantity_max END AS fell_from
          FROM before b FULL JOIN counted c USING (tenant, metric, dimensions, minute_at)
    ), placed AS MATERIALIZED (
        SELECT d.*, t.period_start, m.aggregation, coalesce(d.fell_from >= t.quantity, false) AS lowered,
               coalesce(t.window_start <= d.minute_at AND d.minute_at < t.window_end, false) AS inside
          FROM moved d
          JOIN metrics m USING (metric)
         CROSS JOIN LATERAL (
               SELECT o.period_start, o.period_end, o.quantity, o.window_start, o.window_end FROM usage_totals o
                WHERE o.tenant = d.tenant AND o.metric = d.metric AND o.period_start <= d.minute_at
                ORDER BY o.period_start DESC LIMIT 1) t
         WHERE d.minute_at < t.period_end
    ), uniques AS (
        UPDATE usage_uniques u SET events = u.events + p.events
          FROM (SELECT tenant, metric, period_start, dimensions, sum(events) AS events FROM placed
                 WHERE aggregation = 'unique' GROUP BY tenant, metric, period_start, dimensions) p
         WHERE (u.tenant, u.metric, u.period_start, u.dimensions) = (p.tenant, p.metric, p.period_start, p.dimensions)
        RETURNING u.tenant, u.metric, u.period_start, (u.events = 0)::integer AS gone
    ), parts AS (
        SELECT tenant, metric, period_start, lowered, 0 AS gone,
               CASE aggregation WHEN 'sum' THEN quantity WHEN 'count' THEN events ELSE 0 END AS more, inside,
               inside AND aggregation = 'max' AS unknown
          FROM placed
         UNION ALL
        SELECT tenant, metric, period_start, false, gone, 0, false, false FROM uniques
    ), changed AS (
        UPDATE usage_totals t
           SET quantity = t.quantity + p.more, version = greatest(v, t.version + 1), updated_at = now(),
               window_quantity = t.window_quantity + p.more_inside,
               -- Worked out anew by fold_usage: a greatest value, and a window that goes on in the next period.
               window_end = CASE WHEN p.unknown OR p.inside AND t.window_end > now() AND t.period_end <= now()
                                 THEN '-infinity' ELSE t.window_end END
          FROM (SELECT tenant, metric, period_start, sum(more) AS more, bool_or(lowered) AS lowered, sum(gone) AS gone,
                       bool_or(inside) AS inside, bool_or(unknown) AS unknown,
                       coalesce(sum(more) FILTER (WHERE inside), 0) AS more_inside
                  FROM parts GROUP BY tenant, metric, period_start) p
         WHERE (t.tenant, t.metric, t.period_start) = (p.tenant, p.metric, p.period_start)
        RETURNING t.tenant, t.metric, t.period_start, p.lowered, p.gone
    )
    SELECT array_agg(c.tenant), array_agg(c.metric), array_agg(c.period_start), array_agg(c.lowered), array_agg(c.gone)
      INTO tenants, metrics, starts, lowered, gone
      FROM changed c;

    DELETE FROM usage_uniques u
     USING unnest(tenants, metrics, starts, gone) k (tenant, metric, period_start, gone)
     WHERE k.gone > 0 AND (u.tenant, u.metric, u.period_start) = (k.tenant, k.metric, k.period_start)
       AND u.events = 0;
    PERFORM correct_totals(tenants, metrics, starts, lowered, gone);
    SELECT tenants || coalesce(array_agg(c.tenant), '{}'), metrics || coalesce(array_agg(c.metric), '{}'),
           starts || coalesce(array_agg(c.period_start), '{}')
      INTO tenants, metrics, starts
      FROM carry_totals(tenants, metrics, starts, v) c;

    RETURN QUERY SELECT * FROM usage_now(tenants, metrics);
END $$;

COMMENT ON FUNCTION recount_usage IS
    'Recounts the minutes that a stream''s retractions took something from; part of fold_usage.';
REVOKE ALL ON FUNCTION recount_usage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recount_usage TO meterline_ctl;
