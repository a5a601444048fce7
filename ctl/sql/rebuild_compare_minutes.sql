-- Minute rows that are not what the raw events say: at most 100, and how many there are.
-- $1 timestamptz: low; $2 timestamptz: high
with stored as (
    select a.*
      from rebuild_keys k
      join usage_aggregates a on a.tenant = k.tenant and a.metric = k.metric
       and a.minute_at >= $1::timestamptz and a.minute_at < $2::timestamptz
), recomputed as (
    select *, last_value_quantity(last) as quantity_last, last_value_ms(last) as last_ms, last_value_entry(last) as last_entry
      from rebuild_minutes
), compared as (
    select tenant, metric, minute_at, dimensions,
           case when s.events is not null
                then format('events=%s sum=%s min=%s max=%s last=%s at=%s/%s', s.events, trim_scale(s.quantity_sum),
                            trim_scale(s.quantity_min), trim_scale(s.quantity_max), trim_scale(s.quantity_last),
                            s.last_ms, encode(s.last_entry, 'hex')) else 'nothing' end as stored,
           case when r.events is not null
                then format('events=%s sum=%s min=%s max=%s last=%s at=%s/%s', r.events, trim_scale(r.quantity_sum),
                            trim_scale(r.quantity_min), trim_scale(r.quantity_max), trim_scale(r.quantity_last),
                            r.last_ms, encode(r.last_entry, 'hex')) else 'nothing' end as recomputed
      from stored s
      full join recomputed r using (tenant, metric, minute_at, dimensions)
     where (s.events, s.quantity_sum, s.quantity_min, s.quantity_max, s.quantity_last, s.last_ms, s.last_entry)
           is distinct from
           (r.events, r.quantity_sum, r.quantity_min, r.quantity_max, r.quantity_last, r.last_ms, r.last_entry)
)
select count(*) over () as of_all, 'minute' as kind, tenant, metric, minute_at, dimensions::text as dimensions, stored, recomputed
  from compared
 order by tenant, metric, minute_at, dimensions::text
 limit 100
