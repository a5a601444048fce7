-- Values that replace each other (max, last, unique): the newest submission must be the period's value, rounded down,
-- or the total must visibly wait. Those that are neither; at most 10.
with waiting as materialized (
    select tenant, metric, period_start from usage_unbilled where reason not in ('carried', 'rounded')
), compared as (
    select t.tenant, t.metric, t.period_start, t.period_end, floor(t.quantity) as value,
           coalesce((select s.quantity from usage_submissions s
                      where s.tenant = t.tenant and s.metric = t.metric and s.state <> 'void'
                        and s.period_start = t.period_start and s.usage_at >= t.period_start
                      order by s.claim desc limit 1), 0) as newest
      from usage_totals t
      join metrics m using (metric)
     where m.aggregation not in ('sum', 'count')
)
select c.tenant, c.metric, c.period_start, c.value, trim_scale(c.newest) as submitted
  from compared c
  left join waiting w using (tenant, metric, period_start)
 cross join lateral sum_submissions(c.tenant, c.metric, c.period_start, c.period_end) h
 where c.value <> c.newest and w.tenant is null and c.value <> coalesce(h.held, h.claimed)
 order by c.tenant, c.metric, c.period_start
 limit 10
