-- What is counted and not in a submission, by why and by metric.
select reason, metric, count(distinct tenant) as tenants, trim_scale(sum(quantity)) as quantity
  from usage_unbilled
 group by reason, metric
 order by reason, metric
