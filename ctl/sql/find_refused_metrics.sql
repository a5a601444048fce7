-- What a new catalog may not do to metrics that are there: one row a refusal, in plain words.
-- Another aggregation, or carrying over from now on or no more, would make totals mean two things; an event name is bound to what was sent
-- by it.
-- $1 json: rows of metrics
with wanted as (
    select *
      from json_to_recordset($1::json) as x (metric text, aggregation text, carry boolean, stripe_event_name text)
)
select format('metric %s: its aggregation is %s and it has usage; '
              'name a new metric instead of making it %s', m.metric, m.aggregation, w.aggregation)
  from wanted w
  join metrics m using (metric)
 where m.aggregation <> w.aggregation
   and (exists (select from usage_aggregates a where a.metric = m.metric)
        or exists (select from usage_totals t where t.metric = m.metric))
union all
select format('metric %s: it has usage and %s; name a new metric instead of making it one that does%s', m.metric,
              case when m.carry then 'carries its last value over' else 'does not carry its last value over' end,
              case when m.carry then ' not' else '' end)
  from wanted w
  join metrics m using (metric)
 where m.aggregation = w.aggregation and m.carry <> w.carry
   and (exists (select from usage_aggregates a where a.metric = m.metric)
        or exists (select from usage_totals t where t.metric = m.metric))
union all
select format('metric %s: its stripe_event_name %s belongs to the metric %s in the database',
              w.metric, w.stripe_event_name, m.metric)
  from wanted w
  join metrics m on m.stripe_event_name = w.stripe_event_name and m.metric <> w.metric
