-- Rejected entries by reason and metric: how many, how many were not replayed, of how many tenants, since when.
-- $1 text: tenant; $2 text: reason; $3 timestamptz: rejected since; each may be NULL; $4 boolean: just what was not replayed
SELECT r.reason, f.metric, count(*) AS entries, count(*) FILTER (WHERE r.replayed_at IS NULL) AS pending,
       count(DISTINCT r.tenant) AS tenants,
       to_char(min(r.rejected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS first_at,
       to_char(max(r.rejected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_at
  FROM rejected_events r
 CROSS JOIN LATERAL (SELECT rejected_field(r.fields, 'metric') AS metric) f
 WHERE ($1::text IS NULL OR r.tenant = $1::text)
   AND ($2::text IS NULL OR r.reason = $2::text)
   AND ($3::timestamptz IS NULL OR r.rejected_at >= $3::timestamptz)
   AND (NOT $4::boolean OR r.replayed_at IS NULL)
 GROUP BY r.reason, f.metric
 ORDER BY count(*) DESC, r.reason, f.metric
