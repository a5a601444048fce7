-- Of metrics that carry their last value over: totals that are not the last value until the end of their period, and
-- where a value was carried through time that no total holds (missing: from then on); at most 10. Not by carry_totals,
-- which sets them: what counts is not what checks. A period that has just begun is about to be opened.
with owned as materialized (
    select t.tenant, t.metric, t.period_start, t.period_end, t.quantity,
           least(now() - interval '10 minutes', m.retired_at) as until,
           (select max((lpad(to_hex(a.last_ms # (-9223372036854775808)), 16, '0') || encode(a.last_entry, 'hex')
                        || a.quantity_last) collate "C")
              from usage_aggregates a
             where a.tenant = t.tenant and a.metric = t.metric
               and a.minute_at >= t.period_start and a.minute_at < t.period_end) as newest
      from usage_totals t
      join metrics m on m.metric = t.metric and m.carry
), valued as (
    select o.*, coalesce(substr(max(o.newest) over w, 49)::numeric, 0) as value,
           coalesce(lead(o.period_start) over w, 'infinity') as next_start
      from owned o
    window w as (partition by o.tenant, o.metric order by o.period_start)
)
select tenant, metric, period_start, trim_scale(quantity) as quantity, trim_scale(value) as minutes,
       null::boolean as missing
  from valued where quantity <> value
union all
select tenant, metric, period_end, null, trim_scale(value), true
  from valued where value <> 0 and period_end < next_start and period_end <= until
 order by 1, 2, 3
 limit 10
