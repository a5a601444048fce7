-- Add and change metrics. One row for each that is new or different: its name, and what changed.
-- $1 json: rows of metrics
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (
        metric text, display_name text, unit text, aggregation text, carry boolean,
        dimensions text[], from_metric text, where_dimensions jsonb,
        stripe_event_name text, transport text)
), before AS (
    SELECT * FROM metrics
), written AS (
    INSERT INTO metrics AS m (metric, display_name, unit, aggregation, carry, dimensions,
                              from_metric, where_dimensions, stripe_event_name, transport)
    SELECT metric, display_name, unit, aggregation, carry, dimensions, from_metric,
           where_dimensions, stripe_event_name, transport
      FROM wanted
        ON CONFLICT (metric) DO UPDATE
       SET display_name = excluded.display_name, unit = excluded.unit,
           aggregation = excluded.aggregation, carry = excluded.carry,
           dimensions = excluded.dimensions, from_metric = excluded.from_metric,
           where_dimensions = excluded.where_dimensions,
           stripe_event_name = excluded.stripe_event_name, transport = excluded.transport,
           retired_at = NULL
     WHERE (m.display_name, m.unit, m.aggregation, m.carry, m.dimensions, m.from_metric,
            m.where_dimensions, m.stripe_event_name, m.transport, m.retired_at)
           IS DISTINCT FROM
           (excluded.display_name, excluded.unit, excluded.aggregation, excluded.carry,
            excluded.dimensions, excluded.from_metric, excluded.where_dimensions,
            excluded.stripe_event_name,
            excluded.transport, NULL::timestamptz)
    RETURNING m.*
)
SELECT w.metric,
       CASE WHEN b.metric IS NULL THEN 'added' ELSE 'changed: ' || concat_ws(', ',
           CASE WHEN b.retired_at IS NOT NULL THEN 'no longer retired' END,
           CASE WHEN w.display_name <> b.display_name THEN 'name' END,
           CASE WHEN w.unit <> b.unit THEN 'unit' END,
           CASE WHEN w.aggregation <> b.aggregation THEN 'aggregation' END,
           CASE WHEN w.carry <> b.carry THEN 'carry' END,
           CASE WHEN w.dimensions <> b.dimensions THEN 'dimensions' END,
           CASE WHEN w.from_metric IS DISTINCT FROM b.from_metric THEN 'from' END,
           CASE WHEN w.where_dimensions <> b.where_dimensions THEN 'where' END,
           CASE WHEN w.stripe_event_name IS DISTINCT FROM b.stripe_event_name
                THEN 'stripe_event_name' END,
           CASE WHEN w.transport <> b.transport THEN 'transport' END) END
  FROM written w
  LEFT JOIN before b USING (metric)
 ORDER BY w.metric
