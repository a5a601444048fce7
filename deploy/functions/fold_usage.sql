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
    windows boolean;
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
    windows := has_windows();
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
    ), found AS (
        SELECT s.*, t.window_start, t.window_end,
               -- A total says its period. Only for the first usage of a period it is computed.
               CASE WHEN s.low < t.period_end THEN tstzrange(t.period_start, t.period_end)
                    WHEN EXISTS (SELECT FROM subscriptions o WHERE o.tenant = s.tenant)
                      OR EXISTS (SELECT FROM billing_periods o WHERE o.tenant = s.tenant)
                    THEN usage_period(s.tenant, s.low)
                    ELSE usage_month(s.low) END AS period,
               -- It says the window that the limit counts over, too.
               CASE WHEN windows AND (s.low < t.period_end) IS NOT TRUE
                    THEN coalesce((SELECT q.limit_window FROM usage_quotas q
                                    WHERE q.tenant = s.tenant AND q.metric = s.metric),
                                  (SELECT l.limit_window FROM plan_limits l
                                    WHERE l.plan = 'free' AND l.metric = s.metric
                                      AND has_free_limits(s.tenant))) END AS kind
          FROM spans s
          LEFT JOIN LATERAL (
               SELECT o.period_start, o.period_end, o.window_start, o.window_end FROM usage_totals o
                WHERE o.tenant = s.tenant AND o.metric = s.metric AND o.period_start <= s.low
                ORDER BY o.period_start DESC LIMIT 1) t ON s.low < t.period_end
        OFFSET 0
    ), windowed AS (
        SELECT f.tenant, f.metric, f.aggregation, f.low, f.high, f.more, f.greatest, f.last, f.period,
               coalesce(f.window_start, lower(w.span)) AS window_start, coalesce(f.window_end, upper(w.span)) AS window_end
          FROM found f
         CROSS JOIN LATERAL (
               -- Of a period that is not the current one, it is worked out below.
               SELECT CASE WHEN f.kind IN ('month', 'day') AND f.aggregation IN ('sum', 'count', 'max') THEN
                           CASE WHEN NOT f.period @> now() THEN tstzrange(NULL, '-infinity')
                                WHEN f.kind = 'day' THEN usage_day(now())
                                WHEN f.period = usage_month(now()) THEN f.period
                                ELSE limit_window(f.tenant, 'month', now()) END END AS span) w
    ), located AS MATERIALIZED (
        SELECT w.*, w.high < upper(w.period) AND w.aggregation <> 'unique'
                    AND coalesce(w.window_start <= w.low AND w.high < w.window_end
                                 OR w.high < w.window_start OR w.low >= w.window_end, true) AS whole
          FROM windowed w
    ), placed AS (
        SELECT m.tenant, m.metric, m.aggregation, m.minute_at, m.dimensions, m.events, m.quantity, m.greatest, m.last,
               l.window_start, l.window_end, l.period AS low_period,
               CASE WHEN m.minute_at <@ l.period THEN l.period ELSE usage_period(m.tenant, m.minute_at) END AS period
          FROM minutes m JOIN located l ON l.tenant = m.tenant AND l.metric = m.metric AND NOT l.whole
        OFFSET 0
    ), parts AS (
        -- Usually all minutes of a metric are in one period, and in its window or out of it. If not, they are taken one
        -- by one.
        SELECT tenant, metric, aggregation, period, NULL::jsonb AS dimensions, NULL::bigint AS events, more, greatest, last,
               window_start, window_end,
               CASE WHEN window_start <= low AND high < window_end
                    THEN CASE aggregation WHEN 'max' THEN greatest ELSE more END END AS inside
          FROM located WHERE whole
         UNION ALL
        SELECT p.tenant, p.metric, p.aggregation, p.period, p.dimensions, p.events, p.more, p.greatest, p.last,
               p.window_start, p.window_end,
               CASE WHEN p.window_start <= p.minute_at AND p.minute_at < p.window_end
                    THEN CASE p.aggregation WHEN 'max' THEN p.greatest ELSE p.more END END
          FROM (SELECT p.tenant, p.metric, p.aggregation, p.period, p.minute_at, p.dimensions, p.events, p.greatest, p.last,
                       CASE p.aggregation WHEN 'sum' THEN p.quantity WHEN 'count' THEN p.events END AS more,
                       CASE WHEN p.period = p.low_period THEN p.window_start ELSE t.window_start END AS window_start,
                       -- A total that is new has its window worked out below.
                       CASE WHEN p.period = p.low_period THEN p.window_end
                            WHEN t.is_there IS NULL AND windows AND window_kind(p.tenant, p.metric) <> 'period'
                            THEN '-infinity'
                            ELSE t.window_end END AS window_end
                  FROM placed p
                  LEFT JOIN LATERAL (
                       SELECT true AS is_there, o.window_start, o.window_end FROM usage_totals o
                        WHERE p.period <> p.low_period AND o.tenant = p.tenant AND o.metric = p.metric
                          AND o.period_start = lower(p.period)) t ON true) p
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
               sum(more) AS more, max(greatest) AS greatest, max(last) AS last,
               max(window_start) AS window_start, max(window_end) AS window_end,
               CASE WHEN max(window_end) > '-infinity'
                    THEN CASE aggregation WHEN 'max' THEN max(inside) ELSE coalesce(sum(inside), 0) END END AS inside
          FROM (SELECT tenant, metric, aggregation, period, more, greatest, last, window_start, window_end, inside FROM kept
                 UNION ALL
                SELECT tenant, metric, 'unique', tstzrange(period_start, NULL), fresh, NULL, NULL, NULL, NULL, NULL
                  FROM uniques) x
         GROUP BY tenant, metric, aggregation, lower(period)
         ORDER BY tenant, metric
    ), added AS (
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry,
                                       window_start, window_end, window_quantity)
        SELECT tenant, metric, period_start, period_end,
               CASE aggregation WHEN 'max' THEN greatest WHEN 'last' THEN last_value_quantity(last) ELSE more END,
               v, last_value_ms(last), last_value_entry(last), window_start, window_end, inside
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
               window_quantity = CASE WHEN excluded.window_quantity IS NULL THEN t.window_quantity
                   WHEN (SELECT m.aggregation FROM metrics m WHERE m.metric = excluded.metric) = 'max'
                   THEN greatest(t.window_quantity, excluded.window_quantity)
                   ELSE t.window_quantity + excluded.window_quantity END,
               -- Worked out anew, if the window is another one than the usage was held against, or has ended, or goes
               -- on in the next period.
               window_end = CASE
                   WHEN t.window_end IS NULL AND excluded.window_end IS NULL THEN NULL
                   WHEN (t.window_start, t.window_end) IS DISTINCT FROM (excluded.window_start, excluded.window_end)
                   THEN '-infinity'
                   WHEN t.window_end > now() AND now() < t.period_end OR t.period_end < now() - interval '31 days'
                   THEN t.window_end
                   WHEN greatest(t.period_end, t.window_end) > now() OR t.period_end > t.window_end THEN '-infinity'
                   ELSE t.window_end END,
               updated_at = now()
        RETURNING t.tenant, t.metric, t.quantity, t.version, t.period_start, t.period_end, t.window_start, t.window_end,
                  t.window_quantity
    )
    SELECT r.tenant, r.metric,
           CASE WHEN r.window_end IS NULL THEN r.quantity
                WHEN r.window_start >= r.period_start AND r.window_end <= r.period_end THEN coalesce(r.window_quantity, 0)
                ELSE (SELECT CASE WHEN m.aggregation = 'max' THEN coalesce(greatest(r.window_quantity, o.greatest), 0)
                                  ELSE r.window_quantity + coalesce(o.sum, 0) END
                        FROM metrics m
                       CROSS JOIN (SELECT sum(p.window_quantity) AS sum, max(p.window_quantity) AS greatest
                                     FROM usage_totals p
                                    WHERE p.tenant = r.tenant AND p.metric = r.metric AND p.period_start <> r.period_start
                                      AND (p.window_start, p.window_end) = (r.window_start, r.window_end)) o
                       WHERE m.metric = r.metric) END,
           r.version, coalesce(r.window_end, r.period_end)
      FROM added r
     WHERE r.period_start <= now() AND now() < r.period_end AND r.window_end IS DISTINCT FROM '-infinity';

    IF k_tenants IS NOT NULL THEN
        RETURN QUERY SELECT * FROM carry_added(k_tenants, k_metrics, k_since, v);
    END IF;
    IF EXISTS (SELECT FROM usage_recounts WHERE stream = p_stream) THEN
        RETURN QUERY SELECT * FROM recount_usage(p_stream);
    END IF;
    SELECT array_agg(t.tenant), array_agg(t.metric) INTO k_tenants, k_metrics
      FROM (SELECT o.tenant, o.metric FROM usage_totals o
             WHERE o.window_end = '-infinity' AND o.period_start <= now() FOR UPDATE SKIP LOCKED) t;
    IF k_tenants IS NOT NULL THEN
        PERFORM open_usage_windows(k_tenants, k_metrics);
        RETURN QUERY SELECT * FROM usage_now(k_tenants, k_metrics);
    END IF;
END $$;

COMMENT ON FUNCTION fold_usage IS
    'Adds a stream''s pending minute sums to minute rows and period totals, and returns the current totals that changed.';
REVOKE ALL ON FUNCTION fold_usage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_usage TO meterline_aggregator;
