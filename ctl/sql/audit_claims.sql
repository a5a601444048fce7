-- Claims that are not what their submissions hold; at most 10. Submissions are a period's by their
-- claim, or, once its edges have moved, by their usage_at: either may stand until the sink looks.
with compared as (
    select c.tenant, c.metric, c.period_start, t.period_end, c.claimed,
           m.aggregation in ('sum', 'count') as additive, s.total, s.newest
      from usage_claims c
      join usage_totals t using (tenant, metric, period_start)
      join metrics m using (metric)
     cross join lateral (
        select coalesce(sum(quantity), 0) as total,
               coalesce((array_agg(quantity order by claim desc))[1], 0) as newest
          from usage_submissions s
         where s.tenant = c.tenant and s.metric = c.metric and s.state <> 'void'
           and s.period_start = c.period_start and s.usage_at >= c.period_start) s
)
select c.tenant, c.metric, c.period_start, trim_scale(c.claimed) as claimed,
       trim_scale(case when c.additive then c.total else c.newest end) as submissions
  from compared c
 cross join lateral sum_submissions(c.tenant, c.metric, c.period_start, c.period_end) h
 where c.claimed <> case when c.additive then c.total else c.newest end
   and c.claimed <> case when c.additive then h.claimed + coalesce(h.held, 0)
                         else coalesce(h.held, h.claimed) end
 order by c.tenant, c.metric, c.period_start
 limit 10
