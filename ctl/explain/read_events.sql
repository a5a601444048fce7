-- A tenant's raw events by time of use; a retraction is one of its own, its quantity negated.
-- Usage is committed at the earliest when it happens, but for clocks that differ: earlier days are not looked at.
-- $1 text: tenant; $2 text: metric, $3 timestamptz: from, $4 timestamptz: until before, $5 bigint: how many; $2 to $5 may be NULL
SELECT e.tenant, e.stream, entry_half(e.ms) || '-' || entry_half(e.seq) AS stream_id, e.metric,
       coalesce(e.id_uuid::text, e.id_text, e.stream || '/' || entry_half(e.ms) || '-' || entry_half(e.seq)) AS event_id,
       trim_scale(e.quantity) AS quantity,
       to_char((to_timestamp(0) + e.occurred * interval '1 ms') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS occurred_at,
       CASE WHEN e.retracts > 0 THEN 'true' ELSE 'false' END AS retraction, coalesce(e.fields, '{}') AS dimensions,
       to_char(e.committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS committed_at
  FROM (SELECT b.stream, b.committed_at, unnest(b.entry_ms) AS ms, unnest(b.entry_seq) AS seq,
               unnest(b.tenants) AS tenant, unnest(b.metrics) AS metric, unnest(b.ids_uuid) AS id_uuid,
               unnest(b.ids_text) AS id_text, unnest(b.quantities) AS quantity, unnest(b.occurred_ms) AS occurred,
               unnest(b.fields) AS fields, unnest(b.retracts) AS retracts
          FROM usage_batches b
         WHERE b.slice = tenant_slice($1::text)
           AND b.day >= coalesce(($3::timestamptz AT TIME ZONE 'UTC')::date - 2, '-infinity')
           AND b.occurred_min < coalesce($4::timestamptz, 'infinity')
           AND b.occurred_max >= coalesce($3::timestamptz, '-infinity')) e
 WHERE e.tenant = $1::text
   AND ($2::text IS NULL OR e.metric = $2::text)
   AND ($3::timestamptz IS NULL OR e.occurred >= extract(epoch FROM $3::timestamptz) * 1000)
   AND ($4::timestamptz IS NULL OR e.occurred < extract(epoch FROM $4::timestamptz) * 1000)
 ORDER BY e.occurred, e.ms, e.seq
 LIMIT $5::bigint
