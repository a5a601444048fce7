-- Versions of totals and claims that cannot be: at most 10. A claim has the version of the total that it was made of, and
-- then holds all of it, so that usage is never passed over; a total's comes from the sequence, or is one more than the
-- one before.
with compared as (
    select t.tenant, t.metric, t.period_start, t.version, c.version as claimed_version, trim_scale(t.quantity) as quantity,
           trim_scale(c.claimed) as claimed,
           case when t.version < 1 or t.version > (select last_value from usage_version) + 100000
                then 'the total has a version that was never given'
                when c.version > t.version then 'the claim is newer than its total'
                when c.version = t.version and m.transport <> 'none' and c.claimed <> floor(t.quantity)
                     and (m.aggregation in ('sum', 'count') or abs(floor(t.quantity)) <= 999999999999999)
                then 'the claim has the total''s version, and does not hold all of it' end as what
      from usage_totals t
      join metrics m using (metric)
      left join usage_claims c using (tenant, metric, period_start)
)
select * from compared where what is not null
 order by tenant, metric, period_start
 limit 10
