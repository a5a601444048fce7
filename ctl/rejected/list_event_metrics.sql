-- The metrics that events may name: those in the catalog that are not derived from another.
SELECT metric FROM metrics WHERE retired_at IS NULL AND from_metric IS NULL ORDER BY metric
