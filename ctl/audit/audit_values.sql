-- Values that replace each other (max, last, unique): the newest submission must be the period's value, rounded down,
-- or the total must visibly wait. Those where neither holds; at most 10.
WITH waiting AS MATERIALIZED (
    SELECT tenant, metric, period_start FROM usage_unbilled WHERE reason NOT IN ('carried', 'rounded')
), compared AS (
    SELECT t.tenant, t.metric, t.period_start, t.period_end, floor(t.quantity) AS value,
           coalesce((SELECT s.quantity FROM usage_submissions s
                      WHERE s.tenant = t.tenant AND s.metric = t.metric AND s.state <> 'void'
                        AND s.period_start = t.period_start AND s.usage_at >= t.period_start
                      ORDER BY s.claim DESC LIMIT 1), 0) AS newest
      FROM usage_totals t
      JOIN metrics m USING (metric)
     WHERE m.aggregation NOT IN ('sum', 'count')
)
SELECT c.tenant, c.metric, c.period_start, c.value, trim_scale(c.newest) AS submitted
  FROM compared c
  LEFT JOIN waiting w USING (tenant, metric, period_start)
 CROSS JOIN LATERAL sum_submissions(c.tenant, c.metric, c.period_start, c.period_end) h
 WHERE c.value <> c.newest AND w.tenant IS NULL AND c.value <> coalesce(h.held, h.claimed)
 ORDER BY c.tenant, c.metric, c.period_start
 LIMIT 10
