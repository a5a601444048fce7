-- Minute rows that differ from the raw events: at most 100, and how many there are.
-- $1 timestamptz: low; $2 timestamptz: high
WITH stored AS (
    SELECT a.*
      FROM rebuild_keys k
      JOIN usage_aggregates a ON a.tenant = k.tenant AND a.metric = k.metric
       AND a.minute_at >= $1::timestamptz AND a.minute_at < $2::timestamptz
), recomputed AS (
    SELECT *, last_value_quantity(last) AS quantity_last, last_value_ms(last) AS last_ms, last_value_entry(last) AS last_entry
      FROM rebuild_minutes
), compared AS (
    SELECT tenant, metric, minute_at, dimensions,
           CASE WHEN s.events IS NOT NULL
                THEN format('events=%s sum=%s min=%s max=%s last=%s at=%s/%s', s.events, trim_scale(s.quantity_sum),
                            trim_scale(s.quantity_min), trim_scale(s.quantity_max), trim_scale(s.quantity_last),
                            s.last_ms, encode(s.last_entry, 'hex')) ELSE 'nothing' END AS stored,
           CASE WHEN r.events IS NOT NULL
                THEN format('events=%s sum=%s min=%s max=%s last=%s at=%s/%s', r.events, trim_scale(r.quantity_sum),
                            trim_scale(r.quantity_min), trim_scale(r.quantity_max), trim_scale(r.quantity_last),
                            r.last_ms, encode(r.last_entry, 'hex')) ELSE 'nothing' END AS recomputed
      FROM stored s
      FULL JOIN recomputed r USING (tenant, metric, minute_at, dimensions)
     WHERE (s.events, s.quantity_sum, s.quantity_min, s.quantity_max, s.quantity_last, s.last_ms, s.last_entry)
           IS DISTINCT FROM
           (r.events, r.quantity_sum, r.quantity_min, r.quantity_max, r.quantity_last, r.last_ms, r.last_entry)
)
SELECT count(*) OVER () AS of_all, 'minute' AS kind, tenant, metric, minute_at, dimensions::text AS dimensions, stored, recomputed
  FROM compared
 ORDER BY tenant, metric, minute_at, dimensions::text
 LIMIT 100
