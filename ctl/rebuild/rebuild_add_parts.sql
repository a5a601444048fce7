-- Add the day's minutes to their tenants' billing periods.
-- $1 timestamptz: low; $2 timestamptz: high
WITH RECURSIVE tenants AS (
    SELECT DISTINCT tenant FROM rebuild_minutes
), periods AS (
    SELECT tenant, usage_period(tenant, $1::timestamptz) AS period FROM tenants
    UNION ALL
    SELECT tenant, usage_period(tenant, upper(period)) FROM periods WHERE upper(period) < $2::timestamptz
)
INSERT INTO rebuild_parts
SELECT n.tenant, n.metric, m.aggregation, lower(p.period), upper(p.period),
       CASE WHEN m.aggregation = 'unique' THEN n.dimensions ELSE '{}' END AS labels,
       sum(n.events), sum(n.quantity_sum), max(n.quantity_max), max(n.last)
  FROM rebuild_minutes n
  JOIN metrics m USING (metric)
  JOIN periods p ON p.tenant = n.tenant AND lower(p.period) <= n.minute_at AND n.minute_at < upper(p.period)
 GROUP BY n.tenant, n.metric, m.aggregation, p.period, labels
