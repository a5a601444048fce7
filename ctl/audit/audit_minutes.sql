-- Minutes that are in no period total, so that nobody would be billed for them; at most 10.
SELECT a.tenant, a.metric, a.minute_at, a.events
  FROM usage_aggregates a
 WHERE NOT EXISTS (SELECT FROM usage_totals t
                    WHERE t.tenant = a.tenant AND t.metric = a.metric
                      AND t.period_start <= a.minute_at AND a.minute_at < t.period_end)
 ORDER BY a.tenant, a.metric, a.minute_at
 LIMIT 10
