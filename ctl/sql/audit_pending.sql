-- Minute sums that wait to be folded, and are not those of the batches that wait: events and quantities of each metric that
-- is not derived from another. Batches that wait to be counted from their raw events must be there. At most 10.
with waiting as materialized (
    select stream, batch from usage_pending where not from_raw
), raw as (
    select b.stream, e.tenant, e.metric, count(*) as events, sum(e.quantity) as quantity
      from waiting w
      join usage_batches b using (stream, batch)
     cross join lateral unnest(b.tenants, b.metrics, b.quantities, b.retracts) as e (tenant, metric, quantity, retracts)
      join metrics m on m.metric = e.metric and m.from_metric is null
     where coalesce(e.retracts, 0) = 0
     group by b.stream, e.tenant, e.metric
), sums as (
    select p.stream, e.tenant, e.metric, sum(e.events) as events, sum(e.quantity) as quantity
      from usage_pending p
     cross join lateral unnest(p.tenants, p.metrics, p.events, p.sums) as e (tenant, metric, events, quantity)
      join metrics m on m.metric = e.metric and m.from_metric is null
     group by p.stream, e.tenant, e.metric
)
select stream, tenant, metric, coalesce(s.events, 0)::bigint as pending_events, coalesce(r.events, 0) as raw_events,
       trim_scale(coalesce(s.quantity, 0)) as pending, trim_scale(coalesce(r.quantity, 0)) as raw, null::bigint as batch
  from sums s
  full join raw r using (stream, tenant, metric)
 where (s.events, s.quantity) is distinct from (r.events::numeric, r.quantity)
union all
select stream, null, null, 0, 0, 0, 0, batch
  from usage_pending p
 where from_raw and not exists (select from stream_batches b where b.stream = p.stream and b.batch = p.batch)
 limit 10
