-- Sets all totals of some tenants and metrics right that carry their last value over: what changed, as it was (not at
-- all: no row of that period) and as it is. Claims follow: its version rises.
-- $1 jsonb: [[tenant, metric], …]
with keys as (
    select k ->> 0 as tenant, k ->> 1 as metric from jsonb_array_elements($1::jsonb) k
), asked as materialized (
    select array_agg(tenant) as tenants, array_agg(metric) as metrics, array_agg('-infinity'::timestamptz) as since from keys
)
select c.tenant, c.metric, c.period_start, trim_scale(c.quantity_before) as stored, trim_scale(c.quantity) as repaired
  from asked q
 cross join lateral carry_totals(q.tenants, q.metrics, q.since, nextval('usage_version')) c
 order by c.tenant, c.metric, c.period_start
