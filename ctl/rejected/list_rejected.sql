-- Rejected entries, newest first.
-- $1 text: tenant; $2 text: reason; $3 timestamptz: rejected since; each may be NULL; $4 bigint: how many; $5 bigint: one id, or
-- NULL; $6 boolean: just what was not replayed
SELECT rejected_id, to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS rejected_at,
       stream, epoch, stream_id, tenant, rejected_field(fields, 'metric') AS metric,
       rejected_field(fields, 'quantity') AS quantity, reason, detail,
       to_char(replayed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS replayed_at, fields::text AS fields
  FROM rejected_events
 WHERE ($1::text IS NULL OR tenant = $1::text)
   AND ($2::text IS NULL OR reason = $2::text)
   AND ($3::timestamptz IS NULL OR rejected_at >= $3::timestamptz)
   AND ($5::bigint IS NULL OR rejected_id = $5::bigint)
   AND (NOT $6::boolean OR replayed_at IS NULL)
 ORDER BY rejected_id DESC
 LIMIT $4::bigint
