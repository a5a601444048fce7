-- Usage of the windows that limits count over now, for the quota cache: of these tenants and metrics, where there is a
-- total of now. Part of fold_usage. What open_usage_windows is still to make anew is left out.
CREATE OR REPLACE FUNCTION usage_now(p_tenants text[], p_metrics text[])
RETURNS TABLE (tenant text, metric text, quantity numeric, version bigint, period_end timestamptz)
LANGUAGE sql STABLE SET jit = off SET enable_nestloop = on AS $$
    SELECT k.tenant, k.metric,
           CASE WHEN n.window_end IS NULL THEN n.quantity
                WHEN m.aggregation = 'max' THEN coalesce(n.greatest, 0) ELSE coalesce(n.sum, 0) END,
           n.version, coalesce(n.window_end, n.period_end)
      FROM (SELECT DISTINCT u.tenant, u.metric FROM unnest(p_tenants, p_metrics) u (tenant, metric)) k
      JOIN metrics m ON m.metric = k.metric
     CROSS JOIN LATERAL (
           SELECT max(t.version) AS version, coalesce(bool_or(t.window_end = '-infinity'), false) AS is_unknown,
                  max(t.window_end) FILTER (WHERE t.window_start <= now() AND now() < t.window_end) AS window_end,
                  sum(t.window_quantity) FILTER (WHERE t.window_start <= now() AND now() < t.window_end) AS sum,
                  max(t.window_quantity) FILTER (WHERE t.window_start <= now() AND now() < t.window_end) AS greatest,
                  max(t.quantity) FILTER (WHERE t.period_start <= now() AND now() < t.period_end) AS quantity,
                  max(t.period_end) FILTER (WHERE t.period_start <= now() AND now() < t.period_end) AS period_end
             FROM usage_totals t
            WHERE t.tenant = k.tenant AND t.metric = k.metric
              AND t.period_end > now() - interval '32 days' AND t.period_start <= now()) n
     WHERE NOT n.is_unknown AND coalesce(n.window_end, n.period_end) IS NOT NULL
$$;

COMMENT ON FUNCTION usage_now IS 'Usage of the windows that limits count over now; part of fold_usage.';
REVOKE ALL ON FUNCTION usage_now FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_now TO meterline_ctl;
