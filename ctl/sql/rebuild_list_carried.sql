-- What has usage, or a total, of metrics that carry their last value over.
-- $1 text: one tenant, NULL: all; $2 text: one metric, NULL: all
select k.tenant, k.metric
  from (select a.tenant, a.metric from usage_aggregates a where $1::text is null or a.tenant = $1::text
         union
        select t.tenant, t.metric from usage_totals t where $1::text is null or t.tenant = $1::text) k
  join metrics m on m.metric = k.metric and m.carry
 where $2::text is null or k.metric = $2::text
 order by k.tenant, k.metric
