-- Sets all totals of some tenants and metrics right that carry their last value over: what changed, as it was (not at
-- all: no row of that period) and as it is. Claims follow: its version rises.
-- $1 jsonb: [[tenant, metric], …]
WITH keys AS (
    SELECT k ->> 0 AS tenant, k ->> 1 AS metric FROM jsonb_array_elements($1::jsonb) k
), asked AS MATERIALIZED (
    SELECT array_agg(tenant) AS tenants, array_agg(metric) AS metrics, array_agg('-infinity'::timestamptz) AS since FROM keys
)
SELECT c.tenant, c.metric, c.period_start, trim_scale(c.quantity_before) AS stored, trim_scale(c.quantity) AS repaired
  FROM asked q
 CROSS JOIN LATERAL carry_totals(q.tenants, q.metrics, q.since, nextval('usage_version')) c
 ORDER BY c.tenant, c.metric, c.period_start
