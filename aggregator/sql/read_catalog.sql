-- The catalog's metrics, as jsonb text where they are lists.
SELECT metric, aggregation, carry, to_json(dimensions)::text, from_metric, where_dimensions::text
  FROM metrics WHERE retired_at IS NULL ORDER BY metric
