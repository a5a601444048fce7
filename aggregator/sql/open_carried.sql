-- Open the current period of metrics that carry their last value over, where the last known period has ended.
WITH newest AS (
    SELECT DISTINCT ON (t.tenant, t.metric) t.*
      FROM usage_totals t JOIN metrics m USING (metric)
     WHERE m.carry AND m.retired_at IS NULL AND t.period_start <= now()
     ORDER BY t.tenant, t.metric, t.period_start DESC
)
INSERT INTO usage_totals (tenant, metric, period_start, period_end, quantity, version, last_ms, last_entry)
SELECT n.tenant, n.metric, b.period_start, b.period_end, n.quantity, nextval('usage_version'), n.last_ms, n.last_entry
  FROM newest n CROSS JOIN LATERAL billing_period(n.tenant, now()) b
 WHERE n.period_end <= now() AND n.quantity <> 0
ON CONFLICT (tenant, metric, period_start) DO NOTHING
RETURNING tenant
