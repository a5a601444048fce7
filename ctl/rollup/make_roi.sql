-- The rollup of what usage cost us, and the hours that it saved, by month: of metrics that the catalog gives a cost or hours,
-- and that add up.
-- $1 timestamptz: a time in the first month
INSERT INTO rollup_roi (month, tenant, metric, quantity, cost_minor, currency, hours_saved)
SELECT x.month, x.tenant, x.metric, x.quantity, x.quantity * m.cost_per_unit, m.cost_currency, x.quantity * m.hours_saved
  FROM (SELECT (date_trunc('month', a.minute_at, 'UTC') AT TIME ZONE 'UTC')::date AS month, a.tenant, a.metric,
               sum(CASE n.aggregation WHEN 'count' THEN a.events ELSE a.quantity_sum END) AS quantity
          FROM usage_aggregates a JOIN metrics n USING (metric)
         WHERE a.minute_at >= date_trunc('month', $1::timestamptz, 'UTC') AND n.aggregation IN ('sum', 'count')
           AND (n.cost_per_unit IS NOT NULL OR n.hours_saved IS NOT NULL)
         GROUP BY 1, 2, 3) x
  JOIN metrics m USING (metric)
