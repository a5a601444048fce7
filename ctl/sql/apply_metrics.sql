-- Add and change metrics. One row for each that is new or different: its name, and what changed.
-- $1 json: rows of metrics
with wanted as (
    select * from json_to_recordset($1::json) as x (
        metric text, display_name text, unit text, aggregation text, carry boolean,
        dimensions text[], from_metric text, where_dimensions jsonb,
        stripe_event_name text, transport text)
), before as (
    select * from metrics
), written as (
    insert into metrics as m (metric, display_name, unit, aggregation, carry, dimensions,
                              from_metric, where_dimensions, stripe_event_name, transport)
    select metric, display_name, unit, aggregation, carry, dimensions, from_metric,
           where_dimensions, stripe_event_name, transport
      from wanted
        on conflict (metric) do update
       set display_name = excluded.display_name, unit = excluded.unit,
           aggregation = excluded.aggregation, carry = excluded.carry,
           dimensions = excluded.dimensions, from_metric = excluded.from_metric,
           where_dimensions = excluded.where_dimensions,
           stripe_event_name = excluded.stripe_event_name, transport = excluded.transport,
           retired_at = null
     where (m.display_name, m.unit, m.aggregation, m.carry, m.dimensions, m.from_metric,
            m.where_dimensions, m.stripe_event_name, m.transport, m.retired_at)
           is distinct from
           (excluded.display_name, excluded.unit, excluded.aggregation, excluded.carry,
            excluded.dimensions, excluded.from_metric, excluded.where_dimensions,
            excluded.stripe_event_name,
            excluded.transport, null::timestamptz)
    returning m.*
)
select w.metric,
       case when b.metric is null then 'added' else 'changed: ' || concat_ws(', ',
           case when b.retired_at is not null then 'no longer retired' end,
           case when w.display_name <> b.display_name then 'name' end,
           case when w.unit <> b.unit then 'unit' end,
           case when w.aggregation <> b.aggregation then 'aggregation' end,
           case when w.carry <> b.carry then 'carry' end,
           case when w.dimensions <> b.dimensions then 'dimensions' end,
           case when w.from_metric is distinct from b.from_metric then 'from' end,
           case when w.where_dimensions <> b.where_dimensions then 'where' end,
           case when w.stripe_event_name is distinct from b.stripe_event_name
                then 'stripe_event_name' end,
           case when w.transport <> b.transport then 'transport' end) end
  from written w
  left join before b using (metric)
 order by w.metric
