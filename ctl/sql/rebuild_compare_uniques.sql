-- Different values of periods that are not what the minutes say: at most 100, and how many there are.
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high
with recomputed as (
    select tenant, metric, period_start, dimensions, sum(events) as events
      from rebuild_parts
     where aggregation = 'unique' and period_start < $3::timestamptz and period_end > $2::timestamptz
     group by tenant, metric, period_start, dimensions
), stored as (
    select u.tenant, u.metric, u.period_start, u.dimensions, u.events
      from usage_uniques u
      left join usage_totals t using (tenant, metric, period_start)
     where u.period_start < $3::timestamptz and coalesce(t.period_end > $2::timestamptz, true)
       and ($1::text is null or u.tenant = $1::text)
), compared as (
    select tenant, metric, period_start, dimensions, coalesce('events=' || s.events, 'nothing') as stored,
           coalesce('events=' || r.events, 'nothing') as recomputed
      from stored s
      full join recomputed r using (tenant, metric, period_start, dimensions)
     where s.events is distinct from r.events
)
select count(*) over () as of_all, 'unique' as kind, tenant, metric, period_start, dimensions::text as dimensions, stored, recomputed
  from compared
 order by tenant, metric, period_start, dimensions::text
 limit 100
