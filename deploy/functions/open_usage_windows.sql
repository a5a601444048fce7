-- Makes the windows that limits count over those of now, in the totals of these tenants (p_metrics: only of the metric
-- beside each): when a window has ended, when a limit counts over another one, and where window_end is -infinity. A
-- window that reaches over several periods has a part in the total of each. What is right already is not touched, and
-- fold_usage adds to it.
--
-- A total is locked before its minutes are read. So whoever is adding to it has written its minutes before, or sees the
-- window that is set here. Billing periods do not move meanwhile.
CREATE OR REPLACE FUNCTION open_usage_windows(p_tenants text[], p_metrics text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off SET enable_nestloop = on AS $$
#variable_conflict use_column
DECLARE
    r record;
BEGIN
    IF NOT has_windows()
       AND NOT EXISTS (SELECT FROM usage_totals t WHERE t.tenant = ANY (p_tenants) AND t.window_end IS NOT NULL) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtext('meterline periods'));
    FOR r IN
        WITH asked AS (
            SELECT DISTINCT k.tenant, k.metric
              FROM unnest(p_tenants, coalesce(p_metrics, array_fill(NULL::text, ARRAY[cardinality(p_tenants)])))
                   AS k (tenant, metric)
        ), stored AS MATERIALIZED (   -- of all totals that a window of now may reach
            SELECT t.tenant, t.metric, t.period_start, t.period_end, t.window_start, t.window_end,
                   m.aggregation IN ('sum', 'count', 'max') AS may_have
              FROM asked k
              JOIN usage_totals t ON t.tenant = k.tenant AND (k.metric IS NULL OR t.metric = k.metric)
              JOIN metrics m ON m.metric = t.metric
             WHERE t.period_end > now() - interval '32 days' AND t.period_start <= now()
        ), kinds AS MATERIALIZED (
            SELECT s.tenant, s.metric, CASE WHEN bool_and(s.may_have) THEN window_kind(s.tenant, s.metric) ELSE 'period' END AS kind,
                   -- The one that stands there, if it holds now: it was made anew if the billing day moved.
                   (array_agg(tstzrange(s.window_start, s.window_end))
                       FILTER (WHERE s.window_start <= now() AND now() < s.window_end))[1] AS held
              FROM stored s GROUP BY s.tenant, s.metric
        ), wanted AS MATERIALIZED (
            SELECT k.tenant, k.metric,
                   CASE k.kind WHEN 'day' THEN usage_day(now())
                               WHEN 'month' THEN CASE WHEN k.held <> usage_day(now()) THEN k.held
                                                      ELSE limit_window(k.tenant, 'month', now()) END END AS span
              FROM kinds k
        )
        SELECT s.tenant, s.metric, s.period_start, x.low, x.high
          FROM stored s
          JOIN wanted w USING (tenant, metric)
         CROSS JOIN LATERAL (
               SELECT s.period_start < upper(w.span) AND s.period_end > lower(w.span) AS is_reached) o
         CROSS JOIN LATERAL (
               SELECT CASE WHEN o.is_reached THEN lower(w.span) END AS low, CASE WHEN o.is_reached THEN upper(w.span) END AS high) x
         WHERE (s.window_start, s.window_end) IS DISTINCT FROM (x.low, x.high)
           -- One that has ended does no harm.
           AND (o.is_reached OR w.span IS NULL OR s.window_end = '-infinity')
         ORDER BY s.tenant, s.metric, s.period_start
    LOOP
        PERFORM FROM usage_totals t
          WHERE (t.tenant, t.metric, t.period_start) = (r.tenant, r.metric, r.period_start) FOR UPDATE;
        UPDATE usage_totals t
           SET window_start = r.low, window_end = r.high,
               window_quantity = minutes_between(t.tenant, t.metric, greatest(r.low, t.period_start),
                                                 least(r.high, t.period_end))
         WHERE (t.tenant, t.metric, t.period_start) = (r.tenant, r.metric, r.period_start);
    END LOOP;
END $$;

COMMENT ON FUNCTION open_usage_windows IS
    'Makes the windows that limits count over those of now, in the totals of these tenants.';
REVOKE ALL ON FUNCTION open_usage_windows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_usage_windows TO meterline_aggregator, meterline_ctl;
