-- Values of unique metrics in periods that differ from the minutes: at most 100, and how many there are.
-- $1 text: one tenant; NULL: all; $2 timestamptz: low; $3 timestamptz: high
WITH recomputed AS (
    SELECT tenant, metric, period_start, dimensions, sum(events) AS events
      FROM rebuild_parts
     WHERE aggregation = 'unique' AND period_start < $3::timestamptz AND period_end > $2::timestamptz
     GROUP BY tenant, metric, period_start, dimensions
), stored AS (
    SELECT u.tenant, u.metric, u.period_start, u.dimensions, u.events
      FROM usage_uniques u
      LEFT JOIN usage_totals t USING (tenant, metric, period_start)
     WHERE u.period_start < $3::timestamptz AND coalesce(t.period_end > $2::timestamptz, true)
       AND ($1::text IS NULL OR u.tenant = $1::text)
), compared AS (
    SELECT tenant, metric, period_start, dimensions, coalesce('events=' || s.events, 'nothing') AS stored,
           coalesce('events=' || r.events, 'nothing') AS recomputed
      FROM stored s
      FULL JOIN recomputed r USING (tenant, metric, period_start, dimensions)
     WHERE s.events IS DISTINCT FROM r.events
)
SELECT count(*) OVER () AS of_all, 'unique' AS kind, tenant, metric, period_start, dimensions::text AS dimensions, stored, recomputed
  FROM compared
 ORDER BY tenant, metric, period_start, dimensions::text
 LIMIT 100
