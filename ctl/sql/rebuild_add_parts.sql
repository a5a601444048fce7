-- Adds the day's minutes to their tenants' billing periods.
-- $1 timestamptz: low; $2 timestamptz: high
with recursive tenants as (
    select distinct tenant from rebuild_minutes
), periods as (
    select tenant, usage_period(tenant, $1::timestamptz) as period from tenants
    union all
    select tenant, usage_period(tenant, upper(period)) from periods where upper(period) < $2::timestamptz
)
insert into rebuild_parts
select n.tenant, n.metric, m.aggregation, lower(p.period), upper(p.period),
       case when m.aggregation = 'unique' then n.dimensions else '{}' end as labels,
       sum(n.events), sum(n.quantity_sum), max(n.quantity_max), max(n.last)
  from rebuild_minutes n
  join metrics m using (metric)
  join periods p on p.tenant = n.tenant and lower(p.period) <= n.minute_at and n.minute_at < upper(p.period)
 group by n.tenant, n.metric, m.aggregation, p.period, labels
