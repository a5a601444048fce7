-- Period totals that are not what their minutes say; at most 10. Those of unique must also be as many as the
-- different values that are kept. One whose usage was all taken back has nothing. Metrics that carry their last value
-- over: audit_carried.sql.
select t.tenant, t.metric, t.period_start, trim_scale(t.quantity) as quantity,
       trim_scale(x.quantity) as minutes, u.kept as "values"
  from usage_totals t
  join metrics m on m.metric = t.metric and not m.carry
 cross join lateral (
    select case m.aggregation
               when 'sum' then coalesce(sum(a.quantity_sum), 0)
               when 'count' then coalesce(sum(a.events), 0)
               when 'max' then coalesce(max(a.quantity_max), 0)
               when 'unique' then count(distinct a.dimensions)
               when 'last' then
                   coalesce((array_agg(a.quantity_last order by a.last_ms desc, a.last_entry desc))[1], 0)
           end as quantity
      from usage_aggregates a
     where a.tenant = t.tenant and a.metric = t.metric
       and a.minute_at >= t.period_start and a.minute_at < t.period_end) x
 cross join lateral (
    select case when m.aggregation = 'unique' then count(*) end as kept
      from usage_uniques u
     where m.aggregation = 'unique'
       and (u.tenant, u.metric, u.period_start) = (t.tenant, t.metric, t.period_start)) u
 where t.quantity is distinct from x.quantity or u.kept <> x.quantity
 order by t.tenant, t.metric, t.period_start
 limit 10
