-- Note the definitions by which events are counted from this version of the catalog on; to run after
-- bump_catalog_version.
WITH version AS (
    SELECT value FROM ledger_state WHERE name = 'catalog_version'
), now AS (
    SELECT metric, aggregation, dimensions, from_metric, where_dimensions FROM metrics WHERE retired_at IS NULL
), ended AS (
    UPDATE metric_versions v
       SET until_version = n.value
      FROM version n
     WHERE v.until_version IS NULL
       AND NOT EXISTS (SELECT FROM now m
                        WHERE (m.metric, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions)
                              IS NOT DISTINCT FROM
                              (v.metric, v.aggregation, v.dimensions, v.from_metric, v.where_dimensions))
)
INSERT INTO metric_versions (metric, from_version, aggregation, dimensions, from_metric, where_dimensions, checksum)
SELECT m.metric, n.value, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions,
       metric_version_checksum(row(m.metric, n.value, NULL, m.aggregation, m.dimensions, m.from_metric,
                                   m.where_dimensions, NULL)::metric_versions)
  FROM version n, now m
 WHERE NOT EXISTS (SELECT FROM metric_versions v
                    WHERE v.until_version IS NULL
                      AND (m.metric, m.aggregation, m.dimensions, m.from_metric, m.where_dimensions)
                          IS NOT DISTINCT FROM
                          (v.metric, v.aggregation, v.dimensions, v.from_metric, v.where_dimensions))
