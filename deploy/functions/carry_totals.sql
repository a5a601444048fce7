-- The only place that knows the total of a metric that carries its last value over. The total is the last value of its
-- own period, or else the last value before it, however old, or else 0. Every period from the first usage until now
-- has a total if its value is not 0; a period that already has a total keeps one. Whatever changes a value or an edge
-- of a period calls this for all periods that follow: fold_usage, recount_usage, refresh_billing_periods,
-- open_carried_totals.
--
-- The parameters are parallel arrays: for each tenant and metric, all periods that end after the time given
-- ('-infinity': all). Metrics that do not carry are left out. Nobody else may add to these totals or move billing
-- periods meanwhile. Returns the totals that changed, and their quantity before: NULL if there was none.
CREATE OR REPLACE FUNCTION carry_totals(p_tenants text[], p_metrics text[], p_since timestamptz[], p_version bigint)
RETURNS TABLE (tenant text, metric text, period_start timestamptz, period_end timestamptz, quantity numeric,
               version bigint, quantity_before numeric)
LANGUAGE sql SET jit = off SET enable_nestloop = on AS $$
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT k.*, f.minute_at AS first
          FROM (SELECT k.tenant, k.metric, min(k.since) AS since, least(now(), m.retired_at) AS until
                  FROM unnest(p_tenants, p_metrics, p_since) k (tenant, metric, since)
                  JOIN metrics m ON m.metric = k.metric AND m.carry
                 GROUP BY k.tenant, k.metric, m.retired_at) k
          LEFT JOIN LATERAL (
               SELECT a.minute_at FROM usage_aggregates a
                WHERE a.tenant = k.tenant AND a.metric = k.metric ORDER BY a.minute_at LIMIT 1) f ON true
    ), known AS MATERIALIZED (
        SELECT t.tenant, t.metric, t.period_start, t.period_end, t.quantity
          FROM asked a
          JOIN usage_totals t ON t.tenant = a.tenant AND t.metric = a.metric AND t.period_end > a.since
    ), chain AS (
        SELECT a.tenant, a.metric, a.until, b.period_start, b.period_end
          FROM asked a CROSS JOIN LATERAL billing_period(a.tenant, greatest(a.since, a.first)) b
         WHERE a.first IS NOT NULL
         UNION ALL
        SELECT c.tenant, c.metric, c.until, b.period_start, b.period_end
          FROM chain c CROSS JOIN LATERAL billing_period(c.tenant, c.period_end) b
         WHERE c.period_end <= c.until
    ), periods AS (
        SELECT k.*, true AS known FROM known k
         UNION ALL
        SELECT c.tenant, c.metric, c.period_start, c.period_end, NULL, false
          FROM chain c
         WHERE c.period_start <= c.until
           AND NOT EXISTS (SELECT FROM known k WHERE k.tenant = c.tenant AND k.metric = c.metric
                                                 AND k.period_start < c.period_end AND k.period_end > c.period_start)
    ), valued AS MATERIALIZED (
        SELECT p.*, coalesce(n.quantity_last, 0) AS value, coalesce(n.last_ms, (-9223372036854775808)) AS last_ms,
               coalesce(n.last_entry, '') AS last_entry, coalesce(n.minute_at >= p.period_start, false) AS own
          FROM periods p
          LEFT JOIN LATERAL (
               SELECT a.quantity_last, a.last_ms, a.last_entry, a.minute_at FROM usage_aggregates a
                WHERE a.tenant = p.tenant AND a.metric = p.metric AND a.minute_at < p.period_end
                ORDER BY a.minute_at DESC, a.last_ms DESC, a.last_entry DESC LIMIT 1) n ON true
    ), written AS (
        INSERT INTO usage_totals AS t (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
        SELECT v.tenant, v.metric, v.period_start, v.period_end, v.value,
               -- A total that was deleted may have been claimed.
               greatest(p_version, 1 + (SELECT c.version FROM usage_claims c
                                         WHERE c.tenant = v.tenant AND c.metric = v.metric
                                           AND c.period_start = v.period_start)),
               v.last_ms, v.last_entry
          FROM valued v
         WHERE v.known OR v.own OR v.value <> 0
         ORDER BY v.tenant, v.metric, v.period_start
        ON CONFLICT (tenant, metric, period_start) DO UPDATE
           SET quantity = excluded.quantity, version = greatest(excluded.version, t.version + 1),
               last_ms = excluded.last_ms, last_entry = excluded.last_entry, updated_at = now()
         WHERE (t.quantity, t.last_ms, t.last_entry)
               IS DISTINCT FROM (excluded.quantity, excluded.last_ms, excluded.last_entry)
        RETURNING t.tenant, t.metric, t.period_start, t.period_end, t.quantity, t.version
    )
    SELECT w.tenant, w.metric, w.period_start, w.period_end, w.quantity, w.version, k.quantity
      FROM written w LEFT JOIN known k USING (tenant, metric, period_start)
$$;

COMMENT ON FUNCTION carry_totals IS
    'Writes the totals of all periods that carry a last value over, and returns those that changed.';
REVOKE ALL ON FUNCTION carry_totals FROM PUBLIC;
GRANT EXECUTE ON FUNCTION carry_totals TO meterline_ctl;
