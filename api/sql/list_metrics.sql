-- The metrics that events may name.
SELECT metric FROM metrics WHERE retired_at IS NULL AND from_metric IS NULL ORDER BY metric
