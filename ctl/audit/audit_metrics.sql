-- Metrics that differ from what `catalog apply` wrote, and definitions that differ from what it noted: events were
-- counted by these, and usage is sent by those. A metric in force has exactly one definition without an end, its own.
WITH versions AS (
    SELECT v.metric, v.from_version, v.until_version,
           CASE WHEN v.checksum IS DISTINCT FROM metric_version_checksum(v) THEN 'definition altered'
                WHEN v.until_version <= v.from_version THEN 'ends before it begins'
                WHEN v.until_version > (SELECT value FROM ledger_state WHERE name = 'catalog_version')
                     OR v.from_version > (SELECT value FROM ledger_state WHERE name = 'catalog_version')
                THEN 'of a catalog that was never applied' END AS what
      FROM metric_versions v
), metrics_now AS (
    SELECT m.metric, NULL::bigint, NULL::bigint,
           CASE WHEN m.checksum IS DISTINCT FROM metric_checksum(m) THEN 'altered since the catalog was applied'
                WHEN m.retired_at IS NULL AND NOT EXISTS (
                     SELECT FROM metric_versions v
                      WHERE v.metric = m.metric AND v.until_version IS NULL
                        AND (v.aggregation, v.dimensions, v.from_metric, v.where_dimensions)
                            IS NOT DISTINCT FROM (m.aggregation, m.dimensions, m.from_metric, m.where_dimensions))
                THEN 'counted by another definition' END
      FROM metrics m
)
SELECT * FROM (SELECT * FROM versions UNION ALL SELECT * FROM metrics_now) x
 WHERE what IS NOT NULL
 ORDER BY metric, from_version
