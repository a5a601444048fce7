-- Totals that are not what the minutes of their period say: at most 100, and how many there are. A metric that carries
-- its last value over has in each period the last value until its end; where a value was carried through time that no
-- total holds, one is missing from then on, unless the period has just begun and is about to be opened.
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high; $4 timestamptz: the parts are of usage from
-- then on
with labels as (
    select p.tenant, p.metric, p.aggregation, p.period_start, p.period_end, p.dimensions, sum(p.events) as events,
           sum(p.quantity_sum) as quantity_sum, max(p.quantity_max) as quantity_max, max(p.last) as last
      from rebuild_parts p
      join metrics m on m.metric = p.metric and not m.carry
     where p.period_start < $3::timestamptz and p.period_end > $2::timestamptz
     group by p.tenant, p.metric, p.aggregation, p.period_start, p.period_end, p.dimensions
), summed as (
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
), stored as materialized (
    select t.tenant, t.metric, t.period_start, t.period_end, t.quantity, m.carry, m.retired_at,
           case when m.aggregation = 'last' then
               lpad(to_hex(t.last_ms # (-9223372036854775808)), 16, '0') || encode(t.last_entry, 'hex') end as place
      from usage_totals t
      join metrics m using (metric)
     where t.period_start < $3::timestamptz and t.period_end > case when m.carry then $4 else $2 end::timestamptz
       and ($1::text is null or t.tenant = $1::text)
), owned as (
    select p.tenant, p.metric, p.period_start, p.period_end, max(p.last) as last
      from rebuild_parts p
      join metrics m on m.metric = p.metric and m.carry
     group by p.tenant, p.metric, p.period_start, p.period_end
), chain as materialized (
    select tenant, metric, period_start, coalesce(o.period_end, s.period_end) as period_end, o.last
      from owned o
      full join (select * from stored where carry) s using (tenant, metric, period_start)
), before as materialized (
    select k.tenant, k.metric, b.last
      from (select distinct tenant, metric from chain) k
     cross join lateral (
           select lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex')
                  || a.quantity_last as last
             from usage_aggregates a
            where a.tenant = k.tenant and a.metric = k.metric and a.minute_at < $4::timestamptz
            order by a.minute_at desc, a.last_ms desc, a.last_entry desc
            limit 1) b
), carried as materialized (
    select c.tenant, c.metric, c.period_start, c.period_end,
           coalesce(max(c.last) over w, b.last) as last, lead(c.period_start) over w as next_start
      from chain c
      left join before b using (tenant, metric)
    window w as (partition by c.tenant, c.metric order by c.period_start)
), recomputed as (
    select * from summed
     union all
    select tenant, metric, period_start, period_end, coalesce(last_value_quantity(last), 0), left(last, 48)
      from carried
     where period_start < $3::timestamptz and period_end > $2::timestamptz
), compared as (
    select tenant, metric, period_start, s.quantity, s.period_end,
           coalesce(r.quantity, 0) as wanted, coalesce(r.period_end, s.period_end) as wanted_end,
           case when r.place is not null then s.place end as place, r.place as wanted_place
      from (select * from stored where period_end > $2::timestamptz) s
      full join recomputed r using (tenant, metric, period_start)
     union all
    select c.tenant, c.metric, c.period_end, null, null, last_value_quantity(c.last), c.next_start, null, null
      from carried c
      join metrics m using (metric)
     where last_value_quantity(c.last) <> 0 and c.period_end < coalesce(c.next_start, 'infinity')
       and c.period_end <= least(now() - interval '10 minutes', m.retired_at)
       and c.period_end < $3::timestamptz and coalesce(c.next_start, 'infinity') > $2::timestamptz
)
select count(*) over () as of_all, 'total' as kind, tenant, metric, period_start,
       case when quantity is not null then concat_ws(' ', trim_scale(quantity), 'until=' || to_char(period_end, 'YYYY-MM-DD"T"HH24:MI"Z"'),
            'at=' || place) else 'nothing' end as stored,
       concat_ws(' ', trim_scale(wanted), 'until=' || to_char(wanted_end, 'YYYY-MM-DD"T"HH24:MI"Z"'), 'at=' || wanted_place) as recomputed
  from compared
 where (quantity, period_end, place) is distinct from (wanted, wanted_end, wanted_place)
 order by tenant, metric, period_start
 limit 100
