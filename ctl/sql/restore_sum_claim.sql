-- What is claimed of a period, once something was adopted. The next claimer sums it up once more.
-- $1 text tenant, $2 text metric, $3 timestamptz, $4 timestamptz: the period
insert into usage_claims as c (tenant, metric, period_start, version, claimed, claims, first_at, last_at,
                               periods_version)
select $1, $2, $3::timestamptz, -1,
       coalesce(case when m.aggregation in ('sum', 'count') then sum(s.quantity)
                     else (array_agg(s.quantity order by s.usage_at desc))[1] end, 0),
       (select coalesce(max(n.claim), 0) from usage_submissions n
         where n.tenant = $1 and n.metric = $2 and n.period_start = $3::timestamptz
           and n.usage_at >= $3::timestamptz),
       min(s.usage_at), max(s.usage_at), -1
  from metrics m
  left join usage_submissions s on s.tenant = $1 and s.metric = $2 and s.state <> 'void'
       and (not s.carried and s.usage_at >= $3::timestamptz and s.usage_at < $4::timestamptz
            or s.carried and s.period_start = $3::timestamptz)
 where m.metric = $2
 group by m.aggregation
    on conflict (tenant, metric, period_start) do update
   set version = -1, periods_version = -1, claimed = excluded.claimed,
       claims = greatest(c.claims, excluded.claims), first_at = excluded.first_at, last_at = excluded.last_at
