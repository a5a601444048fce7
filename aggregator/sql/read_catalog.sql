-- The catalog's metrics with its version, as jsonb text where they are lists; one row of NULLs without any metric.
SELECT v.value, m.metric, m.aggregation, m.carry, to_json(m.dimensions)::text, m.from_metric, m.where_dimensions::text
  FROM ledger_state v
  LEFT JOIN metrics m ON m.retired_at IS NULL
 WHERE v.name = 'catalog_version'
 ORDER BY m.metric
