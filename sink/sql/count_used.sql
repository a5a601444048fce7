-- What is in use, of periods that are open or ended up to 35 days ago, so that the index leads past older ones: for each
-- metric of the catalog, how long ago its last event was, in ms; for each age, how many tenants had their last event then.
-- Totals are read once.
WITH newest AS MATERIALIZED (
    SELECT tenant, metric, greatest((extract(epoch FROM now()) * 1000)::int8 - max(last_ms), 0) AS age_ms
      FROM usage_totals
     WHERE period_end > now() - interval '35 days' AND last_ms > 0
     GROUP BY GROUPING SETS ((tenant), (metric))
), tenants AS (
    SELECT CASE WHEN age_ms < 3600000 THEN 'under_1h' WHEN age_ms < 86400000 THEN 'under_1d'
                WHEN age_ms < 604800000 THEN 'under_7d' ELSE 'over_7d' END AS age, count(*) AS n
      FROM newest WHERE tenant IS NOT NULL
     GROUP BY 1
)
SELECT 'metric' AS what, metric AS name, age_ms AS n
  FROM newest
  JOIN metrics USING (metric)
 WHERE retired_at IS NULL
UNION ALL
SELECT 'tenants', a.age, coalesce(t.n, 0)
  FROM unnest(ARRAY['under_1h', 'under_1d', 'under_7d', 'over_7d']) AS a (age)
  LEFT JOIN tenants t USING (age)
