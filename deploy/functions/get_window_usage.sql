-- Usage in the window that a tenant's limit counts over now: the billing period, a month or a day. Exact whether or not
-- an aggregator has opened that window in the totals yet.
CREATE OR REPLACE FUNCTION get_window_usage(p_tenant text, p_metric text) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kind text := window_kind(p_tenant, p_metric);
    span tstzrange;
    known record;
BEGIN
    IF kind = 'period' THEN
        RETURN get_current_usage(p_tenant, p_metric);
    END IF;
    span := limit_window(p_tenant, kind, now());
    SELECT bool_and((t.window_start, t.window_end) IS NOT DISTINCT FROM (lower(span), upper(span))) AS is_open,
           sum(t.window_quantity) AS sum, max(t.window_quantity) AS greatest
      INTO known
      FROM usage_totals t
     WHERE t.tenant = p_tenant AND t.metric = p_metric
       AND t.period_start < upper(span) AND t.period_end > lower(span);
    RETURN coalesce(
        CASE WHEN NOT known.is_open THEN minutes_between(p_tenant, p_metric, lower(span), upper(span))
             WHEN (SELECT m.aggregation FROM metrics m WHERE m.metric = p_metric) = 'max' THEN known.greatest
             ELSE known.sum END, 0);
END $$;

COMMENT ON FUNCTION get_window_usage IS
    'A tenant''s usage of a metric in the window that its limit counts over: the billing period, a month or a day.';
