-- Add and change metrics. One row for each that is new or different: its name, and what changed.
-- $1 json: rows of metrics
WITH wanted AS (
    SELECT * FROM json_to_recordset($1::json) AS x (
        metric text, display_name text, unit text, aggregation text, carry boolean,
        dimensions text[], from_metric text, where_dimensions jsonb,
        stripe_event_name text, transport text, cost_per_unit numeric(24,12), cost_currency text,
        hours_saved numeric(38,9))
), before AS (
    SELECT * FROM metrics
), written AS (
    INSERT INTO metrics AS m (metric, display_name, unit, aggregation, carry, dimensions,
                              from_metric, where_dimensions, stripe_event_name, transport, cost_per_unit,
                              cost_currency, hours_saved)
    SELECT metric, display_name, unit, aggregation, carry, dimensions, from_metric,
           where_dimensions, stripe_event_name, transport, cost_per_unit, cost_currency, hours_saved
      FROM wanted
        ON CONFLICT (metric) DO UPDATE
       SET display_name = excluded.display_name, unit = excluded.unit,
           aggregation = excluded.aggregation, carry = excluded.carry,
           dimensions = excluded.dimensions, from_metric = excluded.from_metric,
           where_dimensions = excluded.where_dimensions,
           stripe_event_name = excluded.stripe_event_name, transport = excluded.transport,
           cost_per_unit = excluded.cost_per_unit, cost_currency = excluded.cost_currency,
           hours_saved = excluded.hours_saved, retired_at = NULL
     WHERE (m.display_name, m.unit, m.aggregation, m.carry, m.dimensions, m.from_metric,
            m.where_dimensions, m.stripe_event_name, m.transport, m.cost_per_unit, m.cost_currency,
            m.hours_saved, m.retired_at)
           IS DISTINCT FROM
           (excluded.display_name, excluded.unit, excluded.aggregation, excluded.carry,
            excluded.dimensions, excluded.from_metric, excluded.where_dimensions,
            excluded.stripe_event_name, excluded.transport, excluded.cost_per_unit,
            excluded.cost_currency, excluded.hours_saved, NULL::timestamptz)
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
           CASE WHEN w.transport <> b.transport THEN 'transport' END,
           CASE WHEN (w.cost_per_unit, w.cost_currency) IS DISTINCT FROM (b.cost_per_unit, b.cost_currency)
                THEN 'cost_per_unit' END,
           CASE WHEN w.hours_saved IS DISTINCT FROM b.hours_saved THEN 'hours_saved' END) END
  FROM written w
  LEFT JOIN before b USING (metric)
 ORDER BY w.metric
