-- Claims that are not what their submissions hold; at most 10. Submissions are a period's by their
-- claim, or, once its edges have moved, by their usage_at: either may stand until the sink looks.
with claims as (
    select c.*, t.period_end, m.aggregation in ('sum', 'count') as additive
      from usage_claims c
      join usage_totals t using (tenant, metric, period_start)
      join metrics m using (metric)
), compared as (
    select c.tenant, c.metric, c.period_start, c.claimed,
           case when c.additive then by_claim.total else by_claim.newest end as by_claim,
           case when c.additive then by_time.total else by_time.newest end as by_time
      from claims c
     cross join lateral (
        select coalesce(sum(quantity), 0) as total,
               coalesce((array_agg(quantity order by claim desc))[1], 0) as newest
          from usage_submissions s
         where s.tenant = c.tenant and s.metric = c.metric and s.state <> 'void'
           and s.period_start = c.period_start) by_claim
     cross join lateral (
        select coalesce(sum(quantity), 0) as total,
               coalesce((array_agg(quantity order by usage_at desc))[1], 0) as newest
          from usage_submissions s
         where s.tenant = c.tenant and s.metric = c.metric and s.state <> 'void'
           and s.usage_at >= c.period_start and s.usage_at < c.period_end) by_time
)
select tenant, metric, period_start, trim_scale(claimed) as claimed,
       trim_scale(by_claim) as submissions
  from compared
 where claimed <> by_claim and claimed <> by_time
 order by tenant, metric, period_start
 limit 10
