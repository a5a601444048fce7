-- The next rejected entries to replay; those chosen by id also if they were replayed before.
-- $1 bigint: after this id; $2 bigint: up to this id; $3 bigint[]: these ids; $4 text: tenant; $5 text: reason;
-- $6 timestamptz: rejected since; $3 to $6 may be NULL; $7 boolean: again those that were replayed
SELECT rejected_id, stream, stream_id, reason, fields::text, replayed_at IS NOT NULL AND NOT $7::boolean AS replayed
  FROM rejected_events
 WHERE rejected_id > $1::bigint AND rejected_id <= $2::bigint
   AND ($3::bigint[] IS NULL OR rejected_id = ANY ($3::bigint[]))
   AND ($4::text IS NULL OR tenant = $4::text)
   AND ($5::text IS NULL OR reason = $5::text)
   AND ($6::timestamptz IS NULL OR rejected_at >= $6::timestamptz)
   AND ($7::boolean OR replayed_at IS NULL OR $3::bigint[] IS NOT NULL)
 ORDER BY rejected_id
 LIMIT 200
