-- Usage of a metric in a span of minutes, from the minute rows: of the kinds sum and count 0 if there is none, of max
-- NULL. The other kinds have no usage of a span, and give NULL.
CREATE OR REPLACE FUNCTION minutes_between(p_tenant text, p_metric text, p_from timestamptz, p_until timestamptz)
RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT CASE m.aggregation
               WHEN 'sum' THEN (SELECT coalesce(sum(a.quantity_sum), 0) FROM usage_aggregates a
                                 WHERE a.tenant = p_tenant AND a.metric = p_metric
                                   AND a.minute_at >= p_from AND a.minute_at < p_until)
               WHEN 'count' THEN (SELECT coalesce(sum(a.events), 0) FROM usage_aggregates a
                                   WHERE a.tenant = p_tenant AND a.metric = p_metric
                                     AND a.minute_at >= p_from AND a.minute_at < p_until)
               WHEN 'max' THEN (SELECT max(a.quantity_max) FROM usage_aggregates a
                                 WHERE a.tenant = p_tenant AND a.metric = p_metric
                                   AND a.minute_at >= p_from AND a.minute_at < p_until)
           END
      FROM metrics m WHERE m.metric = p_metric
$$;

COMMENT ON FUNCTION minutes_between IS 'Usage of a metric in a span of minutes, from the minute rows.';
