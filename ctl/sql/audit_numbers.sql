-- Claims of a tenant's metric and period are numbered from 1, and each number has its submission, void ones too: those of
-- which one is missing, or is there twice; at most 10.
with counted as (
    select tenant, metric, period_start, count(*) as submissions, count(distinct claim) as numbers, min(claim) as lowest,
           max(claim) as highest
      from usage_submissions group by tenant, metric, period_start
)
select tenant, metric, period_start, coalesce(s.submissions, 0) as submissions,
       coalesce(greatest(s.highest, c.claims), c.claims) as claims
  from counted s
  full join usage_claims c using (tenant, metric, period_start)
 where (s.submissions, s.numbers, s.lowest, s.highest)
       is distinct from (s.highest::bigint, s.highest::bigint, 1, coalesce(c.claims, 0))
   and (s.submissions is not null or c.claims > 0)
 order by tenant, metric, period_start
 limit 10
