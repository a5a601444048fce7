-- Totals that are not what the minutes of their period say: at most 100, and how many there are. A period without
-- usage of its own has nothing, or what a metric that carries had before; where that has just changed, the
-- aggregator is about to carry it on.
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high
with labels as (
    select tenant, metric, aggregation, period_start, period_end, dimensions, sum(events) as events,
           sum(quantity_sum) as quantity_sum, max(quantity_max) as quantity_max, max(last) as last
      from rebuild_parts
     where period_start < $3::timestamptz and period_end > $2::timestamptz
     group by tenant, metric, aggregation, period_start, period_end, dimensions
), recomputed as (
    select tenant, metric, period_start, period_end,
           case aggregation
               when 'sum' then sum(quantity_sum)
               when 'count' then sum(events)
               when 'max' then max(quantity_max)
               when 'unique' then count(*)
               else last_value_quantity(max(last)) end as quantity,
           case when aggregation = 'last' then left(max(last), 48) end as place
      from labels
     group by tenant, metric, aggregation, period_start, period_end
), stored as (
    select t.tenant, t.metric, t.period_start, t.period_end, t.quantity, m.carry, t.updated_at,
           case when m.aggregation = 'last' then
               lpad(to_hex(t.last_ms # (-9223372036854775808)), 16, '0') || encode(t.last_entry, 'hex') end as place,
           before.quantity as carried, before.updated_at as carried_at
      from usage_totals t
      join metrics m using (metric)
      left join lateral (
           select b.quantity, b.updated_at from usage_totals b
            where m.carry and b.tenant = t.tenant and b.metric = t.metric and b.period_start < t.period_start
            order by b.period_start desc limit 1) before on true
     where t.period_start < $3::timestamptz and t.period_end > $2::timestamptz
       and ($1::text is null or t.tenant = $1::text)
), compared as (
    select tenant, metric, period_start, s.quantity, s.period_end,
           coalesce(r.quantity, s.carried, 0) as wanted, coalesce(r.period_end, s.period_end) as wanted_end,
           case when r.place is not null then s.place end as place, r.place as wanted_place,
           r.quantity is null and s.carry and s.carried_at > s.updated_at
               and s.carried_at > now() - interval '10 minutes' as is_settling
      from stored s
      full join recomputed r using (tenant, metric, period_start)
)
select count(*) over () as of_all, 'total' as kind, tenant, metric, period_start,
       case when quantity is not null then concat_ws(' ', trim_scale(quantity), 'until=' || to_char(period_end, 'YYYY-MM-DD"T"HH24:MI"Z"'),
            'at=' || place) else 'nothing' end as stored,
       concat_ws(' ', trim_scale(wanted), 'until=' || to_char(wanted_end, 'YYYY-MM-DD"T"HH24:MI"Z"'), 'at=' || wanted_place) as recomputed
  from compared
 where (quantity, period_end, place) is distinct from (wanted, wanted_end, wanted_place) and not is_settling
 order by tenant, metric, period_start
 limit 100
