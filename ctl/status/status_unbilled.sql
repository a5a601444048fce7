-- What is counted and in no submission, by reason and metric.
SELECT reason, metric, count(DISTINCT tenant) AS tenants, trim_scale(sum(quantity)) AS quantity
  FROM usage_unbilled
 GROUP BY reason, metric
 ORDER BY reason, metric
