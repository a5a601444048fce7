-- Metrics that events may name: those of the catalog that are not derived from another.
select metric from metrics where retired_at is null and from_metric is null order by metric
