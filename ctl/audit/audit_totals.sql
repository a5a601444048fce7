-- Period totals that differ from their minutes; at most 10. Totals of unique must also be as many as the different
-- values that are kept. A total whose usage was all taken back has nothing. For metrics that carry their last value
-- over see audit_carried.sql.
SELECT t.tenant, t.metric, t.period_start, trim_scale(t.quantity) AS quantity,
       trim_scale(x.quantity) AS minutes, u.kept AS "values"
  FROM usage_totals t
  JOIN metrics m ON m.metric = t.metric AND NOT m.carry
 CROSS JOIN LATERAL (
    SELECT CASE m.aggregation
               WHEN 'sum' THEN coalesce(sum(a.quantity_sum), 0)
               WHEN 'count' THEN coalesce(sum(a.events), 0)
               WHEN 'max' THEN coalesce(max(a.quantity_max), 0)
               WHEN 'unique' THEN count(DISTINCT a.dimensions)
               WHEN 'last' THEN
                   coalesce((array_agg(a.quantity_last ORDER BY a.last_ms DESC, a.last_entry DESC))[1], 0)
           END AS quantity
      FROM usage_aggregates a
     WHERE a.tenant = t.tenant AND a.metric = t.metric
       AND a.minute_at >= t.period_start AND a.minute_at < t.period_end) x
 CROSS JOIN LATERAL (
    SELECT CASE WHEN m.aggregation = 'unique' THEN count(*) END AS kept
      FROM usage_uniques u
     WHERE m.aggregation = 'unique'
       AND (u.tenant, u.metric, u.period_start) = (t.tenant, t.metric, t.period_start)) u
 WHERE t.quantity IS DISTINCT FROM x.quantity OR u.kept <> x.quantity
 ORDER BY t.tenant, t.metric, t.period_start
 LIMIT 10
