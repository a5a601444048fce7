-- For each metric that adds up: what was aggregated = what is in submissions, by state, + what
-- visibly waits. Late is what a person has still to decide on; dropped, what was decided not to be billed. Carried
-- is below one and claimed with what comes; rounded, what was below one when its period ended. Where a period's
-- edges moved and the sink has not looked since, the tenant's usage is apart (`moving`).
with moving as (
    select distinct t.tenant, t.metric
      from usage_totals t
      left join usage_claims c using (tenant, metric, period_start)
     where t.version > coalesce(c.version, -1)
       and exists (select from usage_submissions s
                    where s.tenant = t.tenant and s.metric = t.metric and s.state <> 'void'
                      and not exists (select from usage_totals o
                                       where o.tenant = s.tenant and o.metric = s.metric
                                         and o.period_start = s.period_start))
), aggregated as (
    select t.metric, sum(t.quantity) filter (where v.tenant is null) as quantity,
           sum(t.quantity) filter (where v.tenant is not null) as moving
      from usage_totals t
      left join moving v using (tenant, metric)
     group by t.metric
), submitted as (
    select s.metric,
           sum(quantity) filter (where state = 'pending') as pending,
           sum(quantity) filter (where state = 'sending') as sending,
           sum(quantity) filter (where state = 'sent') as sent,
           sum(quantity) filter (where state = 'held') as held,
           sum(quantity) filter (where state = 'failed') as failed,
           sum(quantity) filter (where state = 'in_doubt') as in_doubt,
           sum(quantity) filter (where state = 'late' and decision is distinct from 'drop') as late,
           sum(quantity) filter (where state = 'late' and decision = 'drop') as dropped,
           sum(quantity) as total
      from usage_submissions s
     where state <> 'void'
       and not exists (select from moving v where v.tenant = s.tenant and v.metric = s.metric)
     group by s.metric
), unbilled as (
    select u.metric,
           sum(quantity) filter (where reason = 'waiting') as waiting,
           sum(quantity) filter (where reason = 'unmapped') as unmapped,
           sum(quantity) filter (where reason = 'before_subscription') as before_subscription,
           sum(quantity) filter (where reason = 'not_compared') as not_compared,
           sum(quantity) filter (where reason = 'not_billed') as not_billed,
           sum(quantity) filter (where reason = 'carried') as carried,
           sum(quantity) filter (where reason = 'rounded') as rounded,
           sum(quantity) as total
      from usage_unbilled u
     where not exists (select from moving v where v.tenant = u.tenant and v.metric = u.metric)
     group by u.metric
)
select m.metric, trim_scale(coalesce(a.quantity, 0)) as aggregated,
       trim_scale(coalesce(s.pending, 0)) as pending, trim_scale(coalesce(s.sending, 0)) as sending,
       trim_scale(coalesce(s.sent, 0)) as sent, trim_scale(coalesce(s.held, 0)) as held,
       trim_scale(coalesce(s.failed, 0)) as failed, trim_scale(coalesce(s.in_doubt, 0)) as in_doubt,
       trim_scale(coalesce(s.late, 0)) as late, trim_scale(coalesce(s.dropped, 0)) as dropped,
       trim_scale(coalesce(u.waiting, 0)) as waiting,
       trim_scale(coalesce(u.unmapped, 0)) as unmapped,
       trim_scale(coalesce(u.before_subscription, 0)) as before_subscription,
       trim_scale(coalesce(u.not_compared, 0)) as not_compared,
       trim_scale(coalesce(u.not_billed, 0)) as not_billed,
       trim_scale(coalesce(u.carried, 0)) as carried, trim_scale(coalesce(u.rounded, 0)) as rounded,
       trim_scale(a.moving) as moving,
       trim_scale(coalesce(a.quantity, 0) - coalesce(s.total, 0) - coalesce(u.total, 0))
           as difference
  from metrics m
  left join aggregated a using (metric)
  left join submitted s using (metric)
  left join unbilled u using (metric)
 where m.aggregation in ('sum', 'count')
   and (a.metric is not null or s.metric is not null)
 order by m.metric
