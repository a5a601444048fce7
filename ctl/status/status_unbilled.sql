-- What is counted and not in a submission, by why and by metric.
SELECT reason, metric, count(DISTINCT tenant) AS tenants, trim_scale(sum(quantity)) AS quantity
  FROM usage_unbilled
 GROUP BY reason, metric
 ORDER BY reason, metric
