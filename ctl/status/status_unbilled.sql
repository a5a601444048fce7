-- What is counted and in no submission, by reason and metric; and what was sent, and no final invoice bills: of the
-- last two months.
SELECT reason, metric, count(DISTINCT tenant) AS tenants, trim_scale(sum(quantity)) AS quantity
  FROM usage_unbilled
 GROUP BY reason, metric
UNION ALL
SELECT 'not_invoiced', metric, count(DISTINCT tenant), trim_scale(sum(quantity))
  FROM usage_not_invoiced
 WHERE period_end > now() - interval '62 days'
 GROUP BY metric
 ORDER BY reason, metric
