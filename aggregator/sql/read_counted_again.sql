-- Stored rows of entries that are read again. Within an epoch batches follow each other: those that end among these
-- entries, and the one after them, which may begin among them.
-- $1 text stream; $2, $3 int8 ms of the first and the last of them, cut to 63 bits
SELECT u.tenant, u.metric, u.id_uuid::text,
       coalesce(u.id_text, CASE WHEN u.id_uuid IS NULL
                                THEN b.stream || '/' || entry_half(u.ms) || '-' || entry_half(u.seq) END),
       u.ms, u.seq, u.quantity::text, u.fields, u.occurred, coalesce(u.retracts, 0), u.id_text IS NULL AND u.id_uuid IS NULL
  FROM generate_series(1, (SELECT epoch FROM stream_positions WHERE stream = $1)) AS e (epoch)
 CROSS JOIN LATERAL (
       SELECT coalesce(min(l.entry_last_ms), $3::bigint) AS ms
         FROM usage_batches l WHERE l.stream = $1 AND l.epoch = e.epoch AND l.entry_last_ms > $3) after
  JOIN usage_batches b ON b.stream = $1 AND b.epoch = e.epoch AND b.entry_last_ms BETWEEN $2 AND after.ms
   AND b.entry_first_ms <= $3
 CROSS JOIN LATERAL unnest(b.tenants, b.metrics, b.ids_uuid, b.ids_text, b.entry_ms, b.entry_seq, b.quantities, b.fields,
                           b.occurred_ms, b.retracts)
                    AS u (tenant, metric, id_uuid, id_text, ms, seq, quantity, fields, occurred, retracts)
 WHERE u.ms BETWEEN $2 AND $3
