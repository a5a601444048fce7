-- Looks whether the usage that was noted in alert_checks has passed thresholds of its limit, and puts into the outbox
-- each one that it has passed for the first time in that window, of that limit. p_most: notes that are taken up at
-- once. Returns how many were, and how many alerts were raised.
--
-- Keys are looked up one by one (LATERAL with OFFSET 0), and what is in memory is hashed.
--
-- Each total then says at which quantity to look again (alert_at), so that until then it costs nothing. It is locked
-- before it is read, in the order of fold_usage.
CREATE OR REPLACE FUNCTION raise_usage_alerts(p_most bigint, OUT checked bigint, OUT raised bigint)
LANGUAGE plpgsql SET jit = off SET enable_seqscan = off SET enable_mergejoin = off AS $$
DECLARE
    k_tenants text[];
    k_metrics text[];
BEGIN
    WITH taken AS (
        DELETE FROM alert_checks c
         WHERE c.check_id = ANY (ARRAY(SELECT x.check_id FROM alert_checks x ORDER BY x.check_id LIMIT p_most
                                          FOR UPDATE SKIP LOCKED))
        RETURNING c.tenant, c.metric
    ), keys AS (
        SELECT t.tenant, t.metric, count(*) AS n FROM taken t GROUP BY t.tenant, t.metric
    )
    SELECT coalesce(sum(k.n), 0), array_agg(k.tenant ORDER BY k.tenant, k.metric),
           array_agg(k.metric ORDER BY k.tenant, k.metric)
      INTO checked, k_tenants, k_metrics
      FROM keys k;
    raised := 0;
    IF k_tenants IS NULL THEN
        RETURN;
    END IF;

    -- The arrays are in order.
    PERFORM FROM unnest(k_tenants, k_metrics) k (tenant, metric)
      CROSS JOIN LATERAL (
            SELECT FROM usage_totals t
             WHERE t.tenant = k.tenant AND t.metric = k.metric
               AND t.period_end > now() - interval '32 days' AND t.period_start <= now()
             ORDER BY t.period_start
               FOR UPDATE) locked;

    WITH parts AS MATERIALIZED (   -- totals that the limit's window reaches now
        SELECT t.tenant, t.metric, t.period_start, t.quantity, t.window_quantity,
               t.window_end IS NOT NULL AS is_window,
               CASE WHEN t.window_end IS NULL THEN t.period_start ELSE t.window_start END AS starts,
               CASE WHEN t.window_end IS NULL THEN t.period_end ELSE t.window_end END AS ends
          FROM unnest(k_tenants, k_metrics) k (tenant, metric)
         CROSS JOIN LATERAL (SELECT o.* FROM usage_totals o
                              WHERE o.tenant = k.tenant AND o.metric = k.metric
                                AND o.period_end > now() - interval '32 days' AND o.period_start <= now() OFFSET 0) t
         WHERE CASE WHEN t.window_end IS NULL THEN now() < t.period_end
                    ELSE t.window_start <= now() AND now() < t.window_end END
    ), used AS MATERIALIZED (
        SELECT p.tenant, p.metric, bool_or(p.is_window) AS is_window, max(p.starts) AS starts, max(p.ends) AS ends,
               coalesce(CASE WHEN NOT bool_or(p.is_window) THEN max(p.quantity)
                             WHEN min(m.aggregation) = 'max' THEN max(p.window_quantity)
                             ELSE sum(p.window_quantity) END, 0) AS quantity,
               min(m.aggregation) = 'max' AS is_greatest
          FROM parts p JOIN metrics m ON m.metric = p.metric
         GROUP BY p.tenant, p.metric
    ), limited AS MATERIALIZED (   -- a tenant without quotas has those of the plan free
        SELECT u.*, l.limit_quantity, l.limit_window, s.thresholds
          FROM used u
         CROSS JOIN LATERAL (
               SELECT q.limit_quantity, q.limit_window FROM usage_quotas q
                WHERE q.tenant = u.tenant AND q.metric = u.metric
               UNION ALL
               SELECT f.included, f.limit_window FROM plan_limits f
                WHERE f.plan = 'free' AND f.metric = u.metric
                  AND has_free_limits(u.tenant)) l
         CROSS JOIN LATERAL (
               SELECT coalesce((SELECT a.thresholds FROM alert_settings a WHERE a.tenant = u.tenant),
                               ARRAY(SELECT percent FROM alert_thresholds)) AS thresholds) s
         WHERE l.limit_quantity IS NOT NULL
    ), passed AS (
        INSERT INTO usage_alerts (tenant, metric, limit_window, period_start, threshold_percent, limit_quantity)
        SELECT l.tenant, l.metric, l.limit_window, l.starts, p.percent, l.limit_quantity
          FROM limited l
         CROSS JOIN LATERAL unnest(l.thresholds) p (percent)
         WHERE l.quantity > 0 AND l.quantity * 100 >= l.limit_quantity * p.percent
         ORDER BY l.tenant, l.metric, p.percent
        ON CONFLICT DO NOTHING
        RETURNING usage_alerts.tenant, usage_alerts.metric, usage_alerts.threshold_percent AS percent
    ), next AS MATERIALIZED (
        SELECT u.tenant, u.metric, u.quantity, u.is_greatest,
               (SELECT min(l.limit_quantity * p.percent * 0.01) FROM unnest(l.thresholds) p (percent)
                 WHERE NOT (l.quantity > 0 AND l.quantity * 100 >= l.limit_quantity * p.percent)) AS at
          FROM used u LEFT JOIN limited l ON l.tenant = u.tenant AND l.metric = u.metric
    ), marked AS (   -- nothing is used yet of a limit of 0: look at the first use
        UPDATE usage_totals t
           SET alert_at = CASE WHEN n.at IS NULL THEN 'Infinity'
                               WHEN n.at = 0 THEN 0.000000001
                               WHEN p.is_window AND NOT n.is_greatest
                               THEN n.at - (n.quantity - coalesce(p.window_quantity, 0))
                               ELSE n.at END
          FROM parts p JOIN next n ON n.tenant = p.tenant AND n.metric = p.metric
         WHERE t.tenant = p.tenant AND t.metric = p.metric AND t.period_start = p.period_start
    )
    SELECT count(*) INTO raised
      FROM passed a
      JOIN limited l ON l.tenant = a.tenant AND l.metric = a.metric
     CROSS JOIN LATERAL add_message(
           'quota_threshold',
           concat_ws(' ', a.metric, l.limit_window, extract(epoch FROM l.starts), a.percent, trim_scale(l.limit_quantity)),
           a.tenant,
           jsonb_build_object('metric', a.metric, 'threshold_percent', a.percent, 'used', trim_scale(l.quantity)::text,
                              'limit', trim_scale(l.limit_quantity)::text, 'window', l.limit_window,
                              'window_start', l.starts, 'window_end', l.ends),
           now());
END $$;

COMMENT ON FUNCTION raise_usage_alerts IS 'Puts thresholds that usage has passed into the outbox.';
REVOKE ALL ON FUNCTION raise_usage_alerts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION raise_usage_alerts TO meterline_notifier, meterline_ctl;
