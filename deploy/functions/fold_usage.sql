-- Adds the pending minute sums of a stream to minute rows and period totals, in the transaction that wrote the sums or
-- in a later one. Returns the totals of current periods that changed.
--
-- One fold of a stream at a time, so that what a paused process has begun is seen whole or not at all. Billing periods
-- do not move meanwhile. The settings keep the plan the same however large the tables are: keys are looked up one by
-- one, and what is in memory is hashed.
CREATE OR REPLACE FUNCTION fold_usage(p_stream text)
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET work_mem = '128MB' SET jit = off
SET enable_nestloop = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v bigint;
    batches bigint[];
    carried text[];
    k_tenants text[];
    k_metrics text[];
    k_since timestamptz[];
BEGIN
    IF NOT EXISTS (SELECT FROM usage_pending WHERE stream = p_stream)
       AND NOT EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('meterline fold'), hashtext(p_stream));
    PERFORM count_pending(p_stream);
    PERFORM pg_advisory_xact_lock_shared(hashtext('meterline periods'));
    v := nextval('usage_version');
    -- A batch that came after count_pending waits for the next fold.
    batches := ARRAY(SELECT batch FROM usage_pending WHERE stream = p_stream AND NOT from_raw);
    carried := ARRAY(SELECT metric FROM metrics WHERE carry);
    IF carried <> '{}' THEN
        SELECT array_agg(k.tenant), array_agg(k.metric), array_agg(k.since) INTO k_tenants, k_metrics, k_since
          FROM (SELECT u.tenant, u.metric, min(u.minute_at) AS since
                  FROM usage_pending p
                 CROSS JOIN LATERAL unnest(p.tenants, p.metrics, p.minutes) AS u (tenant, metric, minute_at)
                 WHERE p.batch = ANY (batches) AND p.metrics && carried AND u.metric = ANY (carried)
                 GROUP BY u.tenant, u.metric) k;
    END IF;
    RETURN QUERY
    WITH taken AS (
        DELETE FROM usage_pending WHERE batch = ANY (batches) RETURNING *
    ), sums AS (
        -- The aggregator and jsonb write the text of a key differently.
        SELECT tenant, metric, minute_at, CASE dimensions WHEN '{}' THEN '{}' ELSE dimensions::jsonb::text END AS dimensions,
               sum(events)::bigint AS events, sum(quantity) AS quantity,
               min(least) AS least, max(greatest) AS greatest, max(last) AS last
          FROM (SELECT unnest(tenants) AS tenant, unnest(metrics) AS metric, unnest(minutes) AS minute_at,
                       unnest(dimensions) AS dimensions, unnest(events) AS events, unnest(sums) AS quantity,
                       unnest(mins) AS least, unnest(maxs) AS greatest, unnest(lasts) AS last
                  FROM taken) p
         GROUP BY 1, 2, 3, 4
    ), minutes AS MATERIALIZED (
        -- In the order of the key, so that neighbouring rows are written together.
        SELECT s.tenant, s.metric, s.minute_at, s.dimensions::jsonb AS dimensions, s.events, s.quantity, s.least,
               s.greatest, s.last, m.aggregation
          FROM sums s JOIN metrics m USING (metric)
         ORDER BY tenant, metric, minute_at
    ), written AS (
        INSERT INTO usage_aggregates AS a (tenant, metric, dimensions, minute_at, events, quantity_sum, quantity_min,
                                           quantity_max, quantity_last, last_ms, last_entry)
        SELECT tenant, metric, dimensions, minute_at, events, quantity, least, greatest,
               last_value_quantity(last), last_value_ms(last), last_value_entry(last)
          FROM minutes
        ON CONFLICT (tenant, metric, minute_at, dimensions) DO UPDATE
           SET events = a.events + excluded.events,
               quantity_sum = a.quantity_sum + excluded.quantity_sum,
               quantity_min = least(a.quantity_min, excluded.quantity_min),
               quantity_max = greatest(a.quantity_max, excluded.quantity_max),
               quantity_last = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                                    THEN excluded.quantity_last ELSE a.quantity_last END,
               last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (a.last_ms, a.last_entry)
                                 THEN excluded.last_entry ELSE a.last_entry END,
               last_ms = greatest(a.last_ms, excluded.last_ms)
    ), spans AS MATERIALIZED (
        SELECT tenant, metric, aggregation, min(minute_at) AS low, max(minute_at) AS high,
               sum(CASE aggregation WHEN 'sum' THEN quantity WHEN 'count' THEN events END) AS more,
               max(greatest) AS greatest, max(last) AS last
          FROM minutes GROUP BY tenant, metric, aggregation
    ), located AS MATERIALIZED (
        SELECT k.*, high < upper(k.period) AND aggregation <> 'unique' AS whole
          FROM (SELECT s.*,
                       -- A total says its period. Only for the first usage of a period it is computed.
                       CASE WHEN s.low < t.period_end THEN tstzrange(t.period_start, t.period_end)
                            WHEN EXISTS (SELECT FROM subscriptions o WHERE o.tenant = s.tenant)
                              OR EXISTS (SELECT FROM billing_periods o WHERE o.tenant = s.tenant)
                            THEN usage_period(s.tenant, s.low)
                            ELSE usage_month(s.low) END AS period
                  FROM spans s
                  LEFT JOIN LATERAL (
                       SELECT o.period_start, o.period_end FROM usage_totals o
                        WHERE o.tenant = s.tenant AND o.metric = s.metric AND o.period_start <= s.low
                        ORDER BY o.period_start DESC LIMIT 1) t ON true
                OFFSET 0) k
    ), parts AS (
        -- Usually all minutes of a metric are in one period. If not, they are taken one by one.
        SELECT tenant, metric, aggregation, period, NULL::jsonb AS dimensions, NULL::bigint AS events, more, greatest, last
          FROM located WHERE whole
         UNION ALL
        SELECT m.tenant, m.metric, m.aggregation,
               CASE WHEN m.minute_at <@ l.period THEN l.period ELSE usage_period(m.tenant, m.minute_at) END,
               m.dimensions, m.events, CASE m.aggregation WHEN 'sum' THEN m.quantity WHEN 'count' THEN m.events END,
               m.greatest, m.last
          FROM minutes m JOIN located l ON l.tenant = m.tenant AND l.metric = m.metric AND NOT l.whole
    ), kept AS MATERIALIZED (
        SELECT * FROM parts
    ), uniques AS (
        INSERT INTO usage_uniques AS u (tenant, metric, period_start, dimensions, events)
        SELECT tenant, metric, lower(period), dimensions, sum(events)
          FROM kept WHERE aggregation = 'unique'
         GROUP BY tenant, metric, lower(period), dimensions
        ON CONFLICT (tenant, metric, period_start, dimensions) DO UPDATE SET events = u.events + excluded.events
        RETURNING tenant, metric, period_start, (xmax = 0)::integer AS fresh
    ), totals AS (
        SELECT tenant, metric, aggregation, lower(period) AS period_start, max(upper(period)) AS period_end,
               sum(more) AS more, max(greatest) AS greatest, max(last) AS last
          FROM (SELECT tenant, metric, aggregation, period, more, greatest, last FROM kept
                 UNION ALL
                SELECT tenant, metric, 'unique', tstzrange(period_start, NULL), fresh, NULL, NULL FROM uniques) x
         GROUP BY tenant, metric, aggregation, lower(period)
         ORDER BY tenant, metric
    ), added AS (
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
        SELECT tenant, metric, period_start, period_end,
               CASE aggregation WHEN 'max' THEN greatest WHEN 'last' THEN last_value_quantity(last) ELSE more END,
               v, last_value_ms(last), last_value_entry(last)
          FROM totals
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = CASE (SELECT m.aggregation FROM metrics m WHERE m.metric = excluded.metric)
                   WHEN 'max' THEN CASE WHEN t.last_entry = '' THEN excluded.quantity -- all was taken back
                                        ELSE greatest(t.quantity, excluded.quantity) END
                   WHEN 'last' THEN CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                         THEN excluded.quantity ELSE t.quantity END
                   ELSE t.quantity + excluded.quantity END,
               -- The number was taken before the wait for this row, so the row may have a greater one, which the
               -- sink may have claimed.
               version = greatest(excluded.version, t.version + 1),
               last_entry = CASE WHEN (excluded.last_ms, excluded.last_entry) >= (t.last_ms, t.last_entry)
                                 THEN excluded.last_entry ELSE t.last_entry END,
               last_ms = greatest(t.last_ms, excluded.last_ms),
               updated_at = now()
        RETURNING t.tenant, t.metric, t.quantity, t.version, t.period_start, t.period_end
    )
    SELECT r.tenant, r.metric, r.quantity, r.version, r.period_end
      FROM added r
     WHERE r.period_start <= now() AND now() < r.period_end;

    IF k_tenants IS NOT NULL THEN
        RETURN QUERY SELECT * FROM carry_added(k_tenants, k_metrics, k_since, v);
    END IF;
    IF EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN QUERY SELECT * FROM recount_usage(p_stream);
    END IF;
END $$;

COMMENT ON FUNCTION fold_usage IS
    'Adds a stream''s pending minute sums to minute rows and period totals, and returns the current totals that changed.';
REVOKE ALL ON FUNCTION fold_usage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_usage TO meterline_aggregator;
