-- Tenants with usage to claim in a period that ended less than an hour ago, or ends soon. Calendar months have no
-- invoice, and so no edge.
-- $1 int8: how soon, ms
-- $2 text: tenant after which to go on
-- $3 int8: rows at most
select p.tenant
  from billing_periods p
 where p.period_end > now() - interval '1 hour' and p.period_end <= now() + $1::int8 * interval '1 ms'
   and p.tenant > $2
   and exists (select from billing_customers b where b.tenant = p.tenant and b.deleted_at is null)
   and exists (select
                 from metrics m
                 join usage_totals t on t.tenant = p.tenant and t.metric = m.metric
                                    and t.period_start = p.period_start
                 left join usage_claims c on c.tenant = t.tenant and c.metric = t.metric
                                         and c.period_start = t.period_start
                where m.transport <> 'none' and t.version > coalesce(c.version, -1))
 group by p.tenant
 order by p.tenant
 limit $3
