-- Minutes that no period total holds, so that nobody would be billed for them; at most 10.
select a.tenant, a.metric, a.minute_at, a.events
  from usage_aggregates a
 where not exists (select from usage_totals t
                    where t.tenant = a.tenant and t.metric = a.metric
                      and t.period_start <= a.minute_at and a.minute_at < t.period_end)
 order by a.tenant, a.metric, a.minute_at
 limit 10
